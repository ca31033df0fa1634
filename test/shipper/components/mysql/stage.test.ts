import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { mysqlComponent } from "../../../../shipper/components/mysql/component.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { accountsOf, configOf, contentOf, scratchPath, sourceOf } from "./server-content.ts";

const traps = readFileSync(new URL("traps.sql", import.meta.url));

let host: SandboxHost;
let target: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  const start = () => startHost({ services: ["mariadb"], settings: { mariadb: { "event-scheduler": "ON" } } });
  [host, target, vault] = await Promise.all([start(), start(), createVault()]);
  await host.mariadb.sql(traps);
  // In the dump it is twice as long, and then more than a server takes by default.
  await host.mariadb.sql(
    "CREATE TABLE traps.large (b LONGBLOB); INSERT INTO traps.large VALUES (REPEAT(x'00', 12000000))",
  );
  const { outcomes } = await vault.backup([mysqlComponent(configOf(host))]);
  if (outcomes[0]?.error) throw outcomes[0].error;
});
afterAll(async () => {
  vault?.remove();
  await Promise.all([host?.stop(), target?.stop()]);
});

/** Component, snapshot and world of a restore to the second host. */
async function restore(processes: Processes = nodeProcesses) {
  return {
    component: mysqlComponent(configOf(target)),
    snapshot: await vault.open("mysql"),
    world: vault.world({ processes }),
  };
}

/** The machine's processes, but the n-th load of a part ends after some bytes. */
function failingLoad(which: RegExp): Processes {
  return {
    start(command, options) {
      const load = command.includes("--batch") && command.some((word) => which.test(word));
      if (!load) return nodeProcesses.start(command, options);
      return nodeProcesses.start(
        ["bash", "-c", 'head -c 700 | "$@"; cat > /dev/null; exit 1', "load", ...command],
        options,
      );
    },
  };
}

