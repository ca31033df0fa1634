import { describe, expect, test } from "vitest";
import { readRows } from "../../../../core/rows.ts";
import type { SnapshotReader } from "../../../../core/snapshot-reader.ts";
import { replayIndex } from "../../../../shipper/components/mail/index-rows.ts";
import { readTable } from "../../../../shipper/components/mail/read-table.ts";

const sha256 = "a".repeat(64);
const pack = "20261121T020000.000Z-k3m9x2qa7b/0001";
const row = (...fields: (string | number)[]) => fields.join("\t");
const put = (
  changes: Partial<Record<"folder" | "state" | "info" | "base" | "mode" | "bytes" | "time" | "sha", string>>,
) => {
  const is = {
    folder: "m",
    state: "cur",
    info: ":2,S",
    base: "1.a",
    mode: "0600",
    bytes: "5",
    time: "1",
    sha: sha256,
    ...changes,
  };
  return row("put", is.folder, is.state, is.info, is.base, is.mode, is.bytes, is.time, is.sha, 1);
};
const sound = [
  row("mailbox", "a.org/u", 1000, 1000),
  row("archive", 1, "b".repeat(32), pack, 0, 100),
  row("directory", ".", "0700"),
  row("folder", "m", "0700"),
  put({}),
  row("file", "m/subscriptions", "0600", 5, "-1.125", sha256, 1),
  row("link", ".sieve", "m/subscriptions"),
];

async function* bytesOf(rows: readonly string[]): AsyncGenerator<Buffer> {
  yield Buffer.from(rows.map((each) => `${each}\n`).join(""), "latin1");
}
const replay = (rows: readonly string[]) => replayIndex(readRows(bytesOf(rows)));

describe("an index", () => {
  test("adds up, and skips rows that it does not know", async () => {
    const index = await replay([...sound, row("from-the-future", "x")]);
    expect([...index.messages.values()]).toMatchObject([{ folder: "m", base: "1.a", info: ":2,S", bytes: 5 }]);
    expect([...index.files.keys(), ...index.links.keys()]).toEqual(["m/subscriptions", ".sieve"]);
  });

  test("keeps what Dovecot was asked, and forgets it with its folder or when it is asked again", async () => {
    const status = (modseq: string) => row("status", "m", 7, 12, modseq);
    const asked = [
      ...sound,
      status("9007199254740993"),
      row("keyword", "m", "todo", "1,3:5"),
      row("keyword", "m", "todo", "9"),
    ];
    const index = await replay(asked);
    expect(index.counters.get("m")).toEqual({ uidValidity: 7, nextUid: 12, highestModseq: 9007199254740993n });
    expect(index.keywords.get("m")).toEqual(new Map([["todo", new Set([1, 3, 4, 5, 9])]]));
    expect((await replay([...asked, status("8")])).keywords.size).toBe(0);
    const gone = await replay([
      ...asked,
      row("delete", "m", "1.a"),
      row("remove", "m/subscriptions"),
      row("remove", ".sieve"),
      row("remove", "m"),
    ]);
    expect([gone.counters.size, gone.keywords.size]).toEqual([0, 0]);
  });

  test.each<[string, readonly string[]]>([
    ["a keyword that is an option", [...sound, row("keyword", "m", "-o", "1")]],
    ["a keyword with a space", [...sound, row("keyword", "m", "a%20b", "1")]],
    ["a keyword with a tab", [...sound, row("keyword", "m", "a%09b", "1")]],
    ["UIDs that are a command", [...sound, row("keyword", "m", "todo", "1;reboot")]],
    ["UIDs without an end", [...sound, row("keyword", "m", "todo", "1:*")]],
    ["UIDs beyond all bounds", [...sound, row("keyword", "m", "todo", "1:4294967295")]],
    ["a counter that is none", [...sound, row("status", "m", 7, 12, "1e9")]],
    ["nothing at all", []],
    ["rows before its mailbox", [row("directory", "x", "0700"), ...sound]],
    ["no row for its own directory", [row("mailbox", "a.org/u", 0, 0)]],
    ["one path that is two things", [...sound, row("directory", "x", "0700"), row("link", "x", "m")]],
    ["a message without its folder", [...sound, put({ folder: "gone" })]],
    ["a directory in a folder's cur", [...sound, row("directory", "m/cur", "0700")]],
    ["a path without its parent", [...sound, row("directory", "x/y", "0700")]],
    ["a row without its path", [...sound, "directory"]],
    ["flags without a colon", [...sound, put({ info: "2,S" })]],
    ["a message without a name", [...sound, put({ base: "" })]],
    ["flags in a base name", [...sound, put({ base: "1.a:2,S", info: "" })]],
    ["a message in tmp", [...sound, put({ state: "tmp" })]],
    ["a size that is hexadecimal", [...sound, put({ bytes: "0x10" })]],
    ["a size with a leading zero", [...sound, put({ bytes: "05" })]],
    ["a size below zero", [...sound, put({ bytes: "-5" })]],
    ["no size", [...sound, put({ bytes: "" })]],
    ["a mode in letters", [...sound, put({ mode: "rw--" })]],
    ["a mode of three digits", [...sound, put({ mode: "600" })]],
    ["a mode that is not octal", [...sound, put({ mode: "0688" })]],
    ["a time with an exponent", [...sound, put({ time: "1e9" })]],
    ["a time with four decimals", [...sound, put({ time: "1.1234" })]],
    ["a hash in upper case", [...sound, put({ sha: sha256.toUpperCase() })]],
    ["a hash that is too short", [...sound, put({ sha: sha256.slice(1) })]],
  ])("with %s is refused", async (_, rows) => {
    await expect(replay(rows)).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  });
});

test("a table that names an index before its mailbox is refused", async () => {
  const owner = "a".repeat(26);
  const index = row("index", owner, "b".repeat(32), pack, 0, 100);
  const read = (rows: readonly string[]) =>
    readTable({ part: () => undefined, readPart: () => bytesOf(rows) } as unknown as SnapshotReader);
  expect([...(await read([row("mailbox", owner), index]))]).toMatchObject([[owner, [{ pack, bytes: 100 }]]]);
  await expect(read([index])).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  await expect(read([row("mailbox", owner), row("gone", owner), index])).rejects.toMatchObject({
    code: "OBJECT_CORRUPT",
  });
});
