import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Files, nodeFiles } from "../../../../core/ports/files.ts";
import { configsComponent } from "../../../../shipper/components/configs/component.ts";
import { configsConfig } from "../../../../shipper/components/configs/config.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let etc: string;
const pair = () =>
  generateKeyPairSync("rsa", {
    modulusLength: 1024,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
const recordOf = (key: Buffer) => `mail._domainkey IN TXT ( "v=DKIM1; k=rsa; "\n "p=${key.toString("base64")}" )\n`;

/** A directory that only root may pass. */
const closed = () => {
  const directory = `${scratchDirectory()}/closed`;
  mkdirSync(directory, { mode: 0o700 });
  return directory;
};

beforeEach(async () => {
  vault = await createVault();
  etc = `${scratchDirectory()}/etc`;
  for (const name of ["postfix", "dovecot/conf.d", "opendkim/keys"]) mkdirSync(`${etc}/${name}`, { recursive: true });
  writeFileSync(`${etc}/postfix/main.cf`, `myhostname = mx\nvirtual_mailbox_maps = texthash:${etc}/postfix/users\n`);
  writeFileSync(`${etc}/postfix/master.cf`, "smtp inet n - n - - smtpd\n");
  writeFileSync(`${etc}/postfix/users`, "a@example.org x\n");
  writeFileSync(
    `${etc}/dovecot/dovecot.conf`,
    `!include ${etc}/dovecot/conf.d/*.conf\n!include conf.d/10-ssl.conf\nssl_cert = </etc/letsencrypt/live/none/fullchain.pem\n`,
  );
  writeFileSync(`${etc}/dovecot/conf.d/10-ssl.conf`, "ssl = required\n");
  writeFileSync(
    `${etc}/opendkim.conf`,
    `Mode s\nKeyTable ${etc}/opendkim/key.table\nSigningTable refile:${etc}/opendkim/signing.table\n`,
  );
  const { privateKey, publicKey } = pair();
  writeFileSync(`${etc}/opendkim/keys/mail.private`, privateKey, { mode: 0o600 });
  writeFileSync(`${etc}/opendkim/keys/mail.txt`, recordOf(publicKey));
  writeFileSync(`${etc}/opendkim/signing.table`, "*@example.org mail._domainkey.example.org\n");
  writeFileSync(
    `${etc}/opendkim/key.table`,
    `mail._domainkey.example.org example.org:mail:${etc}/opendkim/keys/mail.private\n`,
  );
});
afterEach(() => vault.remove());

/** What is said of the services, once the live files are gone: outcome and words by the first word of the check. */
async function judged(processes: Processes = nodeProcesses, files: Files = nodeFiles) {
  const paths = ["postfix", "dovecot", "opendkim", "opendkim.conf"].map((name) => `${etc}/${name}`);
  const component = configsComponent(configsConfig.parse({ paths }));
  expect((await vault.backup([component])).exitCode).toBe(0);
  rmSync(etc, { recursive: true });
  const place = { kind: "scratch", path: `${scratchDirectory()}/scratch` } as const;
  const staged = await component.stage(await vault.open("configs"), place, {}, vault.world());
  const checks = await component.check(staged, vault.world({ processes, files }));
  await staged.remove();
  return Object.fromEntries(
    checks.map(({ name, outcome, detail }) => [name.replace(/ \/.*/, ""), `${outcome}: ${detail}`.replaceAll(etc, "")]),
  );
}

test.runIf(process.getuid?.() === 0)("checkers run as an account that is nobody else's", async () => {
  const accounts = new Set<string>();
  const processes: Processes = {
    start(command, options) {
      for (const word of command) if (word.startsWith("--reuid=")) accounts.add(word);
      return nodeProcesses.start(command, options);
    },
  };
  await judged(processes);
  expect([...accounts]).toEqual([`--reuid=${0x70000000 + process.pid}`]);
});

/** With another directory for temporary files. */
async function withTemporary<T>(directory: string, act: () => Promise<T>): Promise<T> {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = directory;
  try {
    return await act();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

describe("the services' own checkers", () => {
  test("read what was staged, not what is live, with includes and tables by absolute paths", async () => {
    const own = mkdtempSync("/tmp/mailark-open-");
    chmodSync(own, 0o711);
    expect(await withTemporary(own, judged)).toMatchObject({
      postfix: "passed: postconf reads 3 settings and 1 services, and finds all 1 tables",
      dovecot: expect.stringMatching(/^passed: doveconf reads it with its includes/),
      opendkim: expect.stringMatching(/^passed/),
      "DKIM keys": "passed: 1 can be used, 1 fit the record beside them",
    });
    expect(readdirSync(own).filter((name) => name.startsWith("mailark-check-"))).toEqual([]);
    rmSync(own, { recursive: true });
  });

  const faults: Record<string, { spoil: () => void; check: string; says: RegExp }> = {
    "a service that Postfix can not read": {
      spoil: () => writeFileSync(`${etc}/postfix/master.cf`, "smtp inet\n"),
      check: "postfix",
      says: /^failed: .*bad field count/,
    },
    "a table of Postfix that was missing already": {
      spoil: () => rmSync(`${etc}/postfix/users`),
      check: "postfix",
      says: /^unproven: tables were not there when it was captured: \/postfix\/users/,
    },
    "a setting that Dovecot does not know": {
      spoil: () => writeFileSync(`${etc}/dovecot/conf.d/10-ssl.conf`, "sssl = yes\n"),
      check: "dovecot",
      says: /^failed: .*Unknown setting: sssl/,
    },
    "an include of Dovecot that is missing": {
      spoil: () => rmSync(`${etc}/dovecot/conf.d/10-ssl.conf`),
      check: "dovecot",
      says: /^failed/,
    },
    "a setting that OpenDKIM does not know": {
      spoil: () => writeFileSync(`${etc}/opendkim.conf`, "Modus s\n"),
      check: "opendkim",
      says: /^failed: .*unrecognized parameter/,
    },
    "a table of OpenDKIM that is missing": {
      spoil: () => rmSync(`${etc}/opendkim/key.table`),
      check: "opendkim",
      says: /^failed: .*key\.table.*No such file/,
    },
    "a table of OpenDKIM that was not captured": {
      spoil: () =>
        writeFileSync(
          `${etc}/opendkim.conf`,
          "Mode s\nKeyTable /nowhere/key.table\nSigningTable /nowhere/signing.table\n",
        ),
      check: "opendkim",
      says: /^unproven: it asks for a file that was not captured/,
    },
    "a file of OpenDKIM that was not captured and that nobody may read": {
      spoil: () => {
        const hosts = `${closed()}/hosts`;
        writeFileSync(hosts, "127.0.0.1\n");
        writeFileSync(`${etc}/opendkim.conf`, `Mode v\nInternalHosts ${hosts}\n`);
      },
      check: "opendkim",
      says: /^unproven: it asks for a file that was not captured .*Permission denied/,
    },
    "an include of Dovecot that was not captured and that nobody may read": {
      spoil: () => {
        const included = `${closed()}/x.conf`;
        writeFileSync(included, "ssl = yes\n");
        writeFileSync(`${etc}/dovecot/dovecot.conf`, `ssl = no\n!include ${included}\n`);
      },
      check: "dovecot",
      says: /^unproven: it asks for a file that was not captured .*No matches/,
    },
    "an include of Dovecot by a relative path that is missing": {
      spoil: () => writeFileSync(`${etc}/dovecot/dovecot.conf`, "ssl = no\n!include none/x.conf\n"),
      check: "dovecot",
      says: /^failed: .*No matches/,
    },
    "a DKIM key that is none": {
      spoil: () => writeFileSync(`${etc}/opendkim/keys/mail.private`, "-----BEGIN RSA PRIVATE KEY-----\n"),
      check: "DKIM keys",
      says: /^failed: .*is no key/,
    },
    "a DKIM key that is not the published one": {
      spoil: () => writeFileSync(`${etc}/opendkim/keys/mail.txt`, recordOf(pair().publicKey)),
      check: "DKIM keys",
      says: /^failed: .*not the key of the record beside it/,
    },
    "a DKIM key below a directory that others can write to": {
      spoil: () => execFileSync("chmod", ["777", `${etc}/opendkim/keys`]),
      check: "DKIM key modes",
      says: /^unproven: others can read or replace/,
    },
  };
  test.each(Object.entries(faults))("tell %s", async (_, { spoil, check, says }) => {
    spoil();
    expect((await judged())[check]).toMatch(says);
  });

  test("read the files also where only root may enter the directory for temporary files", async () => {
    expect(await withTemporary(closed(), judged)).toMatchObject({
      postfix: expect.stringMatching(/^passed/),
      dovecot: expect.stringMatching(/^passed/),
      opendkim: expect.stringMatching(/^passed/),
    });
  });

  test("say why they could not read them where they may enter no such directory", async () => {
    const statSync = ((path, options) => {
      const status = nodeFiles.statSync(path, options)!;
      if (/^\/(var\/)?tmp$/.test(String(path))) status.mode = 0o40700;
      return status;
    }) as Files["statSync"];
    expect((await judged(nodeProcesses, { ...nodeFiles, statSync })).postfix).toMatch(/^unproven: .*set TMPDIR/);
  });

  test("that are not installed prove nothing", async () => {
    const processes: Processes = {
      start: (command, options) =>
        nodeProcesses.start(
          command.map((word) => (/^(postconf|doveconf|opendkim)$/.test(word) ? `/nowhere/${word}` : word)) as [string],
          options,
        ),
    };
    const said = await judged(processes);
    for (const name of ["postfix", "dovecot", "opendkim"])
      expect(said[name]).toMatch(/^unproven: .* not installed here/);
  });
});
