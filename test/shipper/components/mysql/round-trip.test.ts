import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { mysqlComponent } from "../../../../shipper/components/mysql/component.ts";
import type { Connection } from "../../../../shipper/components/mysql/connection.ts";
import { readFacts } from "../../../../shipper/components/mysql/facts.ts";
import { openSession } from "../../../../shipper/components/mysql/session.ts";
import type { StagedMysql } from "../../../../shipper/components/mysql/stage.ts";
import { nodeProcesses, outputOf } from "../../../../shipper/processes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { accountsOf, configOf, contentOf, dumpThrough, scratchPath, sourceOf } from "./server-content.ts";

const traps = readFileSync(new URL("traps.sql", import.meta.url));

let host: SandboxHost;
let vault: Vault;
let source: Connection;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["mariadb"] }), createVault()]);
  source = await sourceOf(host, vault.world());
  await host.mariadb.sql(traps);
});
afterAll(async () => {
  source?.close();
  vault?.remove();
  await host?.stop();
});

async function capture(more: Parameters<typeof configOf>[1] = {}) {
  const { outcomes } = await vault.backup([mysqlComponent(configOf(host, more))]);
  const [outcome] = outcomes;
  if (outcome?.error) throw outcome.error;
  return vault.open("mysql");
}

/** Captures, stages to a private server, and hands both over. */
async function throughScratch(work: (staged: StagedMysql & { connection: Connection }) => Promise<void>) {
  const snapshot = await capture();
  const component = mysqlComponent(configOf(host));
  const place = scratchPath();
  try {
    const staged = await component.stage(snapshot, { kind: "scratch", path: place.path }, {}, vault.world());
    try {
      await work(staged as StagedMysql & { connection: Connection });
    } finally {
      await staged.remove();
    }
  } finally {
    place.remove();
  }
}

describe("a server full of traps", () => {
  test("comes back exactly, with its views, programs, accounts and grants", async () => {
    const component = mysqlComponent(configOf(host));
    const world = vault.world();
    await throughScratch(async (staged) => {
      expect(await contentOf(staged.connection, world)).toBe(await contentOf(source, world));
      expect(await accountsOf(staged.connection, world)).toBe(await accountsOf(source, world));
      const checks = await component.check(staged, world);
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      expect(checks.map(({ name }) => name)).toEqual(
        expect.arrayContaining(["tables of traps", "programs of traps", "views of traps", "tables of -x", "accounts"]),
      );
      // Loaded a second time, the accounts are as they were, and root is still root.
      const sql: Buffer[] = [];
      const snapshot = await vault.open("mysql");
      for await (const chunk of snapshot.readPart(snapshot.part("accounts"))) sql.push(chunk);
      const client = staged.connection.command("mariadb", ["--binary-mode"]);
      await outputOf(nodeProcesses, client, { input: Buffer.concat(sql) });
      expect(await accountsOf(staged.connection, world)).toBe(await accountsOf(source, world));
      const root = staged.connection.command("mariadb", ["--batch", "--skip-column-names"]);
      const grants = await outputOf(nodeProcesses, root, { input: "SHOW GRANTS" });
      expect(grants.toString()).toContain("GRANT ALL PRIVILEGES ON *.*");
    });
  });

  test("says what it is and what is not exact, by numbers only", async () => {
    const { manifest } = await capture();
    expect(manifest.server).toMatchObject({
      flavour: "mariadb",
      version: expect.stringMatching(/^\d+\.\d+\.\d+-MariaDB/),
    });
    expect(manifest.tools).toHaveProperty("mariadb-dump");
    expect(manifest.position).toMatchObject({
      binlogFile: "binlog.000001",
      binlogPosition: expect.any(Number),
      gtid: expect.stringMatching(/^0-1-\d+$/),
    });
    expect(manifest.warnings).toEqual([
      { code: "FLOAT_ROUNDED", count: 2 },
      { code: "NOT_TRANSACTIONAL", count: 1 },
    ]);
    expect(manifest.facts).toMatchObject({ databases: 7, views: 4, routines: 4, triggers: 2, events: 3, accounts: 7 });
    expect(manifest.completeness).toBe("complete");
    const kinds = manifest.parts.map(({ name }) => name.replace(/-\d+$/, ""));
    expect([...new Set(kinds)]).toEqual(["facts", "database", "programs", "views", "accounts", "events"]);
    expect(manifest.parts.map(({ name }) => name)).toEqual(
      manifest.parts.map(({ name }) => name).toSorted((a, b) => kindOf(a) - kindOf(b) || (a < b ? -1 : 1)),
    );
    expect(JSON.stringify(manifest)).not.toMatch(/traps|mailserver|look_alike|secret|weird/);
  });

  test("has its facts from the very view of the dump", async () => {
    const facts = await readFacts(await capture());
    expect(facts.factsFrom).toBe("view");
    const tables = facts.databases.find(({ name }) => name === "traps")!.tables;
    expect(tables.find(({ name }) => name === "parts")).toMatchObject({ rows: 50, checksum: expect.any(String) });
    expect(tables.find(({ name }) => name === "old_engine")).toMatchObject({ rows: 2, frozen: false });
    const rounded = tables.find(({ name }) => name.startsWith("tab"))!;
    expect(rounded).toMatchObject({ rows: 2, digest: expect.any(String) });
    expect(rounded.checksum).toBeUndefined();
  });

  test("is captured by name as well, and a name that is not there is refused", async () => {
    const snapshot = await capture({ databases: ["we`ird %ü 日本", "mailserver"] });
    const facts = await readFacts(snapshot);
    expect(facts.databases.map(({ name }) => name)).toEqual(["mailserver", "we`ird %ü 日本"]);
    await expect(capture({ databases: ["mailserver", "nowhere"] })).rejects.toMatchObject({
      code: "CAPTURE_FAILED",
      detail: "nowhere",
      message: expect.not.stringContaining("nowhere"),
    });
  });

  test("is estimated and planned with a size for each database", async () => {
    const component = mysqlComponent(configOf(host));
    const estimates = await component.estimate(vault.world());
    expect(estimates.find(({ what }) => what === "traps")!.bytes).toBeGreaterThan(100_000);
    const plan = await component.plan(await capture(), { databases: ["traps"] });
    expect(plan).toEqual([
      { what: expect.stringMatching(/^traps: \d+ rows in 7 tables$/), bytes: expect.any(Number) },
      { what: "7 accounts", bytes: expect.any(Number) },
    ]);
    expect(plan[0]!.bytes).toBeGreaterThan(100_000);
  });
});

