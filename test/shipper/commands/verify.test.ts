import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, treeOf, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: CommandLine;
beforeEach(async () => {
  host = commandLine(scratchDirectory());
  makeFolder(`${host.vmail}/example.com/alice`);
  for (const number of [1, 2, 3]) writeFile(`${host.vmail}/example.com/alice/cur/${number}.a:2,S`, `message ${number}`);
  await host.init();
});

const objects = (pattern: RegExp) =>
  Object.keys(treeOf(host.storeDirectory))
    .filter((path) => pattern.test(path))
    .sort();
const pathOf = (key: string) => join(host.storeDirectory, key);
function flip(key: string, at = 40) {
  const bytes = readFileSync(pathOf(key));
  bytes[at]! ^= 1;
  writeFileSync(pathOf(key), bytes);
}

test("nothing to verify is not a success", async () => {
  const said = await host.configured(["verify"]);
  expect(said.code).toBe(4);
  expect(said.stdout).toMatch(/^Nothing to verify: .*\nTry: mailark backup/);
  await host.configured(["backup"]);
  expect((await host.configured(["verify", "mysql"])).code).toBe(4);
  expect((await host.configured(["verify", "mail"])).code).toBe(0);
});

test("every damage is a finding that names the snapshot and the object", async () => {
  await host.configured(["backup"]);
  await host.configured(["backup"]);
  const [first = "", second = ""] = objects(/0001\.pack$/);
  const snapshotOf = (key: string) => key.split("/")[3]!;
  flip(first);
  truncateSync(pathOf(second), 10);
  const [key = ""] = objects(/^keyring.*[^/]{26}\/.*\.age$/);
  rmSync(pathOf(key));
  const said = await host.configured(["verify"]);
  expect(said.code).toBe(4);
  expect(said.stdout).toMatch(new RegExp(`mail ${snapshotOf(first)}: OBJECT_CORRUPT: .*SHA-256 differs: ${first}`));
  expect(said.stdout).toMatch(new RegExp(`mail ${snapshotOf(second)}: OBJECT_CORRUPT: .*10 bytes.*: ${second}`));
  expect(said.stdout).toContain(`OBJECT_MISSING: the object is not in the store: ${key}`);
  expect(said.stdout).toMatch(/^mail +\S+ +\S+ \S+ +2 findings$/m);

  const { json } = await host.configured(["verify", "--json"]);
  expect(json).toMatchObject({ command: "verify", exitCode: 4, pinned: true });
  expect(json.snapshots.map(({ findings }: { findings: unknown[] }) => findings.length)).toEqual([2, 2]);
});

test("one snapshot is verified by its id, whatever the others are", async () => {
  await host.configured(["backup"]);
  const { json } = await host.configured(["backup", "--json"]);
  const good = json.components[0].snapshotId;
  flip(objects(/0001\.pack$/)[0]!);
  expect((await host.configured(["verify"])).code).toBe(4);
  expect((await host.configured(["verify", good])).code).toBe(0);
  const unknown = await host.configured(["verify", "20260101T000000.000Z-0000000000"]);
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain("mailark list");
});

test("a snapshot that a run stored and that is gone is a finding, also when it was the last one", async () => {
  await host.configured(["backup"]);
  for (const path of objects(/^hosts\/[^/]+\/mail\/.*\.(pack|json)$/)) rmSync(pathOf(path));
  const said = await host.configured(["verify"]);
  expect(said.code).toBe(4);
  expect(said.stdout).toMatch(/store: OBJECT_MISSING: run .* stored this snapshot, and it is gone: hosts/);
  expect(said.stdout).not.toContain("Nothing to verify");
});

test("an enrolment that introduces somebody else is a finding", async () => {
  await host.configured(["backup"]);
  const [enrolment = ""] = objects(/enrol\/.*\.json$/);
  writeFileSync(pathOf(enrolment.replace(/[^/]+$/, `${"0".repeat(32)}.json`)), readFileSync(pathOf(enrolment)));
  const said = await host.configured(["verify"]);
  expect(said.code).toBe(4);
  expect(said.stdout).toMatch(/store: MANIFEST_INVALID: the enrolment introduces another/);
});

test("a store that a stranger wrote under the host's name is not believed by the host that knows its own key", async () => {
  await host.configured(["backup"]);
  const stranger = commandLine(scratchDirectory());
  makeFolder(`${stranger.vmail}/a/b`);
  await stranger.init();
  const hostId = /id: (h-\w+)/.exec(readFileSync(host.configPath, "utf8"))![1]!;
  stranger.edit((text) => text.replace(/id: h-\w+/, `id: ${hostId}`));
  await stranger.configured(["enrol"]);
  await stranger.configured(["backup"]);
  const unpinned = await host.mailark(["verify", "--store", stranger.store, "--host", hostId]);
  expect(unpinned.code).toBe(0);
  expect(unpinned.stderr).toMatch(/Warning: nothing proves[\s\S]*--fingerprint:\n {4}[0-9a-f]{64}/);
  renameSync(host.storeDirectory, `${host.storeDirectory}-away`);
  renameSync(stranger.storeDirectory, host.storeDirectory);
  const pinned = await host.configured(["verify"]);
  expect(pinned.code).toBe(4);
  expect(pinned.stderr).toContain("no trusted enrolment");
});

test("deep verification needs the recovery key, and finds what checksums of ciphertext can not", async () => {
  await host.configured(["backup"]);
  expect((await host.configured(["verify", "--deep"])).code).toBe(2);
  const deep = ["verify", "--deep", "--identity", host.identity];
  expect((await host.configured(deep)).code).toBe(0);
  flip(objects(/0001\.pack$/)[0]!, 200);
  const said = await host.configured(deep);
  expect(said.code).toBe(4);
  expect(said.stdout).toContain("DECRYPTION_FAILED");
});

test("list shows the hosts of a store, and asks which one is meant where there are several", async () => {
  await host.configured(["backup"]);
  const other = commandLine(scratchDirectory());
  makeFolder(`${other.vmail}/a/b`);
  await other.init(["--store", host.store, "--name", "evil\x1b[31m\nname"]);
  const hosts = await other.mailark(["list", "--hosts", "--store", host.store]);
  expect(hosts.code).toBe(0);
  expect(hosts.stdout).toContain("mail.example.com");
  expect(hosts.stdout).toContain("evil\\x1b[31m\\x0aname");
  const which = await other.mailark(["list", "--store", host.store]);
  expect(which.code).toBe(2);
  expect(which.stderr).toMatch(/holds 2 hosts\n {2}h-\w+\n {2}h-\w+\nTry: .*--host/);
  const hostId = /id: (h-\w+)/.exec(readFileSync(host.configPath, "utf8"))![1]!;
  expect((await other.mailark(["list", "--store", host.store, "--host", hostId])).stdout).toContain(
    "3 messages in 1 mailbox",
  );
  expect((await other.mailark(["list", "--store", host.store, "--host", "../x"])).code).toBe(2);
});
