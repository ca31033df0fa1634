import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withMailbox } from "../../sandbox/host/imap.ts";
import { look, type Sight } from "../../sandbox/host/sight.ts";
import { queueSettled } from "../../sandbox/host/smtp.ts";
import { startWholeHost, type WholeHost } from "../fixtures/whole-host.ts";

const program = new URL("../../shipper/mailark.ts", import.meta.url).pathname;

let whole: WholeHost;
let before: Sight;

beforeAll(async () => {
  whole = await startWholeHost({ mailboxes: 3, messages: 6, queued: 2 });
  before = await look(whole.host, whole.addresses);
  expect((await whole.mailark(["backup"])).code).toBe(0);
  await whole.loseMachine();
});
afterAll(() => whole.stop());

/** The commands of a page's section, in their order. */
function commandsOf(page: string, heading: string): string[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), "utf8");
  const [, section = ""] = text.split(`\n## ${heading}\n`);
  return [...section.split("\n## ")[0]!.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, lines = ""]) => lines);
}

/** The programs of the page, on the sandbox's services instead of the machine's. */
function makePrograms(folder: string): void {
  const { host, config } = whole;
  const real = (name: string) => execFileSync("which", [name], { encoding: "utf8" }).trim();
  const wrap = (name: string, words: string) =>
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  mkdirSync(folder);
  wrap("mailark", `${process.execPath} ${program} --config ${config}`);
  for (const name of ["postqueue", "postsuper", "sendmail"]) {
    wrap(name, `env MAIL_CONFIG=${host.postfix.configDirectory} ${real(name)}`);
  }
  wrap("doveadm", `${real("doveadm")} -c ${host.dovecot.config}`);
}

test("every command of the disaster page does what the page says, in its order, on a machine that was lost", async () => {
  const { host, addresses, operator, commandLine, fingerprint, identity } = whole;
  const [alice = ""] = addresses;
  const folder = join(operator, "bin");
  makePrograms(folder);
  const commands = commandsOf("guide.md", "When the host is gone");
  expect(commands.length).toBeGreaterThan(6);
  const key = readFileSync(identity);
  const said: string[] = [];
  for (const lines of commands) {
    const script = lines
      .replaceAll("file:///mnt/backup/mailark", commandLine.store)
      .replaceAll("FINGERPRINT", fingerprint)
      .replaceAll("alice@example.com", alice)
      .replaceAll("/etc/", `${host.etc}/`);
    const env = { PATH: [folder, process.env.PATH].join(delimiter) };
    // This process must go on meanwhile: it is what starts and stops the services.
    said.push((await execa("sh", ["-ec", script], { cwd: operator, input: key, env })).stdout);
    await queueSettled(host);
  }
  const all = said.join("\n");
  expect(all).toContain("Nothing was written: this was a dry run.");
  expect(all).toContain("7 of 7 components are back");
  expect(all).toMatch(/INBOX messages=\d+/);
  expect(all).toContain("customer-1@deferred.test");

  const after = await look(host, addresses);
  expect({ ...after, mailboxes: {}, files: {}, queue: [] }).toEqual({ ...before, mailboxes: {}, files: {}, queue: [] });
  const letters = await withMailbox(host, alice, async (session) => session.uids("INBOX"));
  const own = await withMailbox(host, alice, async (session) => session.read("INBOX", letters.at(-1)!));
  expect(own.toString()).toContain("Subject: back again");
  expect(await host.postfix.command("postqueue", "-p")).not.toMatch(/^[0-9A-Za-z]+!/m);
  expect(readdirSync(operator)).not.toContain("recovery.key");
  expect(readdirSync(host.etc).filter((name) => name.includes(".before-mailark-"))).toEqual([]);
});
