import { expect, test } from "vitest";
import { countOf, durationText, ratioText, sizeText, timeText } from "../../../shipper/terminal/quantity.ts";
import { facts, table } from "../../../shipper/terminal/table.ts";

test("numbers end under one another, texts begin under one another", () => {
  const columns = [{ title: "NAME" }, { title: "SIZE", right: true }, { title: "NOTE" }];
  expect(
    table(columns, [
      ["mail", "1.00 KiB", ""],
      ["日本", "12 B", "two wide letters"],
    ]),
  ).toBe(["NAME      SIZE  NOTE", "mail  1.00 KiB", "日本      12 B  two wide letters", ""].join("\n"));
});

test("a name can not break out of its cell", () => {
  expect(table([{ title: "A" }], [["x\n\x1b[31mforged  row"]])).toBe("A\nx\\x0a\\x1b[31mforged  row\n");
  expect(
    facts([
      ["a", "1\n2"],
      ["longer", "3"],
    ]),
  ).toBe("a       1\\x0a2\nlonger  3\n");
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "0.98 KiB"],
  [1024, "1.00 KiB"],
  [10_239, "10.0 KiB"],
  [102_400, "100 KiB"],
  [1_048_576, "1.00 MiB"],
  [1_023_000, "999 KiB"],
  [1_024_000, "0.98 MiB"],
  [5 * 1024 ** 4, "5.00 TiB"],
  [2000 * 1024 ** 5, "2000 PiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [59_949, "59.9 s"],
  [59_990, "1 min 0 s"],
  [200_000, "3 min 20 s"],
  [7_500_000, "2 h 5 min"],
])("%d milliseconds are %s", (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text);
});

test("counts, ratios and times read as people write them", () => {
  expect([countOf(1, "row"), countOf(12_345, "row"), countOf(2, "mailbox", "mailboxes")]).toEqual([
    "1 row",
    "12,345 rows",
    "2 mailboxes",
  ]);
  expect([ratioText(300, 100), ratioText(2000, 100), ratioText(0, 5), ratioText(5, 0)]).toEqual([
    "3.0×",
    "20×",
    "",
    "",
  ]);
  expect(timeText("2026-11-21T02:00:00.123Z")).toBe("2026-11-21 02:00:00Z");
});
