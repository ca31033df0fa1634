import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { queueComponent } from "../../../../shipper/components/queue/component.ts";
import { queueConfigSchema } from "../../../../shipper/components/queue/config.ts";
import { vetted } from "../../../../shipper/components/queue/gate.ts";
import { readIndex } from "../../../../shipper/components/queue/index-rows.ts";
import type { Member } from "../../../../shipper/components/tree/member.ts";
import { padding, readTar } from "../../../../shipper/components/tree/read-tar.ts";
import { endOfArchive, headersOf } from "../../../../shipper/components/tree/write-tar.ts";
import { memoryStore } from "../../../fixtures/memory-store.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { description, snapshotReader, snapshotWriter, storedKey } from "../../../fixtures/snapshot.ts";
import { ownWorld } from "./queue-host.ts";

const content = Buffer.from("not a message that anybody wrote\n");
const sha256 = createHash("sha256").update(content).digest("hex");
const whole: Member = {
  path: "deferred/A/ABCDEF12345",
  kind: "file",
  flag: "0",
  mode: 0o700,
  uid: 0,
  gid: 0,
  user: "postfix",
  group: "postfix",
  modified: "1795307927.5",
  size: content.length,
  stored: content.length,
  target: "",
  attributes: new Map(),
  acl: {},
};
const rowOf = ({ path }: Pick<Member, "path">) => `message\t${path}\t${content.length}\t${sha256}\n`;

/** A snapshot whose archive has these members, and whose index has those rows. */
async function snapshotOf(members: readonly Member[], index = members.map(rowOf).join("")) {
  const store = memoryStore();
  const key = await storedKey(store);
  const writer = snapshotWriter(store);
  const archive = members.flatMap((member) =>
    member.stored === 0 ? [headersOf(member)] : [headersOf(member), content, Buffer.alloc(padding(content.length))],
  );
  await writer.part("spool", stream([...archive, endOfArchive]), key);
  await writer.part("index", stream([Buffer.from(index)]), key);
  await writer.finish(description);
  return snapshotReader(store);
}

async function* stream(chunks: readonly Buffer[]) {
  yield* chunks;
}

const component = queueComponent(queueConfigSchema.parse({}));

async function refusal(members: readonly Member[], index?: string) {
  const snapshot = await snapshotOf(members, index);
  const parent = scratchDirectory();
  const error = await component.stage(snapshot, { kind: "scratch", path: join(parent, "place") }, {}, ownWorld()).then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(readdirSync(parent)).toEqual([]);
  await expect(component.examine!(snapshot, ownWorld())).rejects.toMatchObject({ code: error?.code });
  return error;
}

