import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Files } from "../../../../core/ports/files.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { type MailboxView, viewMailbox, withMailbox } from "../../../../sandbox/host/imap.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import { readIndex, readTable } from "../../../../shipper/components/mail/read-table.ts";
import type { StagedMail } from "../../../../shipper/components/mail/stage.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let host: SandboxHost;
let vault: Vault;
let before: MailboxView;
const address = "alice@example.test";
const labels = Array.from({ length: 30 }, (_, number) => `label-${number + 1}`);

/** The component, with the sandbox's own `doveadm` as one that runs elsewhere. */
function component(script = `shift; exec doveadm -c ${host.dovecot.config} "$@"`) {
  const command = `${vault.directory}/elsewhere`;
  writeFileSync(command, `#!/bin/sh\n${script}\n`);
  chmodSync(command, 0o755);
  return mailComponent(mailConfig.parse({ root: host.vmail, doveadm: { command: [command] } }));
}

beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["dovecot"] }), createVault()]);
  await host.dovecot.addMailbox(address);
  await withMailbox(host, address, async (session) => {
    await session.createFolder("Projekte.日本");
    for (const number of [1, 2, 3, 4, 5]) await session.append("INBOX", `Subject: ${number}\r\n\r\n${number}\r\n`);
    await session.addFlags("INBOX", [1, 3], labels);
    await session.addFlags("INBOX", [2], ["label-28", "\\Flagged"]);
    for (let turn = 0; turn < 5; turn += 1) {
      await session.addFlags("INBOX", [4], ["\\Seen"]);
      await session.removeFlags("INBOX", [4], ["\\Seen"]);
    }
    await session.move("INBOX", [4], "Projekte.日本");
    await session.expunge("INBOX", [5]);
  });
  before = await viewMailbox(host, address);
});
afterAll(async () => {
  vault.remove();
  await host.stop();
});

const onlyIndex = async () => {
  const snapshot = await vault.open("mail");
  const [chain] = [...(await readTable(snapshot)).values()];
  return readIndex(snapshot, chain!);
};

/** Loses all mail and brings it back, as an operator does. */
async function bringBack(files?: Files): Promise<{ view: MailboxView; warnings: string[]; staged: StagedMail }> {
  await host.dovecot.stop();
  rmSync(host.vmail, { recursive: true });
  const warnings: string[] = [];
  const world = { ...vault.world(files && { files }), warn: (message: string) => void warnings.push(message) };
  const staged = await component().stage(await vault.open("mail"), { kind: "service" }, {}, world);
  const checks = await component().check(staged, vault.world());
  // The sandbox's mail belongs to a bare number.
  const open = checks.filter(({ name, outcome }) => outcome !== "passed" && !name.startsWith("their owners"));
  expect(open).toEqual([]);
  await host.dovecot.start();
  return { view: await viewMailbox(host, address), warnings, staged: staged as StagedMail };
}

describe("what Dovecot keeps in its indexes only", () => {
  test("comes back: no counter is lower, and labels above the 26th are there", async () => {
    expect(labels.every((label) => before.folders.INBOX!.messages[0]!.flags.includes(label))).toBe(true);
    const { exitCode, outcomes } = await vault.backup([component()]);
    expect(exitCode).toBe(0);
    expect(outcomes[0]!.manifest!.warnings).toEqual([]);
    const index = await onlyIndex();
    expect([...index.counters.keys()].sort()).toEqual(["Maildir", "Maildir/.Projekte.&ZeVnLA-"]);
    expect([...index.keywords.get("Maildir")!.keys()].sort()).toEqual(["label-27", "label-28", "label-29", "label-30"]);

    const { view, warnings } = await bringBack();
    expect(warnings).toEqual([]);
    expect(view.folders).toEqual(before.folders);
    for (const [folder, { uidNext, highestModseq }] of Object.entries(before.counters)) {
      expect(view.counters[folder]!.highestModseq).toBeGreaterThanOrEqual(highestModseq);
      // Whatever was given out since the snapshot is not given out again.
      expect(view.counters[folder]!.uidNext).toBeGreaterThan(uidNext + 500);
    }
    await withMailbox(host, address, (session) => session.append("INBOX", "Subject: next\r\n\r\n"));
    const { messages } = (await viewMailbox(host, address)).folders.INBOX!;
    expect(messages.at(-1)!.uid).toBeGreaterThan(before.counters.INBOX!.uidNext + 500);
  });

  test("is said to be missing where there is no Dovecot at the restore", async () => {
    const { files } = vault.world();
    const statSync = ((path: string, ...rest: []) =>
      String(path).endsWith("/dovecot/imap") ? undefined : files.statSync(path, ...rest)) as typeof files.statSync;
    const { view, warnings } = await bringBack({ ...files, statSync });
    expect(warnings).toEqual([expect.stringContaining("Dovecot's counters could not be raised")]);
    expect(view.folders.INBOX!.messages.map(({ uid }) => uid)).toEqual([1, 2, 3]);
  });
});

describe("a capture goes on where doveadm", () => {
  test.each([
    ["fails", "echo 'auth is down' >&2; exit 75"],
    ["is not there", "exec /nowhere/doveadm"],
  ])("%s, and says so", async (_, script) => {
    const { exitCode, outcomes } = await vault.backup([component(script)]);
    expect(exitCode).toBe(0);
    expect(outcomes[0]!.manifest).toMatchObject({
      completeness: "complete",
      warnings: [{ code: "DOVECOT_NOT_ASKED", count: 1 }],
    });
    expect((await onlyIndex()).counters.size).toBe(0);
  });

  test("says nothing that can be understood", async () => {
    await vault.backup([component("echo hello; printf 'a\\tb\\n\\xff\\n'")]);
    expect((await onlyIndex()).counters.size).toBe(0);
  });

  test("is not to be asked", async () => {
    const config = { root: host.vmail, doveadm: { command: ["/nowhere"], enabled: "never" } };
    const { outcomes } = await vault.backup([mailComponent(mailConfig.parse(config))]);
    expect(outcomes[0]!.manifest!.warnings).toEqual([]);
  });
});
