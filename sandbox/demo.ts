/**
 * The demo: a mail host loses its database and its mailboxes and gets them back, with proof by programs that are not mailark.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { populateAgency } from "./host/agency.ts";
import { agencyTables } from "./host/agency-schema.ts";
import { correspond } from "./host/correspondence.ts";
import { destroy } from "./host/destroy.ts";
import { type SandboxHost, startHost } from "./host/host.ts";
import { type FolderView, viewMailbox } from "./host/imap.ts";
import { writeMaildir } from "./host/maildir.ts";
import { restart } from "./host/service.ts";
import { Storyteller } from "./storyteller.ts";

const story = new Storyteller();
const operator = mkdtempSync(join(tmpdir(), "mailark-demo-"));
const config = join(operator, "config.yaml");
const recoveryKey = join(operator, "recovery.key");
const store = join(operator, "store");
const program = new URL("../shipper/main.ts", import.meta.url).pathname;

/** What a client sees of the host: over IMAP and by SQL. */
interface Sight {
  readonly mailboxes: Readonly<Record<string, Readonly<Record<string, FolderView>>>>;
  readonly tables: string;
}

let host: SandboxHost | undefined;
try {
  await tell();
} finally {
  await host?.stop();
  rmSync(operator, { recursive: true, force: true });
}

async function tell(): Promise<void> {
  story.chapter("A mail host in a temporary directory");
  const here = await story.step("MariaDB, PostgreSQL, Redis, Dovecot, Postfix and OpenDKIM are up", () => startHost());
  host = here;
  const agency = await story.step("an agency's database: domains, users, aliases, API keys, a log of deliveries", () =>
    populateAgency(here.mariadb, { seed: "demo", mailboxes: 12, megabytes: 20 }),
  );
  const [first = "", second = "", ...others] = agency.addresses;
  await story.step("letters sent by SMTP, signed, delivered; read, flagged, filed and deleted by IMAP", () =>
    correspond(here, { seed: "demo", addresses: [first, second] }),
  );
  await story.step(`${others.length} more mailboxes with 200 messages each`, async () => {
    for (const address of others) {
      const [user = "", domain = ""] = address.split("@");
      const maildir = join(here.vmail, domain, user, "Maildir");
      writeMaildir(maildir, { seed: address, messages: 200, folders: ["Sent"], owner: here.mailOwner });
    }
  });
  const before = await story.step("a mail client and a database client write down what they see", () =>
    look(here, agency.addresses),
  );
  describe(before);

  story.chapter("Backup");
  const sheet = await mailark(
    `mailark init --store file://${store}`,
    [
      "init",
      "--yes",
      "--name",
      "mail.example.test",
      "--store",
      `file://${store}`,
      "--state",
      join(operator, "state"),
    ].concat(["--mail-root", here.vmail, "--mysql-defaults-file", here.mariadb.defaultsFile]),
  );
  const key = sheet.match(/AGE-SECRET-KEY-1[A-Z0-9]+/)?.[0];
  if (key === undefined) throw new Error("init printed no recovery key");
  writeFileSync(recoveryKey, `${key}\n`, { mode: 0o600 });
  await mailark("mailark backup", ["backup"]);
  await mailark("mailark verify --deep --identity recovery.key", ["verify", "--deep", "--identity", recoveryKey]);

  story.chapter("Disaster");
  await story.step("the database server loses its data directory", () => destroy(here, "mysql"));
  await story.step("/var/vmail is gone", () => destroy(here, "mail"));
  const databases = String(await here.mariadb.sql("SHOW DATABASES LIKE 'mailserver'")).trim();
  const domains = readdirSync(here.vmail);
  if (databases !== "" || domains.length > 0) throw new Error("something is left: there is nothing to prove");
  story.say("no database `mailserver`, no mailbox: nobody can log in, and there is nothing to read");

  story.chapter("Back from the encrypted store");
  const restore = ["--into-service", "--identity", recoveryKey];
  await mailark("mailark restore mysql --into-service --identity recovery.key", ["restore", "mysql", ...restore]);
  await mailark("mailark restore mail --into-service --identity recovery.key", ["restore", "mail", ...restore]);
  await story.step("Dovecot starts again", () => restart(here.dovecot));

  story.chapter("Proof, by programs that are not mailark");
  const after = await story.step("the mail client and the database client look again", () =>
    look(here, agency.addresses),
  );
  describe(after);
  compare("every message in its folder, with the same UID, flags, date and content", before.mailboxes, after.mailboxes);
  compare("every row of every table (CHECKSUM TABLE)", before.tables, after.tables);

  story.chapter("And without mailark: sh, age, zstd, tar, jq and awk");
  const [hostId = ""] = readdirSync(join(store, "hosts"));
  const glass = join(store, "hosts", hostId, "break-glass");
  const script = join(glass, readdirSync(glass)[0] ?? "", "restore.sh");
  const target = join(operator, "by-hand");
  await story.command("sh restore.sh STORE HOST mail latest recovery.key TARGET", [
    "sh",
    script,
    store,
    hostId,
    "mail",
    "latest",
    recoveryKey,
    target,
  ]);
  compare("the same files as mailark brought back", messageFiles(here.vmail), messageFiles(target));

  story.chapter("How long it took");
  story.times();
}

async function mailark(shown: string, args: readonly string[]): Promise<string> {
  return story.command(shown, [process.execPath, program, "--config", config, ...args]);
}

async function look({ mariadb, ...rest }: SandboxHost, addresses: readonly string[]): Promise<Sight> {
  const names = agencyTables.map((table) => `mailserver.${table}`).join(", ");
  const tables = String(await mariadb.sql(`CHECKSUM TABLE ${names} EXTENDED`));
  const mailboxes: Record<string, Readonly<Record<string, FolderView>>> = {};
  for (const address of addresses) mailboxes[address] = (await viewMailbox({ mariadb, ...rest }, address)).folders;
  return { mailboxes, tables };
}

function describe({ mailboxes, tables }: Sight): void {
  const folders = Object.values(mailboxes).flatMap((views) => Object.values(views));
  const messages = folders.reduce((sum, { messages }) => sum + messages.length, 0);
  story.say(
    `${messages} messages in ${folders.length} folders of ${Object.keys(mailboxes).length} mailboxes; ${tables.trim().split("\n").length} tables`,
  );
}

function compare(what: string, before: unknown, after: unknown): void {
  if (!isDeepStrictEqual(before, after)) throw new Error(`not the same as before: ${what}`);
  story.say(`✓ the same as before: ${what}`);
}

/** Paths of all messages; Dovecot's own files change as soon as it has looked. */
function messageFiles(root: string): string[] {
  const files = readdirSync(root, { recursive: true, encoding: "latin1" });
  return files
    .map((path) => path.replace(/:2,.*$/s, "").replace(/\/(cur|new)\//, "/"))
    .filter((path) => /\d+\.M/.test(path))
    .sort();
}