describe("a table whose definition is changed in place during the dump", () => {
  test("is brought back, and its facts are marked as not frozen", async () => {
    await host.mariadb.sql("CREATE TABLE traps.zz (id INT); INSERT INTO traps.zz VALUES (1)");
    await host.mariadb.sql("CREATE TABLE bulk AS SELECT seq, REPEAT(MD5(seq), 30) t FROM seq_1_to_20000", "mailserver");
    const alter = `mariadb --defaults-extra-file=${host.mariadb.defaultsFile} -e 'ALTER TABLE traps.zz ADD COLUMN more INT'`;
    const processes = dumpThrough(`set -o pipefail; "$@" | (head -c 2000; sleep 0.5; ${alter}; cat)`);
    const { outcomes } = await vault.backup([mysqlComponent(configOf(host))], { processes });
    expect(outcomes[0]?.error).toBeUndefined();
    expect(outcomes[0]?.manifest?.warnings).toContainEqual({ code: "TABLES_CHANGED", count: 1 });
    const facts = await readFacts(await vault.open("mysql"));
    const tables = facts.databases.find(({ name }) => name === "traps")!.tables;
    expect(tables.find(({ name }) => name === "zz")).toMatchObject({ rows: 1, frozen: false });
    await host.mariadb.sql("DROP TABLE traps.zz, mailserver.bulk");
  });
});

