import fc from "fast-check";
import { expect, test } from "vitest";
import { cutTo, printable, printableLines, widthOf } from "../../../shipper/terminal/printable.ts";

test("what a terminal would obey is escaped, what it shows is left alone", () => {
  expect(printable("\x1b[2Jgone")).toBe("\\x1b[2Jgone");
  expect(printable("a\nb\tc\rd\x7f\x9b")).toBe("a\\x0ab\\x09c\\x0dd\\x7f\\x9b");
  expect(printable("fdp.\u202eexe")).toBe("fdp.\\u202eexe");
  expect(printable("\ud800x")).toBe("\\ud800x");
  expect(printable("jörg 日本 😀 é")).toBe("jörg 日本 😀 é");
});

test("no text at all gets a control character through", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
      expect(printable(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }),
  );
});

test("lines stay lines", () => {
  expect(printableLines("one\n\ttwo\x07\r\nthree\n\n")).toEqual(["one", "  two\\x07", "three"]);
});

test("a text is cut to the columns that it takes", () => {
  expect(widthOf("日本é")).toBe(5);
  expect(cutTo("short", 10)).toBe("short");
  expect(cutTo("a longer text", 8)).toBe("a longe…");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, columns) => {
      expect(widthOf(cutTo(text, columns))).toBeLessThanOrEqual(columns);
    }),
  );
});
