import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import type { StagedMail } from "../../../../shipper/components/mail/stage.ts";
import { nodeProcesses } from "../../../../shipper/processes.ts";
import { makeFolder, uidlist, writeFile } from "../../../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let staged: StagedMail;
let commands: string[][];
const component = () => mailComponent(mailConfig.parse({ root: `${vault.directory}/vmail` }));
const restored = (path: string) => `${vault.directory}/out/a.org/u/Maildir/${path}`;

beforeEach(async () => {
  vault = await createVault();
  const maildir = `${vault.directory}/vmail/a.org/u/Maildir`;
  makeFolder(maildir);
  for (const number of [1, 2, 3]) writeFile(`${maildir}/cur/${number}.a:2,S`, `message ${number}`);
  writeFile(`${maildir}/dovecot-uidlist`, uidlist(1, ["1.a", "2.a", "3.a"]));
  expect((await vault.backup([component()])).exitCode).toBe(0);
  commands = [];
  const processes: typeof nodeProcesses = {
    start(command, options) {
      commands.push([...command]);
      return nodeProcesses.start(command, options);
    },
  };
  const place = { kind: "directory", path: `${vault.directory}/out` } as const;
  staged = (await component().stage(await vault.open("mail"), place, {}, vault.world({ processes }))) as StagedMail;
});
afterEach(() => vault.remove());

const shown = "an IMAP server shows them";
const failed = async () => {
  const checks = await component().check(staged, vault.world());
  return checks.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
};

test("what was restored is on the disk before that is said", () => {
  expect(commands).toContainEqual(["sync", "--file-system", `${vault.directory}/out`]);
});

describe("a check", () => {
  test("finds nothing wrong with what was captured", async () => {
    expect(await failed()).toEqual([]);
  });

  test("finds a message that is missing after a restore", async () => {
    unlinkSync(restored("cur/2.a:2,S"));
    expect(await failed()).toEqual(["every message is in its folder", "as many as were captured", shown]);
  });

  test("finds every message that is missing, also one that it would have read again", async () => {
    for (const number of [1, 2, 3]) unlinkSync(restored(`cur/${number}.a:2,S`));
    expect(await failed()).toContain("messages read back as they were captured");
  });

  test("finds a message that changed after a restore", async () => {
    const sample = [1, 2, 3].map((number) => restored(`cur/${number}.a:2,S`));
    for (const path of sample) writeFileSync(path, readFileSync(path, "utf8").toUpperCase());
    expect(await failed()).toEqual(["messages read back as they were captured", shown]);
  });

  test.each([
    ["does not ascend", "3 V1 N4 G0\n1 :1.a\n3 :2.a\n2 :3.a\n"],
    ["was cut off", "3 V1 N4 G0\n1 :1.a\n2 :2.a\n3 :3"],
    ["is of another version", "4 V1 N4 G0\n1 :1.a\n"],
    ["has no UIDVALIDITY", "3 N4 G0\n1 :1.a\n"],
  ])("finds a uidlist that %s", async (_, text) => {
    writeFileSync(restored("dovecot-uidlist"), text);
    expect(await failed()).toEqual(["UIDs of every folder are sound", shown]);
  });

  test.each([
    ["an account of this machine", process.getuid!(), "passed"],
    ["nobody here", 4_000_123, "unproven"],
  ])("of mailboxes in their service says whether their owner is %s", async (_, uid, outcome) => {
    const root = `${vault.directory}/live`;
    const service = mailComponent(mailConfig.parse({ root, owner: { uid, gid: uid } }));
    const inService = await service.stage(await vault.open("mail"), { kind: "service" }, {}, vault.world());
    const checks = await service.check(inService, vault.world());
    expect(checks).toContainEqual(
      expect.objectContaining({ name: "their owners are accounts of this machine", outcome }),
    );
  });
});
