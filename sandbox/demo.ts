/**
 * The demo: a machine with everything that a mail host has is lost, and a new one becomes that host again, with nothing but the store and the
 * recovery key. The proof is given by programs that are not mailark.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { demoBucket, demoDirectory } from "./demo-store.ts";
import { nameServices } from "./host/configuration.ts";
import { destroyMachine } from "./host/destroy.ts";
import { type SandboxHost, startHost } from "./host/host.ts";
import { withMailbox } from "./host/imap.ts";
import { mailboxPassword } from "./host/mailbox-password.ts";
import { populateHost } from "./host/populate.ts";
import { look, type Sight } from "./host/sight.ts";
import { deliver } from "./host/smtp.ts";
import { Storyteller } from "./storyteller.ts";

const story = new Storyteller();
const operator = mkdtempSync(join(tmpdir(), "mailark-demo-"));
const recoveryKey = join(operator, "recovery.key");
const program = new URL("../shipper/mailark.ts", import.meta.url).pathname;

const { store: kind } = parseArgs({ options: { store: { type: "string", default: "directory" } } }).values;
if (kind !== "directory" && kind !== "s3") throw new Error("--store is directory or s3");
const store = kind === "s3" ? await demoBucket(operator) : demoDirectory(join(operator, "store"));

let host: SandboxHost | undefined;
try {
  await tell();
} finally {
  await host?.stop();
  await store.close();
  rmSync(operator, { recursive: true, force: true });
}

async function tell(): Promise<void> {
  story.chapter("A mail host in a temporary directory");
  const here = await story.step("MariaDB, PostgreSQL, Redis, Dovecot, Postfix and OpenDKIM are up", () => startHost());
  host = here;
  const addresses = await populateHost(here, {
    seed: "demo",
    mailboxes: 12,
    messages: 200,
    megabytes: 20,
    queued: 6,
    step: (what, work) => story.step(what, work),
  });
  const before = await story.step("mail, database and Redis clients write down what they see", () =>
    look(here, addresses),
  );
  describe(before);

  story.chapter("Backup");
  const config = join(here.etc, "mailark", "config.yaml");
  const mailark = (shown: string, args: readonly string[], statuses?: readonly number[]) =>
    story.command(shown, [process.execPath, program, "--config", config, ...args], statuses);
  store.actAsHost();
  const { stdout: sheet } = await mailark(`mailark init --store ${store.url}`, [
    "init",
    "--yes",
    ...["--name", "mail.example.test"],
    ...["--store", store.url],
    ...["--state", join(here.directory, "mailark-state")],
    ...["--component", "mail", "mysql"],
    ...["--mail-root", here.vmail],
    ...["--mysql-defaults-file", here.mariadb.defaultsFile],
  ]);
  const key = sheet.match(/AGE-SECRET-KEY-1[A-Z0-9]+/)?.[0];
  const fingerprint = sheet.match(/\b[0-9a-f]{64}\b/)?.[0];
  if (key === undefined || fingerprint === undefined) throw new Error("init printed no recovery sheet");
  writeFileSync(recoveryKey, `${key}\n`, { mode: 0o600 });
  nameServices(here, config);
  story.say(
    "the configuration now names all of the sandbox's services: init looks for them in a machine's usual places",
  );
  await mailark("mailark backup", ["backup"]);
  if (kind === "s3") story.say("the host's credentials can only create; what follows needs others, which can read");
  store.actAsOperator();
  await mailark("mailark verify --deep --identity recovery.key", ["verify", "--deep", "--identity", recoveryKey]);
  const password = join(operator, "probe-password");
  writeFileSync(password, `${mailboxPassword}\n`, { mode: 0o600 });
  const probe = ["--probe", addresses[0]!, "--probe-password-file", password];
  const drill = await mailark(
    `mailark drill --identity recovery.key --probe ${addresses[0]}`,
    ["drill", "--identity", recoveryKey, ...probe],
    [0, 3],
  );
  if (drill.status === 3) story.say("not everything can be proven on this machine: what is unproven says above why");

  const files = (
    await story.step("configuration and keys are written down once more, with mailark's own", () => look(here, []))
  ).files;

  story.chapter("Disaster: the machine is lost");
  await story.step("a new one: databases that hold nothing, mail services as their packages bring them along", () =>
    destroyMachine(here),
  );
  rmSync(join(here.directory, "mailark-state"), { recursive: true, force: true });
  proveEmpty(here, await here.mariadb.sql("SHOW DATABASES LIKE 'mailserver'"));
  story.say("no database, no mailbox, no queue, no configuration, not even mailark's own");

  story.chapter("Back from the encrypted store, with the recovery key");
  await mailark("mailark restore --all --store … --identity recovery.key --fingerprint …", [
    "restore",
    "--all",
    ...["--store", store.url],
    ...["--identity", recoveryKey],
    ...["--fingerprint", fingerprint],
  ]);

  story.chapter("Proof, by programs that are not mailark");
  const after = await story.step("the clients look again", () => look(here, addresses));
  describe(after);
  compare("every message in its folder, with the same UID, flags, date and content", before.mailboxes, after.mailboxes);
  compare("every row of MariaDB (CHECKSUM TABLE)", before.mariadb, after.mariadb);
  compare("every row of PostgreSQL (digests of its rows)", before.postgres, after.postgres);
  compare("every key of Redis (DUMP), its task queue and its sessions on hold", before.redis, after.redis);
  compare("every letter of the queue", before.queue, after.queue);
  compare(
    "every file of the configuration and the certificates: mode, owner, time, content",
    files,
    withoutKept(after.files),
  );
  const held = await here.postfix.command("postqueue", "-p");
  if (!held.includes("!")) throw new Error("the queue is not on hold");
  story.say("✓ nothing of the queue was delivered by itself: it is on hold until the operator says so");
  await story.step("a letter is sent by SMTP, signed with the old DKIM key, and read by IMAP", () =>
    passMail(here, addresses[1]!),
  );

  story.chapter("And without mailark: sh, age, zstd, tar, jq and awk");
  const directory = await store.directory();
  const [hostId = ""] = readdirSync(join(directory, "hosts"));
  const glass = join(directory, "hosts", hostId, "break-glass");
  const script = join(glass, readdirSync(glass)[0] ?? "", "restore.sh");
  const target = join(operator, "by-hand");
  mkdirSync(target, { mode: 0o700 });
  await story.command("sh restore.sh STORE HOST mail latest recovery.key TARGET", [
    "sh",
    ...[script, directory, hostId, "mail", "latest", recoveryKey, join(target, "mail")],
  ]);
  compare(
    "the same files as mailark brought back",
    lettersOf(join(target, "mail")),
    lettersOf(here.vmail, "passes through"),
  );

  story.chapter("How long it took");
  story.times();
}

function describe({ mailboxes, mariadb, postgres, redis, queue, files }: Sight): void {
  const folders = Object.values(mailboxes).flatMap((views) => Object.values(views));
  const messages = folders.reduce((sum, { messages }) => sum + messages.length, 0);
  story.say(
    `${messages} messages in ${folders.length} folders of ${Object.keys(mailboxes).length} mailboxes; ` +
      `${lines(mariadb)} + ${lines(postgres)} tables; ${redis.length} keys; ${queue.length} letters in the queue; ` +
      `${Object.keys(files).length} files`,
  );
}

function lines(text: string): number {
  return text.trim().split("\n").length;
}

function proveEmpty(host: SandboxHost, databases: string): void {
  const left = [...readdirSync(host.vmail), ...readdirSync(join(host.postfix.queueDirectory, "deferred"))];
  if (databases.trim() !== "" || left.length > 0 || readdirSync(host.etc).length > 1) {
    throw new Error("something is left: there is nothing to prove");
  }
}

/** What a restore found in the place of configuration it kept beside; that is no part of the old host. */
function withoutKept(files: Sight["files"]): Sight["files"] {
  return Object.fromEntries(Object.entries(files).filter(([path]) => !path.includes(".before-mailark-")));
}

