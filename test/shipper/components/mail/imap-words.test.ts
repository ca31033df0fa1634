import { describe, expect, test } from "vitest";
import { imapNames, topFolder } from "../../../../shipper/components/mail/imap-folder-name.ts";
import { fetchedMessage, readResponses } from "../../../../shipper/components/mail/imap-responses.ts";
import { formatUidSet, parseUidSet } from "../../../../shipper/components/mail/uid-set.ts";

async function responsesOf(text: string, pieceBytes: number) {
  async function* pieces() {
    const bytes = Buffer.from(text, "latin1");
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  const found = [];
  for await (const { line, literals } of readResponses(pieces())) {
    found.push([line, ...literals.map((literal) => literal.toString("latin1"))]);
  }
  return found;
}

describe("responses", () => {
  const said = "* 1 FETCH (UID 7 BODY[]<0> {6}\r\na{9}\r\n X-GUID {0}\r\n)\r\n* 2 EXISTS\r\na OK done\r\n* cut o";

  test.each([1, 2, 3, 7, 1000])(
    "are read from pieces of %s bytes, with literals that look like more of them",
    async (size) => {
      expect(await responsesOf(said, size)).toEqual([
        [
          "* 1 FETCH (UID 7 BODY[]<0> \x000\0 X-GUID \x001\0)"
            .replaceAll("\x000", "\x000")
            .replaceAll("\x001", "\x001"),
          "a{9}\r\n",
          "",
        ],
        ["* 2 EXISTS"],
        ["a OK done"],
      ]);
    },
  );

  test("tell of a message what a client wants to know", () => {
    const line = String.raw`* 3 FETCH (UID 9 FLAGS (\Seen \Recent a) X-GUID "1.\"x" INTERNALDATE " 5-Mar-2025 05:06:07 +0100")`;
    const receivedAt = Date.UTC(2025, 2, 5, 4, 6, 7) / 1000;
    expect(fetchedMessage({ line, literals: [] })).toEqual({
      uid: 9,
      flags: ["\\Seen", "a"],
      guid: '1."x',
      receivedAt,
    });
    expect(fetchedMessage({ line: "* 3 EXISTS", literals: [] })).toBeUndefined();
    expect(fetchedMessage({ line: "* 3 FETCH (FLAGS ())", literals: [] })).toBeUndefined();
  });
});

test("folders have their own names where IMAP can say them, and a number where not", () => {
  const folders = [
    ".",
    ".Sent",
    ".A.B",
    ".Entw&APw-rfe",
    ".&ZeVnLA-",
    ".a b\tc",
    ".\xff",
    ".&AGE-",
    ".R & D",
    ".sent",
    "x/y",
  ];
  const names = imapNames(folders, ".", "m0");
  expect([...names.values()]).toEqual([
    "m0",
    "m0.Sent",
    "m0.A.B",
    "m0.Entw&APw-rfe",
    "m0.&ZeVnLA-",
    "m0.mailark-folder-5",
    "m0.mailark-folder-6",
    "m0.mailark-folder-7",
    "m0.mailark-folder-8",
    "m0.mailark-folder-9",
    "m0.x.y",
  ]);
});

test("the INBOX is the folder that is least deep", () => {
  expect(topFolder(["Maildir/.Sent", "Maildir"])).toBe("Maildir");
  expect(topFolder(["mail/Sent", "mail/INBOX"])).toBe("mail/INBOX");
  expect(topFolder([".Sent", "."])).toBe(".");
  expect(topFolder([])).toBeUndefined();
});

test("sets of UIDs are written as IMAP has them, and read back", () => {
  expect(formatUidSet([9, 1, 2, 3, 7, 3])).toBe("1:3,7,9");
  expect(parseUidSet("1:3,7,9")).toEqual([1, 2, 3, 7, 9]);
  for (const text of ["", "0", "3:1", "1,,2", "*", "1:*", "01", "1 2"]) expect(parseUidSet(text)).toBeUndefined();
});
