import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse, stringify } from "yaml";
import { readTrust } from "../../../core/enrolment.ts";
import { runKey } from "../../../core/keys.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import { fileStore } from "../../../core/stores/file.ts";
import { readWhole } from "../../../core/stores/read-whole.ts";
import { verifyRuns } from "../../../core/verification.ts";
import { isRoot } from "../../../sandbox/host/account.ts";
import { populateAgency } from "../../../sandbox/host/agency.ts";
import { type SandboxHost, startHost } from "../../../sandbox/host/host.ts";
import { writeMaildir } from "../../../sandbox/host/maildir.ts";
import { send as sendLetters } from "../../../sandbox/host/smtp.ts";
import type { World } from "../../../shipper/components/component.ts";
import { mailConfig } from "../../../shipper/components/mail/config.ts";
import { mysqlConfigSchema } from "../../../shipper/components/mysql/config.ts";
import { queueConfigSchema } from "../../../shipper/components/queue/config.ts";
import { comparison } from "../../../shipper/consistency/comparison.ts";
import { accountsConfigSchema } from "../../../shipper/consistency/config.ts";
import { nodeProcesses, type Processes } from "../../../shipper/processes.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { ownDirectory } from "../../fixtures/scratch.ts";

let host: SandboxHost;
let line: CommandLine;
let directory: ReturnType<typeof ownDirectory>;
let addresses: readonly string[];

beforeAll(async () => {
  host = await startHost({ services: ["mariadb", ...(isRoot ? (["dovecot", "postfix"] as const) : [])] });
  ({ addresses } = await populateAgency(host.mariadb, { seed: "agency", mailboxes: 3 }));
  for (const address of addresses) makeMailbox(address);
  directory = ownDirectory();
  line = commandLine(directory.path);
  await line.init(["--mail-root", host.vmail, "--mysql-defaults-file", host.mariadb.defaultsFile]);
});
afterAll(async () => {
  directory?.remove();
  await host?.stop();
});

const pathOf = (address: string) => join(host.vmail, ...address.split("@").reverse());
function makeMailbox(address: string) {
  writeMaildir(join(pathOf(address), "Maildir"), { seed: address, messages: 1, medianBytes: 500 });
}
const sql = (statements: string) => host.mariadb.sql(statements, "mailserver");
const addMailbox = (address: string) =>
  sql(`INSERT INTO virtual_users (domain_id, email, password) VALUES (1, '${address}', 'x')`);
const removeMailbox = (address: string) => sql(`DELETE FROM virtual_users WHERE email = '${address}'`);

/** Changes the configuration until the test is over. */
function configure(
  change: (config: { accounts?: Record<string, string>; components: Record<string, object> }) => void,
) {
  const before = readFileSync(line.configPath, "utf8");
  line.edit((text) => {
    const config = parse(text);
    change(config);
    return stringify(config);
  });
  onTestFinished(() => line.edit(() => before));
}

/** The newest run, read from the store and verified. */
async function record() {
  const store = fileStore(line.storeDirectory, { files: nodeFiles, clock: systemClock });
  const hostId = parse(readFileSync(line.configPath, "utf8")).host.id as string;
  const { keys } = await readTrust(store, hostId, undefined);
  const { runs, findings } = await verifyRuns(
    store,
    hostId,
    keys.map(({ verifier }) => verifier),
  );
  expect(findings).toEqual([]);
  const run = runs.toSorted((a, b) => (a.runId < b.runId ? -1 : 1)).at(-1)!;
  const stored = await readWhole(store, runKey(hostId, run.runId), 1024 * 1024);
  expect(stored.toString()).not.toMatch(/@|customer-1|agency|gone\.test/);
  return run;
}