function compare(what: string, before: unknown, after: unknown): void {
  if (!isDeepStrictEqual(before, after)) throw new Error(`not the same as before: ${what}`);
  story.say(`✓ the same as before: ${what}`);
}

async function passMail(host: SandboxHost, address: string): Promise<void> {
  const subject = "passes through";
  await deliver(host, [{ from: "friend@example.test", to: address, subject, text: "after the disaster" }]);
  const source = await withMailbox(host, address, async (session) => {
    const uids = await session.uids("INBOX");
    return session.read("INBOX", uids.at(-1)!);
  });
  const text = source.toString();
  if (!text.includes(`Subject: ${subject}`)) throw new Error("the letter did not arrive");
  if (!/^DKIM-Signature:.*d=example\.test/ms.test(text)) throw new Error("the letter is not signed");
}

/** Base names of all messages; Dovecot's own files change as soon as it has looked. */
function lettersOf(root: string, without?: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "latin1" })
    .filter((path) => /\/(cur|new)\/[^/]*\d+\.M/.test(path))
    .filter(
      (path) => without === undefined || !readFileSync(join(root, path), "latin1").includes(`Subject: ${without}`),
    )
    .map((path) => path.replace(/:2,.*$/s, "").replace(/\/(cur|new)\//, "/"))
    .sort();
}