describe("a snapshot staged to a service", () => {
  test("is refused while the server holds any database, and nothing is touched", async () => {
    const { component, snapshot, world } = await restore();
    const before = await contentOf(await sourceOf(target, world), world);
    await expect(component.stage(snapshot, { kind: "service" }, {}, world)).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      detail: "mailserver",
    });
    expect(await contentOf(await sourceOf(target, world), world)).toBe(before);
  });

  test("is taken back when a part does not load, with the accounts that came with it", async () => {
    await target.mariadb.wipe();
    const accounts = "SELECT user, host FROM mysql.global_priv ORDER BY user, host";
    const before = await target.mariadb.sql(accounts);
    for (const part of [/^--database=traps$/, /^--database=mailserver$/]) {
      const { component, snapshot, world } = await restore(failingLoad(part));
      const error = await component.stage(snapshot, { kind: "service" }, {}, world).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: "RESTORE_FAILED", message: expect.not.stringMatching(/traps|mailserver/) });
      expect(await target.mariadb.sql("SHOW DATABASES")).toBe("information_schema\nmysql\nperformance_schema\nsys\n");
      expect(await target.mariadb.sql(accounts)).toBe(before);
    }
  });

  test("is taken back without the accounts that were there before", async () => {
    await target.mariadb.wipe();
    await target.mariadb.sql("CREATE USER app@'%' IDENTIFIED BY 'of this server'");
    const { component, snapshot, world } = await restore(failingLoad(/^--database=traps$/));
    await expect(component.stage(snapshot, { kind: "service" }, {}, world)).rejects.toMatchObject({
      code: "RESTORE_FAILED",
    });
    expect(await target.mariadb.sql("SELECT host FROM mysql.global_priv WHERE user = 'app'")).toBe("%\n");
    await target.mariadb.sql("DROP USER app@'%'");
  });

  test.each([
    { at: "accounts", sed: "s/IDENTIFIED BY/IDENTIFIED BUY/", said: /^ERROR 1064 \(42000\) at line \d+$/ },
    { at: "tables", sed: "s/CREATE TABLE/CREATE TABEL/", said: /^ERROR 1064 .* near …$/ },
  ])("that fails at its $at tells nothing of what stands there", async ({ at, sed, said }) => {
    await target.mariadb.wipe();
    const breaking: Processes = {
      start(command, options) {
        const load = command.includes("--binary-mode") && command.includes("--max-allowed-packet=1G");
        if (!load || command.includes("--database=mailserver") === (at === "accounts"))
          return nodeProcesses.start(command, options);
        return nodeProcesses.start(["bash", "-c", 'LC_ALL=C sed "$0" | "$@"', sed, ...command], options);
      },
    };
    const { component, snapshot, world } = await restore(breaking);
    const error = await component.stage(snapshot, { kind: "service" }, {}, world).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "RESTORE_FAILED", detail: expect.stringMatching(said) });
    expect(error.cause).toBeUndefined();
    expect(await target.mariadb.sql("SHOW DATABASES")).toBe("information_schema\nmysql\nperformance_schema\nsys\n");
  });

  test("fills an empty server, and leaves the account alone that restores it", async () => {
    await target.mariadb.wipe();
    const { component, snapshot, world } = await restore();
    const packets = await target.mariadb.sql("SELECT @@GLOBAL.max_allowed_packet");
    const staged = await component.stage(snapshot, { kind: "service" }, {}, world);
    const source = await sourceOf(host, world);
    expect(await contentOf(staged.connection!, world)).toBe(await contentOf(source, world));
    expect(await accountsOf(staged.connection!, world)).toBe(await accountsOf(source, world));
    const checks = await component.check(staged, world);
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(await target.mariadb.sql("SELECT @@GLOBAL.max_allowed_packet")).toBe(packets);
    expect(await target.mariadb.sql("SELECT status FROM information_schema.events WHERE event_name = 'tick'")).toBe(
      "ENABLED\n",
    );
    // The load is in the binary log, for replicas and for a later replay.
    expect(await target.mariadb.sql("SELECT @@GLOBAL.gtid_binlog_pos")).not.toBe("\n");
    await staged.remove();
    expect(await target.mariadb.sql("SHOW DATABASES")).toContain("traps");
  });

  test("that was ended is taken back only while nothing came afterwards", async () => {
    await target.mariadb.wipe();
    const { component, snapshot, world } = await restore();
    await component.stage(snapshot, { kind: "service" }, {}, world);
    const takeBack = () => component.filling!.takeBack(snapshot, world);
    await target.mariadb.sql("CREATE TABLE mailserver.later (a INT); INSERT INTO mailserver.later VALUES (1)");
    const refusal = { code: "TARGET_NOT_EMPTY", detail: "mailserver.later: 1 rows, none in the snapshot" };
    await expect(takeBack()).rejects.toMatchObject(refusal);
    expect(await target.mariadb.sql("SELECT a FROM mailserver.later")).toBe("1\n");
    await target.mariadb.sql("DROP TABLE mailserver.later; INSERT INTO traps.large SELECT * FROM traps.large");
    await expect(takeBack()).rejects.toMatchObject({ ...refusal, detail: "traps.large: 2 rows, 1 in the snapshot" });
    expect(await target.mariadb.sql("SELECT COUNT(*) FROM traps.large")).toBe("2\n");
    // A restore that was ended in the middle of a table.
    await target.mariadb.sql("DELETE FROM traps.large");
    await takeBack();
    expect(await target.mariadb.sql("SHOW DATABASES")).toBe("information_schema\nmysql\nperformance_schema\nsys\n");
  });

  test("is judged by what it holds: every kind of difference is found", async () => {
    await target.mariadb.wipe();
    const { component, snapshot, world } = await restore();
    const staged = await component.stage(snapshot, { kind: "service" }, {}, world);
    await target.mariadb.sql(`
      UPDATE traps.parts SET at = '2026-01-02' WHERE id = 7;
      DELETE FROM traps.child;
      UPDATE traps.old_engine SET id = 9;
      DROP TABLE traps.past;
      DROP EVENT traps.tick;
      DROP FUNCTION traps.doubled;
      DROP USER app@'%';`);
    const checks = await component.check(staged, world);
    const amiss = new Map(
      checks.filter(({ outcome }) => outcome !== "passed").map(({ name, ...rest }) => [name, rest]),
    );
    expect([...amiss.keys()].toSorted()).toEqual([
      "accounts",
      "programs of traps",
      "table traps.child",
      "table traps.old_engine",
      "table traps.parts",
      "table traps.past",
      "view traps.across",
    ]);
    expect(amiss.get("table traps.parts")).toMatchObject({
      outcome: "failed",
      detail: expect.stringContaining("checksum"),
    });
    expect(amiss.get("table traps.child")).toMatchObject({ outcome: "failed", detail: "0 rows, 1 when captured" });
    expect(amiss.get("table traps.old_engine")).toMatchObject({ outcome: "unproven" });
    expect(amiss.get("accounts")?.detail).toContain("app@%");
    await staged.remove();
  });
});