/** The sandbox as the configuration names it, for a comparison without a run. */
const compared = () => ({
  accounts: accountsConfigSchema.parse(parse(readFileSync(line.configPath, "utf8")).accounts),
  components: {
    mysql: mysqlConfigSchema.parse({ defaultsFile: host.mariadb.defaultsFile }),
    mail: mailConfig.parse({ root: host.vmail }),
  },
  hostName: "mail.example.com",
});
const worldOf = (): World => ({
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
});

/** What a backup says of consistency: on the terminal, in its document, in the record. */
async function backup(words: readonly string[] = [], processes: Processes = nodeProcesses) {
  const said = await line.configured(["backup", "--json", ...words], { ports: { processes } });
  const run = await record();
  return { code: said.code, told: said.json.warnings, stored: run.warnings, run };
}

test("a host on which everything fits together gives no warning, and its run is one cut in order", async () => {
  expect(parse(readFileSync(line.configPath, "utf8")).accounts).toEqual({
    component: "mysql",
    database: "mailserver",
    mailboxes: "SELECT email FROM virtual_users",
    domains: "SELECT name FROM virtual_domains",
    aliases: "SELECT source, destination FROM virtual_aliases",
  });
  const { code, told, stored, run } = await backup();
  expect({ code, told, stored }).toEqual({ code: 0, told: [], stored: [] });
  const times = run.components.flatMap(({ startedAt, cutAt, finishedAt }) => [startedAt, cutAt!, finishedAt]);
  expect(run.components.map(({ component }) => component)).toEqual(["mysql", "mail"]);
  expect([run.startedAt, ...times, run.finishedAt]).toEqual([run.startedAt, ...times, run.finishedAt].toSorted());
  expect(run.components.map(({ warnings }) => warnings)).toEqual([[], []]);
});

