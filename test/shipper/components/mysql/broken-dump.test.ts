import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { mysqlComponent } from "../../../../shipper/components/mysql/component.ts";
import { dumpOutput } from "../../../../shipper/components/mysql/dump-output.ts";
import { readFacts } from "../../../../shipper/components/mysql/facts.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { failedBackup, manifestsIn } from "../../../fixtures/failed-backup.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { configOf, dumpThrough, sourceOf } from "./server-content.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["mariadb"] }), createVault()]);
  await host.mariadb.sql(`
    CREATE DATABASE second; CREATE TABLE second.t (id INT); INSERT INTO second.t VALUES (1);
    CREATE VIEW second.v AS SELECT * FROM second.t;`);
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

const component = (more: Parameters<typeof configOf>[1] = {}) => mysqlComponent(configOf(host, more));

const failureOf = (processes: Processes, more: Parameters<typeof configOf>[1] = {}) =>
  failedBackup(vault, component(more), { processes });

describe("a dump program that", () => {
  test("fails at its end, after all its output, gives no snapshot", async () => {
    const error = await failureOf(dumpThrough('"$@"; echo "something is wrong" >&2; exit 2'));
    expect(error).toMatchObject({
      code: "DUMP_FAILED",
      message: expect.stringContaining("exit status 2"),
      detail: "something is wrong",
    });
  });

  test("is killed gives no snapshot", async () => {
    const error = await failureOf(dumpThrough('"$@" | head -c 3000; kill -KILL $$'));
    expect(error).toMatchObject({ code: "DUMP_FAILED", message: expect.stringContaining("SIGKILL") });
  });

  test("is cut off at any byte, and yet ends well, gives no snapshot", async () => {
    // As the capture calls it, so that the lengths are the same.
    let whole: Buffer = Buffer.alloc(0);
    const recording: Processes = {
      async start(command, options) {
        if (command[0] === "mariadb-dump" && command.includes("--databases"))
          whole = await outputOf(nodeProcesses, command);
        return nodeProcesses.start(command, options);
      },
    };
    await vault.backup([component()], { processes: recording });
    const mark = whole.lastIndexOf("-- Dump completed");
    const second = whole.indexOf("-- Current Database: `second`");
    const places = [0, 1, 40, 700, second - 3, second + 5, second + 29, Math.floor(whole.length / 2), mark - 300];
    for (const bytes of [...places, mark - 1, mark, mark + 4, mark + 17, mark + 30, whole.length - 1]) {
      const error = await failureOf(dumpThrough(`"$@" | head -c ${bytes}`));
      expect(error?.code, `cut at byte ${bytes} of ${whole.length}: ${error?.message} ${error?.detail}`).toBe(
        "DUMP_TRUNCATED",
      );
    }
  });

  test("loses the programs of a database gives no snapshot", async () => {
    const error = await failureOf(dumpThrough('"$@" | head -c 1500', "programs"));
    expect(error).toMatchObject({ code: "DUMP_TRUNCATED" });
    expect(await failureOf(dumpThrough('"$@"; exit 3', "programs"))).toMatchObject({ code: "DUMP_FAILED" });
  });

  test("prints nothing for too long is ended, together with what waits for it", async () => {
    const marker = `sleep ${600 + (process.pid % 97)}`;
    const error = await failureOf(dumpThrough(`exec ${marker}`), { stallSeconds: 0.5 });
    expect(error).toMatchObject({ code: "PROGRAM_STALLED", retryable: true });
    const half = await failureOf(dumpThrough(`"$@" | head -c 5000; exec ${marker}`), { stallSeconds: 0.5 });
    expect(half).toMatchObject({ code: "PROGRAM_STALLED" });
    const left = await outputOf(nodeProcesses, ["sh", "-c", `ps -eo args | grep -c '^${marker}' || true`]);
    expect(left.toString().trim()).toBe("0");
    // Nothing holds commits back, or a view open.
    const sessions = await host.mariadb.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root'");
    expect(sessions.trim()).toBe("1");
  });

  test("nobody reads any more is ended", async () => {
    const world = vault.world();
    const marker = `sleep ${700 + (process.pid % 97)}`;
    const connection = await sourceOf(host, world);
    const program = { name: "mariadb-dump", flavour: "mariadb", version: "10.11" } as const;
    const processes = dumpThrough(`echo begun; exec ${marker}`);
    for await (const chunk of dumpOutput(program, ["--databases"], connection, { ...world, processes })) {
      expect(chunk.toString()).toBe("begun\n");
      break;
    }
    const left = await outputOf(nodeProcesses, ["sh", "-c", `sleep 0.1; ps -eo args | grep -c '^${marker}' || true`]);
    expect(left.toString().trim()).toBe("0");
  });

  test("fails for the programs ends the one for the tables, however long that would take", async () => {
    await host.mariadb.sql("CREATE FUNCTION second.one() RETURNS INT DETERMINISTIC RETURN 1");
    const tables = dumpThrough('"$@" | head -c 5000; exec sleep 600');
    const programs = dumpThrough("exit 3", "programs");
    const processes: Processes = {
      start: (command, options) => (command.includes("--databases") ? tables : programs).start(command, options),
    };
    const error = await failureOf(processes);
    expect(error).toMatchObject({ code: "DUMP_FAILED", message: expect.stringContaining("exit status 3") });
    await host.mariadb.sql("DROP FUNCTION second.one");
  });

  test.each(["t", "v"])("leaves %s out, and yet ends well, gives no snapshot", async (name) => {
    const script = `program=$1 options=$2; shift 2; exec "$program" "$options" --ignore-table=second.${name} "$@"`;
    expect(await failureOf(dumpThrough(script))).toMatchObject({
      code: "DUMP_FAILED",
      message: "the dump lacks tables or views that the server has",
      detail: expect.stringContaining("second"),
    });
  });

  test("does not say its position gives no snapshot of a server with a binary log", async () => {
    const error = await failureOf(dumpThrough("\"$@\" | sed '/^-- CHANGE MASTER TO/d'"));
    expect(error).toMatchObject({ code: "DUMP_FAILED", message: expect.stringContaining("position") });
  });

  test("brings a view that was not there when it began ends with an error that says to try again", async () => {
    await host.mariadb.sql("CREATE DATABASE plain");
    const second = '/^USE `plain`;/ { if (++n == 2) print "CREATE VIEW late AS SELECT 1;" }';
    const error = await failureOf(dumpThrough(`"$@" | awk '{ print } ${second}'`));
    await host.mariadb.sql("DROP DATABASE plain");
    expect(error).toMatchObject({
      code: "DUMP_FAILED",
      retryable: true,
      message: expect.stringContaining("changed during the dump"),
    });
  });

  test("is accompanied by a new routine ends with an error that says to try again", async () => {
    const create = "CREATE FUNCTION second.late() RETURNS INT DETERMINISTIC RETURN 1";
    const client = `mariadb --defaults-extra-file=${host.mariadb.defaultsFile}`;
    const error = await failureOf(dumpThrough(`"$@" | (head -c 5000; sleep 1; ${client} -e '${create}'; cat)`));
    await host.mariadb.sql("DROP FUNCTION second.late");
    expect(error).toMatchObject({
      code: "DUMP_FAILED",
      retryable: true,
      message: expect.stringContaining("changed during the dump"),
    });
  });

  test("is not there is named", async () => {
    const missing: Processes = {
      start: (command, options) => nodeProcesses.start(/dump$/.test(command[0]) ? ["/nowhere/dump"] : command, options),
    };
    expect(await failureOf(missing)).toMatchObject({
      code: "PROGRAM_MISSING",
      message: expect.stringContaining("mariadb-dump"),
    });
  });
});

