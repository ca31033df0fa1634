import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { generateIdentity, recipientOf } from "../../../core/age/age.ts";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, nodeFiles } from "../../../core/ports/files.ts";
import type { Processes } from "../../../shipper/processes.ts";
import { findMail, placeOfMail } from "../../../shipper/survey/find-mail.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { errnoError } from "../../fixtures/faults.ts";
import { makeFolder, treeOf } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const raise = (code: string) => {
  throw errnoError(code);
};
let host: CommandLine;
beforeEach(() => {
  host = commandLine(scratchDirectory());
  makeFolder(`${host.vmail}/example.com/alice/Maildir`);
});
const places = () => [
  ...["--store", host.store, "--mail-root", host.vmail, "--state", join(host.directory, "state")],
  ...["--component", "mail", "mysql"],
];
const modeOf = (path: string) => lstatSync(path).mode & 0o777;

test("init writes a private, commented configuration, a private signing key and an enrolment, and prints the sheet", async () => {
  const { code, stdout, stderr } = await host.init();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(modeOf(host.configPath)).toBe(0o600);
  expect(modeOf(join(host.directory, "etc"))).toBe(0o700);
  expect(modeOf(join(host.directory, "etc/signing.pem"))).toBe(0o600);
  const config = readFileSync(host.configPath, "utf8");
  expect(config).toMatch(/^# .*\n/);
  expect(config).toContain(`root: ${host.vmail}`);
  expect(config).toContain('layout: "{domain}/{user}"');
  const [hostId = ""] = readdirSync(join(host.storeDirectory, "hosts"));
  expect(hostId).toMatch(/^h-[0-9a-f]{20}$/);
  expect(readdirSync(join(host.storeDirectory, "hosts", hostId, "enrol"))).toHaveLength(1);
  for (const said of [
    hostId,
    host.store,
    "mail.example.com",
    "restore.sh",
    "mailark restore --all",
    "mailark restore mail",
  ])
    expect(stdout).toContain(said);
  const key = /AGE-SECRET-KEY-1[A-Z0-9]+/.exec(stdout)![0];
  expect(config).toContain(`recovery: ${recipientOf(key)}`);
});

test("the recovery key is printed once, and is nowhere on the disk", async () => {
  const { stdout } = await host.mailark(["init", "--config", host.configPath, ...places(), "--yes"]);
  const keys = stdout.match(/AGE-SECRET-KEY-1[A-Z0-9]+/g);
  expect(keys).toHaveLength(1);
  const contents = Object.keys(treeOf(host.directory))
    .map((path) => join(host.directory, path))
    .filter((path) => lstatSync(path).isFile())
    .map((path) => readFileSync(path, "latin1"));
  expect(contents.length).toBeGreaterThan(2);
  for (const content of contents) expect(content).not.toContain("AGE-SECRET-KEY");
});

test("a host that is configured already is refused, and everything stays as it was", async () => {
  await host.init();
  const before = treeOf(host.directory);
  const again = await host.init();
  expect(again).toMatchObject({ code: 7, stdout: "" });
  expect(again.stderr).toMatch(/configured already[\s\S]*Try: go on with `mailark backup`/);
  expect(treeOf(host.directory)).toEqual(before);
});

test("without a terminal the recovery key is printed only when that is wanted", async () => {
  const words = ["init", "--config", host.configPath, ...places()];
  const before = treeOf(host.directory);
  const refused = await host.mailark(words);
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toMatch(/--recovery-recipient.*--yes/);
  expect(treeOf(host.directory)).toEqual(before);
  expect((await host.mailark(words, { terminal: true })).stdout).toContain("AGE-SECRET-KEY-1");
});

test("with a recovery key of one's own no private key is made or printed", async () => {
  const own = generateIdentity();
  const drill = generateIdentity();
  const words = ["--recovery-recipient", own.recipient, "--drill-recipient", drill.recipient];
  const { code, stdout } = await host.mailark(["init", "--config", host.configPath, ...places(), ...words]);
  expect(code).toBe(0);
  expect(stdout).not.toContain("AGE-SECRET-KEY");
  expect(stdout).toContain(own.recipient);
  const config = readFileSync(host.configPath, "utf8");
  expect(config).toContain(`recovery: ${own.recipient}\ndrill: ${drill.recipient}`);
});

test("a private key in the place of a public one is refused and not repeated", async () => {
  const { identity } = generateIdentity();
  const said = await host.init(["--recovery-recipient", identity]);
  expect(said.code).toBe(2);
  expect(said.stdout + said.stderr).not.toContain(identity);
  expect(said.stderr).toContain("this is a private key");
});

test("an init that fails half-way is simply run again", async () => {
  const broken = {
    ...nodeFiles,
    linkSync: () => {
      throw Object.assign(new Error("EIO"), { code: "EIO", syscall: "link" });
    },
  };
  const words = ["init", "--config", host.configPath, ...places(), "--yes"];
  expect((await host.mailark(words, { ports: { files: broken } })).code).toBe(1);
  expect(existsSync(host.configPath)).toBe(false);
  expect((await host.init()).code).toBe(0);
  expect((await host.configured(["backup"])).code).toBe(0);
});

test("a sheet that could not be printed leaves no host that backs up for nobody", async () => {
  const words = ["init", "--config", host.configPath, ...places(), "--yes"];
  expect((await host.mailark(words, { fullDisk: true })).code).toBe(1);
  expect(existsSync(host.configPath)).toBe(false);
});

test("names and paths that YAML would misread come back as they are", async () => {
  for (const name of ["yes", "0x10", "a: b # c", "ümlaut 'x' \"y\"", "2026-11-21", "null"]) {
    const other = commandLine(scratchDirectory());
    makeFolder(`${other.directory}/vm: #ail/a.org/u`);
    const said = await other.init(["--name", name, "--mail-root", join(other.directory, "vm: #ail")]);
    expect(said).toMatchObject({ code: 0 });
    expect((await other.configured(["backup", "--dry-run"])).stdout).toContain("a.org/u");
    expect((await other.configured(["list", "--hosts", "--json"])).json.hosts[0].name).toBe(name);
  }
});

test("init says it with --json as well", async () => {
  const { json } = await host.init(["--json"]);
  expect(json).toMatchObject({
    command: "init",
    name: "mail.example.com",
    store: host.store,
    config: host.configPath,
    recoveryKey: expect.stringMatching(/^AGE-SECRET-KEY-1/),
    fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    components: ["mail"],
    restore: [expect.stringContaining("mailark restore --all"), expect.stringContaining("mailark restore mail")],
    breakGlass: [expect.stringContaining("restore.sh")],
  });
});

test("an option file names its server: no socket of the machine is written beside it", async () => {
  await host.init(["--mysql-defaults-file", "client.cnf"]);
  const config = readFileSync(host.configPath, "utf8");
  expect(config).toContain(`  mysql:\n    defaults-file: ${join(host.directory, "client.cnf")}\n    databases: all\n`);
  await host.mailark(["init", "--config", "other.yaml", ...places(), "--yes", "--mysql-socket", "my.sock"]);
  expect(readFileSync(join(host.directory, "other.yaml"), "utf8")).toContain(
    `socket: ${join(host.directory, "my.sock")}`,
  );
});

describe("wrong words are refused before anything is written:", () => {
  test.each([
    ["a store that is no URL", ["--store", "/srv/backup"], /file:\/\/\/srv\/backup/],
    ["a mail root that is not there", ["--mail-root", "/nowhere/vmail"], /no directory/],
    ["a key that is none", ["--drill-recipient", "age1x"], /not a valid age public key/],
  ])("%s", async (_, words, message) => {
    const before = treeOf(host.directory);
    const said = await host.init(words);
    expect(said).toMatchObject({ code: 2, stdout: "" });
    expect(said.stderr).toMatch(message);
    expect(treeOf(host.directory)).toEqual(before);
  });
});

test("the keys of another store are forgotten before the host is introduced to a new one", async () => {
  await host.init();
  await host.configured(["backup"]);
  const [state = ""] = readdirSync(join(host.directory, "state")).filter((name) => name !== "audit.jsonl");
  const keys = join(host.directory, "state", state, "keys.json");
  await host.configured(["enrol"]);
  expect(existsSync(keys)).toBe(true);
  rmSync(host.storeDirectory, { recursive: true });
  const full = { ...nodeFiles, linkSync: () => raise("ENOSPC") } as unknown as Files;
  expect((await host.configured(["enrol"], { ports: { files: full } })).code).toBe(1);
  expect(existsSync(keys)).toBe(false);
});

test("a store that is new is enrolled in, once", async () => {
  await host.init();
  const other = `file://${join(host.directory, "other")}`;
  mkdirSync(join(host.directory, "other"));
  host.edit((text) => text.replace(host.store, other));
  const strange = await host.configured(["backup"]);
  expect(strange.code).toBe(6);
  expect(strange.stderr).toContain("mailark enrol");
  expect((await host.configured(["enrol"])).stdout).toContain("knows this host now");
  expect((await host.configured(["enrol"])).stdout).toContain("knew this host already");
  expect((await host.configured(["backup"])).code).toBe(0);
  expect((await host.configured(["verify"])).code).toBe(0);
  rmSync(join(host.directory, "other"), { recursive: true });
  const unmounted = await host.configured(["backup"]);
  expect(unmounted.code).toBe(6);
  expect(unmounted.stderr).toContain("mount");
  expect(existsSync(join(host.directory, "other"))).toBe(false);
});

describe("a search for mail", () => {
  const processes = (answers: Record<string, string>): Processes => ({
    start: async ([program, , name]) => {
      if (program !== "doveconf" || name === undefined) throw new MailarkError("PROGRAM_MISSING", "none");
      const { nodeProcesses } = await import("../../../shipper/processes.ts");
      return nodeProcesses.start(["printf", "%s\\n", answers[name] ?? ""]);
    },
  });
  const look = (mailRoot?: string, answers: Record<string, string> = {}) =>
    findMail({ files: nodeFiles, processes: processes(answers), signal: new AbortController().signal, mailRoot });

  test.each([
    ["{domain}/{user}", "example.com/alice"],
    ["{domain}/{user}", "example.com/alice/Maildir"],
    ["{domain}/{user}", "example.com/alice/mail"],
    ["{user}", "alice"],
    ["{user}", "alice/Maildir"],
  ])("tells the layout %s from %s", async (layout, path) => {
    const root = scratchDirectory();
    makeFolder(join(root, path));
    expect(await look(root)).toMatchObject({ root, layout });
  });

  test("asks Dovecot where the mail is", async () => {
    makeFolder(`${host.vmail}/a.org/u/Maildir`);
    const mail = await look(undefined, { mail_location: "maildir:~/Maildir", mail_home: `${host.vmail}/%d/%n` });
    expect(mail).toEqual({ root: host.vmail, layout: "{domain}/{user}", from: "doveconf" });
  });

  test("does not guess where nothing tells", async () => {
    expect((await look(scratchDirectory()))?.layout).toBeUndefined();
  });

  test.each([
    ["maildir:/var/vmail/%d/%n", "", "/var/vmail", "{domain}/{user}"],
    ["maildir:/var/vmail/%d/%n/Maildir:LAYOUT=fs", "", "/var/vmail", "{domain}/{user}"],
    ["maildir:~/Maildir", "/srv/mail/%d/%n", "/srv/mail", "{domain}/{user}"],
    ["maildir:/var/vmail/%u", "", "/var/vmail", "{user}"],
    ["%{home}/Maildir", "/var/vmail/%{user | domain}/%{user | username}", "/var/vmail", "{domain}/{user}"],
  ])("understands %s with a home of %j", (location, home, root, layout) => {
    expect(placeOfMail(location, home)).toEqual({ root, layout });
  });

  test.each([
    ["mbox:~/mail:INBOX=/var/mail/%u", ""],
    ["mdbox:/var/vmail/%d/%n", ""],
    ["maildir:/var/vmail/%1n/%n", ""],
    ["", ""],
  ])("takes %s for no Maildir below one root", (location, home) => {
    expect(placeOfMail(location, home)).toBeUndefined();
  });
});