describe("what does not fit together is named to the operator, and counted in the record:", () => {
  test("a mailbox without a directory", async () => {
    await addMailbox("never.used@customer-1.test");
    const { code, told, stored } = await backup(["mail"]);
    expect(code).toBe(0);
    expect(stored).toEqual([{ code: "MAILBOX_WITHOUT_DIRECTORY", count: 1 }]);
    expect(told).toEqual([{ code: "MAILBOX_WITHOUT_DIRECTORY", count: 1, names: ["never.used@customer-1.test"] }]);
    await removeMailbox("never.used@customer-1.test");
  });

  test("directories without a row, the first few of them on the terminal", async () => {
    const strays = Array.from({ length: 7 }, (_, number) => `stray.${number}@customer-1.test`);
    for (const address of strays) makeMailbox(address);
    onTestFinished(() => {
      for (const address of strays) rmSync(pathOf(address), { recursive: true });
    });
    const { code, told, stored } = await backup(["mail"]);
    expect(code).toBe(0);
    expect(stored).toEqual([{ code: "DIRECTORY_WITHOUT_ACCOUNT", count: 7 }]);
    expect(told[0].names).toEqual(strays);
    const { stdout, stderr } = await line.configured(["backup", "mail"]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(
      /7 × directory without account: .*\n {6}stray\.0@customer-1\.test\n(.*\n){4} {6}and 2 more\n/,
    );
  });

  test("an alias to nowhere", async () => {
    await sql(
      "INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES (900, 1, 'Old@customer-1.test', 'Gone@customer-2.test, x@else.test')",
    );
    const { code, told, stored } = await backup(["mysql"]);
    await sql("DELETE FROM virtual_aliases WHERE id = 900");
    expect(code).toBe(0);
    expect(stored).toEqual([{ code: "ALIAS_TO_NOWHERE", count: 1 }]);
    expect(told[0].names).toEqual(["old@customer-1.test → gone@customer-2.test"]);
  });

  test("but not an account that is switched off, for its row and its mail are there", async () => {
    await sql("UPDATE virtual_users SET active = 0");
    const { stored } = await backup(["mail"]);
    await sql("UPDATE virtual_users SET active = 1");
    expect(stored).toEqual([]);
  });
});

/** Does something once the first client program that is started with these words has begun. */
function when(match: (command: readonly string[]) => boolean, work: () => Promise<unknown>): Processes {
  let done = false;
  return {
    async start(command, options) {
      if (!done && match(command)) {
        done = true;
        await work();
      }
      return nodeProcesses.start(command, options);
    },
  };
}
const isDump = (command: readonly string[]) => command[0] === "mariadb-dump" && command.includes("--databases");
/** By then commits are no longer held back. */
const isDumpOfPrograms = (command: readonly string[]) =>
  command[0] === "mariadb-dump" && command.includes("--routines");

test("a mailbox that is made during the run is no false alarm, nor is one that is removed", async () => {
  const [first = ""] = addresses;
  const [row = ""] = (
    await sql(`SELECT CONCAT_WS(',', id, domain_id) FROM virtual_users WHERE email = '${first}'`)
  ).split("\n");
  const meanwhile = when(isDumpOfPrograms, async () => {
    await addMailbox("new@customer-1.test");
    makeMailbox("new@customer-1.test");
    await addMailbox("unused@customer-1.test");
    await removeMailbox(first);
    await sql(
      "INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES (901, 1, 'a@customer-1.test', 'b@customer-1.test')",
    );
  });
  const { code, stored } = await backup([], meanwhile);
  expect({ code, stored }).toEqual({ code: 0, stored: [] });
  await removeMailbox("unused@customer-1.test");
  await removeMailbox("new@customer-1.test");
  rmSync(pathOf("new@customer-1.test"), { recursive: true });
  await sql(`DELETE FROM virtual_aliases WHERE id = 901;
    INSERT INTO virtual_users (id, domain_id, email, password) VALUES (${row}, '${first}', 'x')`);
  expect((await backup(["mail"])).stored).toEqual([]);
});

describe("what is captured in a run is compared in it:", () => {
  test("mail alone with the accounts, without their aliases", async () => {
    await sql(
      "INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES (902, 1, 'a@customer-1.test', 'b@customer-1.test')",
    );
    makeMailbox("stray@customer-1.test");
    const mail = await backup(["mail"]);
    const mysql = await backup(["mysql"]);
    await sql("DELETE FROM virtual_aliases WHERE id = 902");
    rmSync(pathOf("stray@customer-1.test"), { recursive: true });
    expect(mail.stored).toEqual([{ code: "DIRECTORY_WITHOUT_ACCOUNT", count: 1 }]);
    expect(mysql.stored).toEqual([{ code: "ALIAS_TO_NOWHERE", count: 1 }]);
  });

  test("nothing, and no program is started, where the configuration does not say where accounts are", async () => {
    configure((config) => delete config.accounts);
    const { code, told, stored } = await backup(["mail"]);
    expect({ code, told, stored }).toEqual({ code: 0, told: undefined, stored: undefined });
  });

  test("nothing where accounts are asked but no aliases, and only the database is captured", async () => {
    configure(({ accounts }) => delete accounts!.aliases);
    expect((await backup(["mysql"])).stored).toBeUndefined();
  });
});

test("accounts of a component that is not configured are a mistake in the configuration", async () => {
  configure(({ accounts }) => Object.assign(accounts!, { component: "postgres" }));
  const said = await line.configured(["backup"]);
  expect(said).toMatchObject({ code: 2, stdout: "" });
  expect(said.stderr).toContain("Try: add postgres to components");
});

describe("what can not be asked is said once, and fails nothing:", () => {
  const unknown = [{ code: "CONSISTENCY_UNKNOWN", count: 1 }];

  test.each([
    ["a table that is not there", "SELECT email FROM nobody", /nobody' doesn't exist/],
    ["more columns than one", "SELECT email, id FROM virtual_users", /column/],
  ])("%s", async (_, mailboxes, reason) => {
    configure(({ accounts }) => Object.assign(accounts!, { mailboxes }));
    const { code, told, stored } = await backup(["mail"]);
    expect({ code, stored }).toEqual({ code: 0, stored: unknown });
    expect(told[0].names).toEqual([expect.stringMatching(/^the accounts: .*/)]);
    expect(told[0].names[0]).toMatch(reason);
    const { stdout, stderr } = await line.configured(["backup", "mail"]);
    expect(stdout).toMatch(/1 × consistency unknown: could not be compared\n {6}the accounts: /);
    expect(stderr).toBe("");
  });

  test("a layout that does not say domains", async () => {
    configure(({ components }) => Object.assign(components.mail!, { layout: "{any}/{user}" }));
    const { code, told, stored } = await backup(["mail"]);
    expect({ code, stored }).toEqual({ code: 0, stored: unknown });
    expect(told[0].names[0]).toContain("components.mail.layout");
  });

  test("a program that never answers: nothing waits for it", async () => {
    const { components, ...others } = compared();
    const mysql = mysqlConfigSchema.parse({ command: ["sh", "-c", "exec sleep 600"] });
    const report = comparison({ ...others, components: { ...components, mysql } }, ["mail"], worldOf(), { limit: 500 });
    await report.begin();
    await report.captured("mail");
    const names = ["the accounts: there was no answer within 0.5 s"];
    expect(await report.finish()).toEqual([{ code: "CONSISTENCY_UNKNOWN", names }]);
  });

  test.each([
    ["and nothing did not fit before", undefined, []],
    ["and what did not fit before can not be asked again", "stray@customer-1.test", unknown],
  ])("a database that goes down in the middle, %s; all others are captured", async (_, stray, expected) => {
    if (stray !== undefined) makeMailbox(stray);
    const { code, stored, run } = await backup([], when(isDump, host.mariadb.kill));
    await host.mariadb.start();
    if (stray !== undefined) rmSync(pathOf(stray), { recursive: true });
    expect({ code, stored }).toEqual({ code: 3, stored: expected });
    expect(run.components).toMatchObject([
      { component: "mysql", outcome: "failed" },
      { component: "mail", outcome: "complete", warnings: [] },
    ]);
    expect(run.components[0]).not.toHaveProperty("cutAt");
  });
});

test.skipIf(!isRoot)(
  "a queue file of strangers is told; mail that comes in, goes out or is forwarded is not",
  async () => {
    const held = "deferred.test";
    await sql(
      `INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES (903, 1, 'f@customer-1.test', 'me@${held}')`,
    );
    const look = async (queue = {}) => {
      const { components, ...others } = compared();
      const spool = queueConfigSchema.parse({ configDirectory: host.postfix.configDirectory, ...queue });
      const report = comparison({ ...others, components: { ...components, queue: spool } }, ["queue"], worldOf());
      await report.begin();
      await report.captured("queue");
      return report.finish();
    };
    const send = (from: string) => sendLetters(host, [{ from, to: `me@${held}`, subject: "one", text: "one" }]);
    await send("x@gone.test");
    await send("alice@customer-1.test");
    expect(await look()).toEqual([]);
    await sql("DELETE FROM virtual_aliases WHERE id = 903");
    const id = expect.stringMatching(new RegExp(`^[0-9A-Za-z]+: gone\\.test → ${held}$`));
    expect(await look()).toEqual([{ code: "QUEUE_FOR_UNKNOWN_DOMAIN", names: [id] }]);
    configure(({ components }) =>
      Object.assign(components, { queue: { "config-directory": host.postfix.configDirectory } }),
    );
    const { code, told, stored } = await backup(["queue"]);
    expect({ code, stored }).toEqual({ code: 0, stored: [{ code: "QUEUE_FOR_UNKNOWN_DOMAIN", count: 1 }] });
    expect(told[0].names).toEqual([id]);
    expect(await look({ configDirectory: "/nonexistent" })).toEqual([
      { code: "CONSISTENCY_UNKNOWN", names: [expect.stringMatching(/^the queue: /)] },
    ]);
  },
);