describe("a stored queue with", () => {
  test.each([
    ["a path out of the queue", { path: "../../etc/cron.d/ABCDEF" }],
    ["an absolute path", { path: "/etc/cron.d/ABCDEF" }],
    ["a path in a directory of sockets", { path: "private/ABCDEF12345" }],
    ["a path in the directory of locks", { path: "pid/ABCDEF12345" }],
    ["a name that is no queue id", { path: "deferred/A/a.sh" }],
    ["a directory in the place of a queue's", { path: "deferred/AB/ABCDEF12345" }],
    ["a file that is not complete", { mode: 0o600 }],
    ["a file that everybody may write to", { mode: 0o777 }],
    ["a file with more rights than a file has", { mode: 0o4700 }],
    ["a symbolic link", { kind: "symlink", flag: "2", target: "/etc/shadow", size: 0, stored: 0 }],
    ["a hard link", { kind: "hardlink", flag: "1", target: "deferred/A/ABCDEF12345", size: 0, stored: 0 }],
    ["a directory", { kind: "directory", flag: "5", size: 0, stored: 0 }],
    ["an attribute", { attributes: new Map([["user.mime", "x"]]) }],
    ["an access control list", { acl: { access: "user::rwx\ngroup::rwx\nother::rwx\n" } }],
  ] satisfies [string, Partial<Member>][])("%s is refused whole", async (_, hostile) => {
    expect(await refusal([{ ...whole, ...hostile }])).toMatchObject({ code: "PATH_UNSAFE" });
  });

  test("one id in two queues is refused", async () => {
    const twice = [whole, { ...whole, path: "active/ABCDEF12345" }];
    expect(await refusal(twice)).toMatchObject({ code: "PATH_UNSAFE", message: expect.stringContaining("twice") });
  });

  test("another content than the index says is refused", async () => {
    const error = await refusal([whole], rowOf(whole).replace(sha256, "0".repeat(64)));
    expect(error).toMatchObject({ code: "OBJECT_CORRUPT", message: expect.stringContaining("another content") });
  });

  test("a file that the index does not know, or of another size, is refused", async () => {
    expect(await refusal([whole], "")).toMatchObject({ code: "OBJECT_CORRUPT" });
    expect(await refusal([whole], rowOf(whole).replace("\t33\t", "\t34\t"))).toMatchObject({ code: "OBJECT_CORRUPT" });
  });

  test("less than the index says is refused", async () => {
    const more = rowOf(whole) + rowOf({ path: "hold/FEDCBA54321" });
    expect(await refusal([whole], more)).toMatchObject({
      code: "OBJECT_CORRUPT",
      message: expect.stringContaining("not there"),
    });
  });

  test.each([
    "message\tdeferred/ABCDEF\t1\n",
    `message\tdeferred/ABCDEF\t-1\t${sha256}\n`,
    `message\t../ABCDEF\t1\t${sha256}\n`,
    "recipient\ta@example.test\n",
  ])("a row that is none is refused: %j", async (row) => {
    await expect(readIndex(await snapshotOf([], row))).rejects.toMatchObject({
      code: expect.stringMatching(/OBJECT_CORRUPT|PATH_UNSAFE/),
    });
  });

  test("rows and fields of a later version are passed over", async () => {
    const rows = `later\tx\n${rowOf(whole).trim()}\t12\ta@example.test\tmore\nrecipient\tb@example.test\tmore\n`;
    expect(await readIndex(await snapshotOf([whole], rows))).toMatchObject({
      messages: [{ envelope: { sender: "a@example.test", recipients: ["b@example.test"], contentBytes: 12 } }],
    });
  });
});

test("what the gate lets through belongs to Postfix, is on hold, and bears the names of nobody else", async () => {
  const snapshot = await snapshotOf([
    { ...whole, user: "root", group: "shadow", uid: 0, gid: 42 },
    { ...whole, path: "maildrop/ABCDEF00000", mode: 0o744, user: "alice", uid: 1000 },
    { ...whole, path: "maildrop.held/ABCDEF00001", mode: 0o744, user: "alice", uid: 1000 },
    { ...whole, path: "active/ABCDEF00001" },
  ]);
  const owners = { uid: 101, gid: 102, dropGid: 103 };
  const passed: Member[] = [];
  const archive = vetted(snapshot, await readIndex(snapshot), { owners, hold: true });
  for await (const { member } of readTar(archive)) passed.push(member);
  expect(passed).toMatchObject([
    { path: "hold/ABCDEF12345", uid: 101, gid: 102, user: "", group: "", mode: 0o700, modified: "1795307927.5" },
    { path: "maildrop.held/ABCDEF00000", uid: 101, gid: 103, user: "alice", group: "", mode: 0o744 },
    { path: "maildrop.held/ABCDEF00001", uid: 101, gid: 103, user: "alice", group: "", mode: 0o744 },
    { path: "hold/ABCDEF00001", uid: 101, gid: 102 },
  ]);
});

test("a directory that holds something is refused before the store is read", async () => {
  const path = scratchDirectory();
  const snapshot = await snapshotOf([whole], "not a row");
  await expect(
    component.stage(snapshot, { kind: "directory", path: join(path, "..") }, {}, ownWorld()),
  ).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
});

test("a queue goes into a directory as it lay, and is judged by its contents", async () => {
  const path = join(scratchDirectory(), "files");
  const snapshot = await snapshotOf([whole]);
  const staged = await component.stage(snapshot, { kind: "directory", path }, {}, ownWorld());
  expect(existsSync(join(path, whole.path))).toBe(true);
  expect(await component.check(staged, ownWorld())).toMatchObject([
    { name: "contents", outcome: "passed" },
    { name: "messages", outcome: "unproven" },
  ]);
  await staged.remove();
  expect(existsSync(join(path, whole.path))).toBe(true);
});

test("mailboxes and databases can not be chosen", async () => {
  const snapshot = await snapshotOf([whole]);
  await expect(component.plan(snapshot, { mailboxes: ["a"] })).rejects.toMatchObject({ code: "ARGUMENT_INVALID" });
});
