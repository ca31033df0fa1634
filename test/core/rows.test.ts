import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { escapeName, formatRow, readRows, safePath, unescapeName } from "../../core/rows.ts";
import { collect } from "../fixtures/read-all.ts";

const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString("latin1"));

describe("a name in a row", () => {
  test("comes back as it was, whatever its bytes are", () => {
    fc.assert(
      fc.property(bytes, (name) => {
        const escaped = escapeName(name);
        expect(escaped).toMatch(/^[!-~]*$/);
        expect(unescapeName(escaped)).toBe(name);
      }),
    );
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("latin1");
    expect(unescapeName(escapeName(every))).toBe(every);
  });

  test("is escaped as the format says", () => {
    expect(escapeName("a%b c\td\x7f\xff")).toBe("a%25b%20c%09d%7F%FF");
    expect(escapeName("1700000000.M1P1.host,S=1:2,FS")).toBe("1700000000.M1P1.host,S=1:2,FS");
    expect(escapeName("")).toBe("");
  });

  test("can be read by awk", () => {
    const name = "Möl % ~\x01";
    const latin1 = Buffer.from(name).toString("latin1");
    const program = `{ while (match($1, /%[0-9A-F][0-9A-F]/)) {
      printf "%s", substr($1, 1, RSTART - 1)
      h = substr($1, RSTART + 1, 2)
      printf "%c", (index("0123456789ABCDEF", substr(h, 1, 1)) - 1) * 16 + index("0123456789ABCDEF", substr(h, 2, 1)) - 1
      $1 = substr($1, RSTART + 3) } printf "%s", $1 }`;
    const printed = execFileSync("awk", [program], { input: formatRow(escapeName(latin1)), env: { LC_ALL: "C" } });
    expect(printed.toString("utf8")).toBe(name);
  });

  test("has one form: what is escaped in another way is refused, so that no two rows can mean one name", () => {
    for (const text of ["%", "%2", "%zz", "%2f", "%41", "a b", "a\tb", "\xff", "%25%", "%%25", "%F"]) {
      expect(() => unescapeName(text), text).toThrow(expect.objectContaining({ code: "OBJECT_CORRUPT" }));
    }
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."%25AFf é") }), (text) => {
        let name: string;
        try {
          name = unescapeName(text);
        } catch {
          return;
        }
        expect(escapeName(name)).toBe(text);
      }),
    );
  });

  test("is bytes: a character that is none is a defect, and is told", () => {
    expect(() => escapeName("日本")).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});

describe("rows", () => {
  const field = bytes.map(escapeName);
  const rows = fc.array(fc.array(field, { minLength: 1, maxLength: 5 }), { maxLength: 8 });

  test("come back as they were, however the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(rows, fc.array(fc.integer({ min: 1, max: 30 })), async (written, sizes) => {
        const text = Buffer.from(written.map((fields) => formatRow(...fields)).join(""), "latin1");
        expect(await collect(readRows(inPieces(text, sizes)))).toEqual(written);
      }),
    );
  });

  test("are refused when the last was cut off", async () => {
    const reading = collect(readRows(inPieces(Buffer.from("put\ta\nput\tb"), [])));
    await expect(reading).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  });

  test("are refused when one has no end, before it fills the memory", async () => {
    let sent = 0;
    const endless = async function* () {
      while (sent < 100) {
        sent += 1;
        yield Buffer.alloc(65_536, "x");
      }
    };
    const rowsOf = async () => (await collect(readRows(endless()))).length;
    await expect(rowsOf()).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
    expect(sent).toBeLessThan(20);
  });
});

describe("a stored path", () => {
  test.each([".", "a", "a/b", ".a", "a/..b", "...", "a/.hidden/ c"])("may be %j", (path) => {
    expect(safePath(path)).toBe(path);
  });

  test.each(["", "/", "/a", "a/", "a//b", "..", "../a", "a/..", "a/../b", "a/.", "./a", "a\0b", "\0"])(
    "may not be %j",
    (path) => {
      expect(() => safePath(path)).toThrow(
        expect.objectContaining({ code: "PATH_UNSAFE", detail: JSON.stringify(path) }),
      );
    },
  );

  test("never leaves its top", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."./a\0") }), (path) => {
        let safe: string;
        try {
          safe = safePath(path);
        } catch {
          return;
        }
        const { pathname } = new URL(safe, "file:///top/");
        expect(pathname.startsWith("/top/")).toBe(true);
        expect(safe).not.toContain("\0");
      }),
    );
  });
});

async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}
