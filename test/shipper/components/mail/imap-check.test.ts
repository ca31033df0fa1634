import { chmodSync, lstatSync, readdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Place } from "../../../../shipper/components/component.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import type { StagedMail } from "../../../../shipper/components/mail/stage.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import {
  makeFolder,
  makeOddMailboxes,
  makeOwnMaildirs,
  treeOf,
  uidlist,
  writeFile,
} from "../../../fixtures/mailboxes.ts";
import { createVault, type Ports, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let root: string;
let target: string;
const component = () => mailComponent(mailConfig.parse({ root }));

beforeEach(async () => {
  vault = await createVault();
  root = `${vault.directory}/vmail`;
  target = `${vault.directory}/out`;
});
afterEach(() => vault.remove());

async function staged(place: Place = { kind: "directory", path: target }): Promise<StagedMail> {
  expect((await vault.backup([component()])).exitCode).toBe(0);
  if (place.kind === "service") rmSync(root, { recursive: true });
  return (await component().stage(await vault.open("mail"), place, {}, vault.world())) as StagedMail;
}

async function shownBy(mail: StagedMail, ports: Ports = {}) {
  const { processes = nodeProcesses } = ports;
  const watched: Processes = {
    start(command, options) {
      for (const word of command) own.add(/mailark-imap-[0-9a-f]+/.exec(word)?.[0] ?? "");
      return processes.start(command, options);
    },
  };
  const checks = await component().check(mail, vault.world({ ...ports, processes: watched }));
  return checks.find(({ name }) => name === "an IMAP server shows them")!;
}

/** Everything that a server could change: names, contents, inodes, and when they were changed. */
function stampsBelow(top: string): Record<string, string> {
  const tree = treeOf(top);
  for (const path of Object.keys(tree)) {
    const { ino, ctimeMs, mtimeMs } = lstatSync(Buffer.from(`${top}/${path}`, "latin1"));
    tree[path] += ` ${ino} ${ctimeMs} ${mtimeMs}`;
  }
  return tree;
}

/** Directories that a check made for its server, by name. */
const own = new Set<string>();
const left = () => readdirSync(tmpdir()).filter((name) => own.has(name));

function makeMailbox(): string {
  const maildir = `${root}/a.org/u/Maildir`;
  for (const folder of ["", "/.Sent", "/.Projekte.&ZeVnLA-"]) makeFolder(maildir + folder);
  for (const number of [1, 2, 3]) writeFile(`${maildir}/cur/${number}.a:2,Sa`, `Subject: ${number}\n\nmessage\n`);
  writeFile(`${maildir}/new/4.a`, "Subject: new\r\n\r\nwith\0zero\r\n");
  writeFile(`${maildir}/dovecot-uidlist`, uidlist(77, ["1.a", "2.a", "3.a", "4.a"]));
  writeFile(`${maildir}/dovecot-keywords`, "0 todo\n");
  writeFile(`${maildir}/.Sent/cur/5.a:2,RS`, "Subject: sent\n\nsent\n");
  writeFile(`${maildir}/.Sent/dovecot-uidlist`, "3 V78 N9 G00000000000000000000000000000001\n7 Gother-name :5.a\n");
  return "a.org/u/Maildir";
}

describe("an IMAP server of its own", () => {
  test.each(["directory", "service", "scratch"] as const)(
    "reads what was restored to a %s, and changes nothing",
    async (kind) => {
      makeMailbox();
      makeOddMailboxes(root);
      makeOwnMaildirs(root);
      const mail = await staged(kind === "service" ? { kind } : { kind, path: target });
      // Its own directory comes and goes at a scratch place.
      const stamps = (top: string) => ({ ...stampsBelow(top), ".": kind === "scratch" });
      const there = stamps(mail.root);
      expect(await shownBy(mail)).toMatchObject({
        outcome: "passed",
        detail: expect.stringMatching(/^73 messages in 12/),
      });
      expect(stamps(mail.root)).toEqual(there);
      expect(left()).toEqual([]);
      await mail.remove();
    },
  );

  test("shows folders in directories (LAYOUT=fs), and a mailbox with several tops", async () => {
    const mail = `${root}/a.org/u/mail`;
    for (const folder of ["INBOX", "Sent", "Sent/2024", "Entw&APw-rfe"]) {
      makeFolder(`${mail}/${folder}`);
      writeFile(`${mail}/${folder}/cur/1.${folder.replace("/", "-")}:2,S`, "Subject: x\n\nx\n");
    }
    writeFile(`${root}/a.org/u/mail/Sent/2024/dovecot-uidlist`, uidlist(5, ["1.Sent-2024"]));
    const detail = "4 messages in 4 folders, the text of 4";
    expect(await shownBy(await staged())).toMatchObject({ outcome: "passed", detail });
  });

  test.each<[string, (maildir: string) => void, RegExp]>([
    ["a message that is gone", (at) => unlinkSync(`${at}/cur/2.a:2,Sa`), /4 messages expected, 3 shown/],
    ["a flag that changed", (at) => renameSync(`${at}/cur/2.a:2,Sa`, `${at}/cur/2.a:2,FSa`), /message 2 had the flags/],
    ["a keyword that changed", (at) => writeFileSync(`${at}/dovecot-keywords`, ""), /dovecot-keywords is not/],
    [
      "another time",
      (at) => writeFile(`${at}/cur/3.a:2,Sa`, "Subject: 3\n\nmessage\n", { seconds: 5 }),
      /another time/,
    ],
    ["another text", (at) => writeFile(`${at}/cur/1.a:2,Sa`, "Subject: 1\n\nMESSAGE\n"), /another text/],
    [
      "other UIDs",
      (at) => writeFileSync(`${at}/dovecot-uidlist`, uidlist(77, ["2.a", "1.a", "3.a", "4.a"])),
      /uidlist is not/,
    ],
    ["no UIDs any more", (at) => unlinkSync(`${at}/dovecot-uidlist`), /uidlist is not the one that was captured/],
    ["a message that nobody sent", (at) => writeFile(`${at}/cur/9.a:2,S`, "new"), /was not captured/],
    ["a folder that is gone", (at) => rmSync(`${at}/.Sent`, { recursive: true }), /Sent: not there/],
  ])("finds %s", async (_, change, detail) => {
    const path = makeMailbox();
    const mail = await staged();
    change(`${target}/${path}`);
    const { outcome, detail: said } = await shownBy(mail);
    expect({ outcome, said }).toEqual({ outcome: "failed", said: expect.stringMatching(detail) });
  });

  test("says of a server that breaks off that it failed", async () => {
    makeMailbox();
    const mail = await staged();
    expect(
      await shownBy(mail, { processes: insteadOfImap("printf '* PREAUTH hello\\r\\n'; read line; exit 9") }),
    ).toMatchObject({
      outcome: "failed",
      detail: expect.stringContaining("the IMAP server gave up"),
    });
  });
});

describe("nothing is proven", () => {
  test("without Dovecot", async () => {
    makeMailbox();
    const mail = await staged();
    const { files } = vault.world();
    const statSync = ((path: string, ...rest: []) =>
      String(path).endsWith("/dovecot/imap") ? undefined : files.statSync(path, ...rest)) as typeof files.statSync;
    expect(await shownBy(mail, { files: { ...files, statSync } })).toEqual({
      name: "an IMAP server shows them",
      outcome: "unproven",
      detail: "Dovecot is not installed here: install dovecot-imapd; it needs not run as a service",
    });
  });

  test("by a Dovecot that does not come up", async () => {
    makeMailbox();
    const mail = await staged();
    expect(await shownBy(mail, { processes: insteadOfImap("echo 'no such setting' >&2; exit 89") })).toMatchObject({
      outcome: "unproven",
      detail: "the IMAP server did not come up: no such setting",
    });
    expect(left()).toEqual([]);
  });

  test.runIf(process.getuid?.() === 0)("where only root may read what was restored", async () => {
    makeMailbox();
    const mail = await staged();
    chmodSync(target, 0o700);
    const processes: Processes = {
      start: (command, options) =>
        nodeProcesses.start(command.filter((word) => !/-caps=/.test(word)) as [string], options),
    };
    expect(await shownBy(mail, { processes })).toMatchObject({
      outcome: "unproven",
      detail: expect.stringContaining("DAC_READ_SEARCH"),
    });
  });
});

test("one server reads many mailboxes, also when it has more to say than a pipe holds", async () => {
  for (let number = 0; number < 30; number += 1) {
    const maildir = `${root}/a.org/user-${number}/Maildir`;
    for (const folder of ["", "/.Sent"]) {
      makeFolder(maildir + folder);
      writeFile(`${maildir}${folder}/cur/1.x:2,S`, `Subject: ${number}\n\n${"some text\n".repeat(800)}`);
    }
  }
  const mail = await staged();
  let servers = 0;
  const processes: Processes = {
    start(command, options) {
      if (command.some((word) => word.endsWith("/dovecot/imap"))) servers += 1;
      return nodeProcesses.start(command, options);
    },
  };
  const detail = "60 messages in 60 folders, the text of 60";
  expect(await shownBy(mail, { processes })).toMatchObject({ outcome: "passed", detail });
  expect(servers).toBe(2);
});

function insteadOfImap(script: string): Processes {
  return {
    start(command, options) {
      const at = command.findIndex((word) => word.endsWith("/dovecot/imap"));
      const words = at === -1 ? command : [...command.slice(0, at), "sh", "-c", script];
      return nodeProcesses.start(words as [string, ...string[]], options);
    },
  };
}
