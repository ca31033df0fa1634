import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, treeOf } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: CommandLine;
const restore = (...words: string[]) =>
  host.configured(["restore", "mail", "--identity", host.identity, "--to", "out", ...words]);

beforeEach(async () => {
  host = commandLine(scratchDirectory());
  for (const user of ["a", "b"]) makeFolder(`${host.vmail}/d/${user}`);
  await host.init();
  await host.configured(["backup"]);
});

/** One key that a person had erased, or a disk lost. */
function eraseOneKey(): string {
  const [hostId] = readdirSync(join(host.storeDirectory, "keyring"));
  const keyring = join(host.storeDirectory, "keyring", hostId!);
  const owner = readdirSync(keyring).find((name) => name !== "host")!;
  rmSync(join(keyring, owner), { recursive: true });
  return owner;
}

test("a mailbox whose key was erased is named by its owner id, the other is there, and the exit status says so", async () => {
  const owner = eraseOneKey();
  const plan = await restore("--dry-run");
  expect([plan.code, plan.stderr]).toEqual([0, ""]);
  expect(plan.stdout).toMatch(new RegExp(`${owner}: unreadable`));
  const said = await restore();
  expect(said.code).toBe(4);
  expect(said.stdout).toMatch(new RegExp(`every mailbox came back +FAILED +.*${owner}`));
  expect(said.stderr).toMatch(new RegExp(`Warning: a mailbox could not be restored[\\s\\S]*${owner}`));
  expect(Object.keys(treeOf(join(host.directory, "out"))).filter((path) => /^d\/[ab]$/.test(path))).toHaveLength(1);
});

test("a new volume with its lost+found is an empty place", async () => {
  mkdirSync(join(host.directory, "out/lost+found"), { recursive: true });
  expect(await restore()).toMatchObject({ code: 0, stderr: "" });
});
