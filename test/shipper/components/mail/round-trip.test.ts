import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MailarkError } from "../../../../core/errors.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import { leftOutOfSnapshots, makeFolder, makeOddMailboxes, treeOf, writeFile } from "../../../fixtures/mailboxes.ts";
import { contentsOf, createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let root: string;
const component = () => mailComponent(mailConfig.parse({ root }));
const stage = async (target: string, selection = {}) =>
  component().stage(await vault.open("mail"), { kind: "directory", path: target }, selection, vault.world());

beforeEach(async () => {
  vault = await createVault();
  root = `${vault.directory}/vmail`;
});
afterEach(() => vault.remove());

test("mailboxes come back as they were: names, content, flags, times, modes, links, owners", async () => {
  makeOddMailboxes(root);
  const { exitCode, outcomes } = await vault.backup([component()]);
  expect(exitCode).toBe(0);
  expect(outcomes[0]?.manifest).toMatchObject({
    completeness: "complete",
    facts: { mailboxes: 4, messages: 67, folders: 7, files: 4 },
    warnings: [],
  });

  const staged = await stage(`${vault.directory}/out`);
  const expected = treeOf(root, leftOutOfSnapshots);
  // One of two messages under one name comes back under a name of its own.
  const found = treeOf(`${vault.directory}/out`);
  const copies = Object.keys(found).filter((path) => path.includes("9.same"));
  expect(copies).toHaveLength(2);
  const others = (tree: Record<string, string>) =>
    Object.entries(tree).filter(([path]) => path !== "." && path.includes("/") && !path.includes("9.same"));
  expect(Object.fromEntries(others(found))).toEqual(Object.fromEntries(others(expected)));

  const checks = await component().check(staged, vault.world());
  expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
  expect(checks.find(({ name }) => name === "an IMAP server shows them")).toMatchObject({
    outcome: "passed",
    detail:
      "65 messages in 7 folders, the text of 4; 2 folders under another name, theirs is none in IMAP; not 2 files with a line feed in their name",
  });
});

test("one mailbox is brought back alone, by its address or by its path", async () => {
  makeOddMailboxes(root);
  await vault.backup([component()]);
  await stage(`${vault.directory}/by-address`, { mailboxes: ["alice@example.com"] });
  await stage(`${vault.directory}/by-path`, { mailboxes: ["example.com/alice"] });
  const found = treeOf(`${vault.directory}/by-address`);
  expect(found).toEqual(treeOf(`${vault.directory}/by-path`));
  expect(Object.keys(found).filter((path) => /^[^/]+\/[^/]+$/.test(path))).toEqual(["example.com/alice"]);
});

test("a mailbox that was not captured is named, and nothing is left of the attempt", async () => {
  makeOddMailboxes(root);
  await vault.backup([component()]);
  const failing = stage(`${vault.directory}/out`, { mailboxes: ["alice@example.com", "nobody@example.com"] });
  await expect(failing).rejects.toMatchObject({ code: "ARGUMENT_INVALID", detail: "nobody@example.com" });
  expect(Object.keys(treeOf(`${vault.directory}/out`))).toEqual(["."]);
});

test("a target that holds something is refused before anything is touched", async () => {
  makeOddMailboxes(root);
  await vault.backup([component()]);
  writeFile(`${vault.directory}/out/mine`, "mine");
  const before = treeOf(`${vault.directory}/out`);
  await expect(stage(`${vault.directory}/out`)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  expect(treeOf(`${vault.directory}/out`)).toEqual(before);
});

test("a message that IMAP copied is stored once", async () => {
  makeFolder(`${root}/a.org/u/Maildir`);
  const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000)));
  for (let number = 0; number < 20; number += 1) writeFile(`${root}/a.org/u/Maildir/cur/${number}.same:2,S`, noise);
  const { outcomes } = await vault.backup([component()]);
  const stored = outcomes[0]?.manifest?.packs.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(stored).toBeGreaterThan(60_000);
  expect(stored).toBeLessThan(80_000);
});

test("what the layout does not explain, and what is no file, is counted and not passed over in silence", async () => {
  makeOddMailboxes(root);
  writeFile(`${root}/stray`, "");
  writeFile(`${root}/example.com/stray.sieve`, "");
  execFileSync("mkfifo", [
    `${root}/example.com/alice/Maildir/pipe`,
    `${root}/example.com/alice/Maildir/cur/7.pipe:2,S`,
  ]);
  const { outcomes } = await vault.backup([component()]);
  expect(outcomes[0]?.manifest?.warnings).toEqual([
    { code: "OUTSIDE_THE_LAYOUT", count: 2 },
    { code: "SPECIAL_FILE_LEFT_OUT", count: 2 },
  ]);
});

test("a mailbox that can not be read makes the snapshot partial, and the others are in it", async () => {
  makeOddMailboxes(root);
  const { files } = vault.world();
  const failing = {
    ...files,
    readdirSync: ((path: Buffer, ...rest: []) => {
      if (path.toString().includes("/alice/Maildir/.Sent")) {
        throw Object.assign(new Error("EIO: i/o error, scandir"), { code: "EIO", syscall: "scandir" });
      }
      return files.readdirSync(path, ...rest);
    }) as unknown as typeof files.readdirSync,
  };
  const { exitCode, outcomes } = await vault.backup([component()], { files: failing });
  expect(exitCode).toBe(3);
  expect(outcomes[0]?.manifest).toMatchObject({
    completeness: "partial",
    facts: { mailboxes: 3 },
    warnings: [{ code: "MAILBOX_NOT_CAPTURED", count: 1 }],
  });
  await stage(`${vault.directory}/out`);
  expect(Object.keys(treeOf(`${vault.directory}/out`))).toContain("example.com/empty/Maildir/cur");
});

test("no address and no folder name stands in the store, but sealed", async () => {
  makeOddMailboxes(root);
  writeFile(`${root}/example.com/confidential-person/Maildir/cur/1.a:2,S`, "x");
  await vault.backup([component()]);
  for (const key of Object.keys(await contentsOf(vault.store))) {
    expect(key).not.toMatch(/alice|example|confidential/);
    if (key.includes("/break-glass/")) continue;
    for await (const chunk of vault.store.get(key)) {
      expect(Buffer.from(chunk).toString("latin1")).not.toMatch(/alice|confidential|Sent/);
    }
  }
});

test("a root that is not there fails the component, with its path for the operator only", async () => {
  const { exitCode, outcomes } = await vault.backup([component()]);
  expect(exitCode).toBe(1);
  const { error } = outcomes[0]!;
  expect(error).toBeInstanceOf(MailarkError);
  expect(error?.message).not.toContain(root);
  expect(error?.detail).toContain(root);
});