describe("a server under write load", () => {
  test("gives a dump, facts and a position that agree: the binary log from there leads to the present", async () => {
    const world = vault.world();
    await host.mariadb.sql(`
      CREATE DATABASE busy; USE busy;
      CREATE TABLE ledger (id INT AUTO_INCREMENT PRIMARY KEY, amount INT, note VARCHAR(200));
      CREATE TABLE total (one INT PRIMARY KEY, amount BIGINT);
      INSERT INTO total VALUES (1, 0);
      CREATE TABLE bulk (id INT PRIMARY KEY, body TEXT);
      INSERT INTO bulk SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_60000;`);
    let writing = true;
    let commits = 0;
    const writer = async () => {
      const session = await openSession(source, world);
      while (writing) {
        const amount = Math.floor(Math.random() * 100);
        await session.query("BEGIN");
        await session.query(`INSERT INTO busy.ledger (amount, note) VALUES (${amount}, UUID())`);
        await session.query(`UPDATE busy.total SET amount = amount + ${amount}`);
        await session.query(`UPDATE busy.bulk SET body = UUID() WHERE id = ${1 + Math.floor(Math.random() * 60000)}`);
        await session.query("COMMIT");
        commits += 1;
      }
      await session.close();
    };
    const writers = [writer(), writer()];
    const snapshot = await capture();
    writing = false;
    await Promise.all(writers);
    expect(commits).toBeGreaterThan(50);
    expect((await readFacts(snapshot)).factsFrom).toBe("view");

    const component = mysqlComponent(configOf(host));
    const place = scratchPath();
    const staged = await component.stage(snapshot, { kind: "scratch", path: place.path }, {}, world);
    try {
      const checks = await component.check(staged, world);
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      const balance = "SELECT (SELECT SUM(amount) FROM busy.ledger) = (SELECT amount FROM busy.total)";
      const client = staged.connection!.command("mariadb", ["--batch", "--skip-column-names"]);
      expect((await outputOf(nodeProcesses, client, { input: balance })).toString()).toBe("1\n");

      const { binlogFile, binlogPosition } = snapshot.manifest.position as Record<string, string>;
      const logs = readdirSync(host.mariadb.datadir).filter(
        (name) => /^binlog\.\d+$/.test(name) && name >= binlogFile!,
      );
      const replay = await outputOf(nodeProcesses, [
        "mariadb-binlog",
        `--start-position=${binlogPosition}`,
        ...logs.map((name) => join(host.mariadb.datadir, name)),
      ]);
      await outputOf(nodeProcesses, staged.connection!.command("mariadb", ["--binary-mode"]), { input: replay });
      const now = await contentOf(source, world, ["busy"]);
      expect((await contentOf(staged.connection!, world, ["busy"])) === now).toBe(true);
    } finally {
      await staged.remove();
      place.remove();
      await host.mariadb.sql("DROP DATABASE busy");
    }
  });
});

describe("a password", () => {
  test("is on no command line, in no environment and in no error, and the file that hands it over is gone afterwards", async () => {
    const secret = `p"a'ss\\ #${host.mariadb.password}`;
    const quoted = secret.replaceAll("\\", "\\\\").replaceAll("'", "''");
    await host.mariadb.sql(
      `CREATE USER mailark@localhost IDENTIFIED BY '${quoted}'; GRANT ALL ON *.* TO mailark@localhost`,
    );
    const passwordFile = join(vault.directory, "password");
    const { writeFileSync } = await import("node:fs");
    writeFileSync(passwordFile, `${secret}\n`, { mode: 0o600 });
    const config = { defaultsFile: undefined, socket: host.mariadb.socket, user: "mailark", passwordFile };
    const seen: string[] = [];
    const { tmpdir } = await import("node:os");
    const handedOver = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`mailark-client-${process.pid}-`));
    const before = handedOver();
    let watching = true;
    const watch = (async () => {
      while (watching) {
        seen.push(...childrenOf(process.pid));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await capture(config);
    watching = false;
    await watch;
    expect(seen.some((each) => each.includes("mariadb-dump"))).toBe(true);
    expect(seen.filter((each) => each.includes(host.mariadb.password))).toEqual([]);
    expect(handedOver()).toEqual(before);

    await host.mariadb.sql("ALTER USER mailark@localhost IDENTIFIED BY 'another'");
    const failure = await capture(config).catch((error) => error);
    expect(failure).toMatchObject({ code: "PROGRAM_FAILED", hint: expect.stringContaining("password") });
    expect(`${failure.message} ${failure.detail} ${failure.stack}`).not.toContain(host.mariadb.password);
    await host.mariadb.sql("DROP USER mailark@localhost");
  });
});

/** Command lines and environments of all processes below this one. */
function childrenOf(parent: number): string[] {
  const found: string[] = [];
  for (const name of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      if (Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) !== parent) continue;
      found.push(readFileSync(`/proc/${name}/cmdline`, "utf8"), readFileSync(`/proc/${name}/environ`, "utf8"));
    } catch {
      // It ended in the meantime.
    }
  }
  return found;
}

const kindOf = (part: string) =>
  ["facts", "database", "programs", "views", "accounts", "events"].indexOf(part.replace(/-\d+$/, ""));