describe("a table that is changed during the dump", () => {
  test("ends it with an error that says to try again", async () => {
    await host.mariadb.sql("CREATE TABLE second.zz (id INT); INSERT INTO second.zz VALUES (1)");
    await host.mariadb.sql("CREATE TABLE bulk AS SELECT seq, REPEAT(MD5(seq), 30) t FROM seq_1_to_20000", "mailserver");
    const change = `mariadb --defaults-extra-file=${host.mariadb.defaultsFile} -e 'ALTER TABLE second.zz MODIFY id BIGINT'`;
    // The view is opened when the program begins; the table is read only after the pause.
    const error = await failureOf(dumpThrough(`set -o pipefail; "$@" | (head -c 2000; ${change}; cat)`));
    expect(error).toMatchObject({
      code: "DUMP_FAILED",
      retryable: true,
      message: expect.stringContaining("changed during the dump"),
    });
    await host.mariadb.sql("DROP TABLE second.zz, mailserver.bulk");
  });
});

describe("an interruption", () => {
  test("ends every program and leaves no snapshot", async () => {
    const controller = new AbortController();
    const before = await manifestsIn(vault);
    const running = vault.backup([component()], {
      processes: dumpThrough('"$@" | head -c 2000; exec sleep 700'),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 800);
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    expect(await manifestsIn(vault)).toEqual(before);
    const sessions = await host.mariadb.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root'");
    expect(sessions.trim()).toBe("1");
  });
});

describe("an account that may not hold commits back", () => {
  test("gets a snapshot whose facts are marked as independent", async () => {
    await host.mariadb.sql(`
      CREATE USER modest@localhost IDENTIFIED BY 'm';
      GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, PROCESS, BINLOG MONITOR ON *.* TO modest@localhost`);
    const processes: Processes = {
      start: (command, options) =>
        nodeProcesses.start(
          command.map((word) =>
            word.startsWith("--defaults-file") ? `--defaults-file=${vault.directory}/modest` : word,
          ) as unknown as [string],
          options,
        ),
    };
    const { writeFileSync } = await import("node:fs");
    writeFileSync(`${vault.directory}/modest`, `[client]\nsocket=${host.mariadb.socket}\nuser=modest\npassword=m\n`);
    const { outcomes } = await vault.backup([component()], { processes });
    expect(outcomes[0]?.error).toBeUndefined();
    const snapshot = await vault.open("mysql");
    expect(snapshot.manifest.warnings).toContainEqual({ code: "FACTS_INDEPENDENT", count: 1 });
    expect((await readFacts(snapshot)).factsFrom).toBe("independent");

    // Without a look at the accounts the snapshot is partial, and says so.
    await host.mariadb.sql(`
      REVOKE ALL ON *.* FROM modest@localhost; GRANT BINLOG MONITOR ON *.* TO modest@localhost;
      GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON second.* TO modest@localhost`);
    const partial = await vault.backup([component()], { processes });
    expect(partial.outcomes[0]?.error).toBeUndefined();
    expect(partial.outcomes[0]?.manifest).toMatchObject({
      completeness: "partial",
      warnings: expect.arrayContaining([{ code: "ACCOUNTS_UNREADABLE", count: 1 }]),
    });
    await host.mariadb.sql("DROP USER modest@localhost");
  });
});

describe("a server", () => {
  test("that holds statements up is not waited for with everybody else's commits behind", async () => {
    const world = vault.world();
    const { openSession } = await import("../../../../shipper/components/mysql/session.ts");
    const blocker = await openSession(await sourceOf(host, world), world);
    await blocker.query("BACKUP STAGE START");
    const { outcomes } = await vault.backup([component()]);
    expect(outcomes[0]?.manifest?.warnings).toContainEqual({ code: "FACTS_INDEPENDENT", count: 1 });
    await blocker.query("BACKUP STAGE END");
    await blocker.close();
  });

  test("without a binary log gives a snapshot without a position, and says so", async () => {
    const quiet = await startHost({ services: ["mariadb"], settings: { mariadb: { "skip-log-bin": "1" } } });
    try {
      const { outcomes } = await vault.backup([mysqlComponent(configOf(quiet))]);
      expect(outcomes[0]?.error).toBeUndefined();
      const { manifest } = outcomes[0]!;
      expect(manifest?.position).toBeUndefined();
      expect(manifest?.warnings).toEqual([{ code: "BINLOG_OFF", count: 1 }]);
      const facts = await readFacts(await vault.open("mysql"));
      expect(facts.factsFrom).toBe("view");
    } finally {
      await quiet.stop();
    }
  });

  test("that shows no database is not captured as an empty one", async () => {
    await host.mariadb.wipe();
    const error = await failureOf(nodeProcesses);
    expect(error).toMatchObject({ code: "CAPTURE_FAILED", message: expect.stringContaining("no database") });
  });
});