describe("a snapshot staged to a scratch place", () => {
  test("is narrowed to the databases asked for, and gone afterwards", async () => {
    const { component, snapshot, world } = await restore();
    const place = scratchPath();
    const staged = await component.stage(
      snapshot,
      { kind: "scratch", path: place.path },
      { databases: ["mailserver"] },
      world,
    );
    const pid = Number(readFileSync(join(place.path, "pid"), "utf8"));
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    if (process.getuid?.() === 0) expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe("0");
    expect(statSync(place.path).mode & 0o777).toBe(0o700);
    const client = staged.connection!.command("mariadb", ["--batch", "--skip-column-names"]);
    const ask = async (input: string) => (await outputOf(nodeProcesses, client, { input })).toString();
    expect(await ask("SHOW DATABASES")).toBe("information_schema\nmailserver\nmysql\nperformance_schema\nsys\n");
    expect(await ask("SELECT @@skip_networking, @@log_bin, @@event_scheduler")).toBe("1\t0\tOFF\n");
    const checks = await component.check(staged, world);
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    await staged.remove();
    expect(existsSync(place.path)).toBe(false);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    place.remove();
  });

  test("leaves neither files nor a server behind when it fails", async () => {
    const { component, snapshot, world } = await restore(failingLoad(/^--database=traps$/));
    const place = scratchPath();
    await expect(component.stage(snapshot, { kind: "scratch", path: place.path }, {}, world)).rejects.toMatchObject({
      code: "RESTORE_FAILED",
    });
    expect(existsSync(place.path)).toBe(false);
    const left = await outputOf(nodeProcesses, [
      "bash",
      "-c",
      `ps -eo args | grep -c -- '[-]-datadir=${place.path}' || true`,
    ]);
    expect(left.toString().trim()).toBe("0");
    place.remove();
  });

  test("is ended and removed when it is interrupted", async () => {
    const controller = new AbortController();
    const { component, snapshot } = await restore();
    const place = scratchPath();
    const world = {
      ...vault.world({ signal: controller.signal }),
      progress: (doing: string) => doing.startsWith("loading") && controller.abort(),
    };
    await expect(
      component.stage(snapshot, { kind: "scratch", path: place.path }, {}, world as never),
    ).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(existsSync(place.path)).toBe(false);
    place.remove();
  });

  test("without a server program on this machine is refused by that name, before anything is touched", async () => {
    const none: Processes = {
      start: (command, options) =>
        nodeProcesses.start(
          command.map((word) => (/^(mysqld|mariadbd)$/.test(word) ? `no-${word}` : word)) as unknown as [string],
          options,
        ),
    };
    const { component, snapshot, world } = await restore(none);
    const place = scratchPath();
    await expect(component.stage(snapshot, { kind: "scratch", path: place.path }, {}, world)).rejects.toMatchObject({
      code: "PROGRAM_MISSING",
    });
    expect(existsSync(place.path)).toBe(false);
    place.remove();
  });
});

describe("a snapshot staged to a directory", () => {
  test("is SQL in files of harmless names, that load in the order that is written beside them", async () => {
    await target.mariadb.wipe();
    const { component, snapshot, world } = await restore();
    const path = join(vault.directory, "files");
    const staged = await component.stage(snapshot, { kind: "directory", path }, {}, world);
    const names = readdirSync(path);
    expect(names.filter((name) => !/^[A-Za-z0-9_%.-]+$/.test(name))).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(["README.txt", "accounts.sql", "facts.json", "create-databases.sql"]));
    for (const name of names) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(await component.check(staged, world)).toEqual([
      { name: "files", outcome: "passed", detail: expect.any(String) },
      { name: "loading", outcome: "unproven", detail: expect.any(String) },
    ]);

    const facts = JSON.parse(readFileSync(join(path, "facts.json"), "utf8"));
    const nameOf = new Map<string, string>(
      facts.databases.map(({ part, name }: Record<string, string>) => [part!.slice(9), name]),
    );
    const copy = await sourceOf(target, world);
    const page = readFileSync(join(path, "README.txt"), "utf8");
    const lines = page.matchAll(/^ {4}mariadb --binary-mode --default-character-set=utf8mb4.* < (.*)$/gm);
    await target.mariadb.sql("SET GLOBAL max_allowed_packet=1073741824");
    for (const [, file = ""] of lines) {
      const number = /^(\d{4})-/.exec(file)?.[1];
      const database = number === undefined ? [] : [`--database=${nameOf.get(number)}`];
      const client = copy.command("mariadb", [
        "--binary-mode",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
        ...database,
      ]);
      await outputOf(nodeProcesses, client, { input: readFileSync(join(path, file)) });
    }
    const source = await sourceOf(host, world);
    expect(await contentOf(copy, world)).toBe(await contentOf(source, world));

    truncateSync(join(path, names.find((name) => name.includes("mailserver.tables"))!), 900);
    expect(await component.check(staged, world)).toContainEqual({
      name: "files",
      outcome: "failed",
      detail: expect.stringContaining("mailserver"),
    });
  });

  test("goes into any database: a copy stands beside the live one, which stays as it is", async () => {
    const { snapshot, world } = await restore();
    const source = await sourceOf(host, world);
    const before = await contentOf(source, world);
    await host.mariadb.sql("SET GLOBAL max_allowed_packet=1073741824; CREATE DATABASE beside");
    for (const part of ["database", "programs", "views"]) {
      const chunks: Buffer[] = [];
      for await (const chunk of snapshot.readPart(snapshot.part(`${part}-0006`))) chunks.push(chunk);
      const client = source.command("mariadb", ["--binary-mode", "--max-allowed-packet=1G", "--database=beside"]);
      await outputOf(nodeProcesses, client, { input: Buffer.concat(chunks) });
    }
    const count = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema =";
    expect(await host.mariadb.sql(`${count} 'beside'`)).toBe(await host.mariadb.sql(`${count} 'traps'`));
    expect(await host.mariadb.sql("SELECT COUNT(*) FROM information_schema.events WHERE event_schema = 'beside'")).toBe(
      "0\n",
    );
    await host.mariadb.sql("DROP DATABASE beside");
    expect(await contentOf(source, world)).toBe(before);
  });

  test("is refused where the directory is not empty", async () => {
    const path = join(vault.directory, "taken");
    mkdirSync(path);
    writeFileSync(join(path, "mine"), "");
    const { component, snapshot, world } = await restore();
    for (const kind of ["directory", "scratch"] as const) {
      await expect(component.stage(snapshot, { kind, path }, {}, world)).rejects.toMatchObject({
        code: "TARGET_NOT_EMPTY",
      });
    }
    expect(readdirSync(path)).toEqual(["mine"]);
  });

  test("is refused for a database that the snapshot does not hold, naming those that it does", async () => {
    const { component, snapshot, world } = await restore();
    const path = join(vault.directory, "none");
    const error = await component
      .stage(snapshot, { kind: "directory", path }, { databases: ["nope"] }, world)
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "ARGUMENT_INVALID", detail: expect.stringMatching(/nope.*mailserver/s) });
    expect(existsSync(path)).toBe(false);
  });
});
