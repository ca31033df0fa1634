import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SnapshotReader } from "../../../../core/snapshot-reader.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { populateMailApp } from "../../../../sandbox/host/mail-app.ts";
import { postgresComponent } from "../../../../shipper/components/postgres/component.ts";
import { type Connection, openConnection } from "../../../../shipper/components/postgres/connection.ts";
import { readFacts } from "../../../../shipper/components/postgres/facts.ts";
import { loadSnapshot } from "../../../../shipper/components/postgres/load.ts";
import { openSession, type Session } from "../../../../shipper/components/postgres/session.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { ask, configOf, dumpOf, globalsOf, scratchPath, starts } from "./server-content.ts";

let host: SandboxHost;
let target: SandboxHost;
let vault: Vault;
let source: Connection;
let there: Connection;
beforeAll(async () => {
  const start = () => startHost({ services: ["postgres"] });
  [host, target, vault] = await Promise.all([start(), start(), createVault()]);
  source = await openConnection(configOf(host), vault.world());
  there = await openConnection(configOf(target), vault.world());
  await populateMailApp(host.postgres, { seed: "stage" });
  await host.postgres.sql("ALTER ROLE mailapp PASSWORD 'old password'; CREATE DATABASE aside");
  await host.postgres.sql("CREATE TABLE t (a integer); INSERT INTO t VALUES (1)", "aside");
  await host.postgres.sql("CREATE TABLE own (a integer); INSERT INTO own VALUES (7)");
  const { outcomes } = await vault.backup([postgresComponent(configOf(host))]);
  if (outcomes[0]?.error) throw outcomes[0].error;
});
afterAll(async () => {
  source?.close();
  there?.close();
  vault?.remove();
  await Promise.all([host?.stop(), target?.stop()]);
});

/** Component, snapshot and world of a restore to the second host. */
async function restore(processes: Processes = nodeProcesses) {
  return {
    component: postgresComponent(configOf(target)),
    snapshot: await vault.open("postgres"),
    world: vault.world({ processes }),
  };
}

const databasesOf = async (connection: Connection) =>
  (await ask(connection, "postgres", "SELECT datname FROM pg_database ORDER BY 1")).trim().split("\n");

describe("files", () => {
  test("load with the commands that lie beside them", async () => {
    const { component, snapshot, world } = await restore();
    const path = join(scratchDirectory(), "new");
    const staged = await component.stage(snapshot, { kind: "directory", path }, {}, world);
    expect(readdirSync(path).sort()).toEqual(
      ["0001-aside.dump", "0002-mailapp.dump", "0003-postgres.dump", "README.txt", "facts.json", "globals.sql"].sort(),
    );
    expect((await component.check(staged, world)).map(({ name, outcome }) => [name, outcome])).toEqual([
      ["files", "passed"],
      ["loading", "unproven"],
    ]);
    const commands = readFileSync(join(path, "README.txt"), "utf8").match(
      /^ {4}(psql|pg_restore) .*--dbname=[a-z].*$/gm,
    );
    expect(commands).toHaveLength(4);
    const [globals = "", ...archives] = commands!;
    const { environment } = target.postgres;
    await outputOf(nodeProcesses, ["sh", "-ec", globals], { cwd: path, env: environment });
    // The superuser has the password of the old server by now.
    const env = { ...environment, PGPASSFILE: host.postgres.passwordFile };
    await outputOf(nodeProcesses, ["sh", "-ec", archives.join("\n")], { cwd: path, env });
    const old = await openConnection(configOf(target, { passfile: host.postgres.passwordFile }), world);
    for (const database of ["mailapp", "aside", "postgres"]) {
      expect(await dumpOf(old, database)).toBe(await dumpOf(source, database));
    }
    old.close();
    await target.postgres.wipe();
  });

  test("that were cut off are noticed", async () => {
    const { component, snapshot, world } = await restore();
    const path = join(scratchDirectory(), "new");
    const staged = await component.stage(snapshot, { kind: "directory", path }, { databases: ["mailapp"] }, world);
    truncateSync(join(path, "0002-mailapp.dump"), 50_000);
    const [files] = await component.check(staged, world);
    expect(files).toMatchObject({ outcome: "failed", detail: expect.stringContaining("0002-mailapp.dump") });
  });

  test("are never written to a place that holds something", async () => {
    const { component, snapshot, world } = await restore();
    const path = scratchDirectory();
    writeFileSync(join(path, "mine"), "");
    const staging = component.stage(snapshot, { kind: "directory", path }, {}, world);
    await expect(staging).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect(readdirSync(path)).toEqual(["mine"]);
  });
});

describe("an empty service", () => {
  test("gets databases and roles, and people log in with the password that they had", async () => {
    const { component, snapshot, world } = await restore();
    const before = await ask(there, "postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'");
    const staged = await component.stage(snapshot, { kind: "service" }, {}, world);
    const checks = await component.check(staged, world);
    await staged.remove();
    expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    expect(checks.filter(({ outcome }) => outcome === "unproven").map(({ name }) => name)).toEqual([
      "pages and indexes of aside",
      "pages and indexes of mailapp",
      "pages and indexes of postgres",
      "roles",
    ]);
    const unlike = "were there before, stayed as they were, and are not as captured: postgres has another password";
    expect(checks.find(({ name }) => name === "roles")?.detail).toBe(unlike);
    expect(await databasesOf(there)).toEqual(["aside", "mailapp", "postgres", "template0", "template1"]);
    expect(await dumpOf(there, "mailapp")).toBe(await dumpOf(source, "mailapp"));
    expect(await ask(there, "postgres", "SELECT a FROM own")).toBe("7\n");
    expect(await ask(there, "postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")).toBe(before);

    const passwordFile = join(vault.directory, "old");
    writeFileSync(passwordFile, "old password\n", { mode: 0o600 });
    const user = await openConnection(configOf(target, { user: "mailapp", passwordFile, passfile: undefined }), world);
    expect(await ask(user, "mailapp", "SELECT count(*) FROM accounts")).toBe("5\n");
    user.close();

    const again = component.stage(snapshot, { kind: "service" }, {}, world);
    await expect(again).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      detail: expect.stringContaining("aside, mailapp"),
    });
  });

  test("whose own database holds something is not empty where that would come back", async () => {
    await target.postgres.wipe();
    await target.postgres.sql("CREATE TABLE precious (a integer)");
    const { component, snapshot, world } = await restore();
    const staging = component.stage(snapshot, { kind: "service" }, {}, world);
    await expect(staging).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", detail: "postgres" });
    const staged = await component.stage(snapshot, { kind: "service" }, { databases: ["aside"] }, world);
    await staged.remove();
    expect(await ask(there, "aside", "SELECT a FROM t")).toBe("1\n");
    expect(await ask(there, "postgres", "SELECT count(*) FROM precious")).toBe("0\n");
  });

  test("whose restore was ended is emptied again only while nothing came afterwards", async () => {
    await target.postgres.wipe();
    const { component, snapshot, world } = await restore();
    await (await component.stage(snapshot, { kind: "service" }, {}, world)).remove();
    const takeBack = () => component.filling!.takeBack(snapshot, world);
    await target.postgres.sql("CREATE TABLE later (a integer)", "aside");
    const refusal = { code: "TARGET_NOT_EMPTY", detail: "aside public.later: 0 rows, none in the snapshot" };
    await expect(takeBack()).rejects.toMatchObject(refusal);
    await target.postgres.sql("DROP TABLE later; INSERT INTO t VALUES (2)", "aside");
    await expect(takeBack()).rejects.toMatchObject({
      ...refusal,
      detail: "aside public.t: 2 rows, 1 in the snapshot",
    });
    expect(await ask(there, "aside", "SELECT count(*) FROM t")).toBe("2\n");
    await target.postgres.sql("DELETE FROM t", "aside");
    await takeBack();
    expect(await databasesOf(there)).toEqual(["postgres", "template0", "template1"]);
  });

  test("is empty again after a load that failed", async () => {
    await target.postgres.wipe();
    const globals = await globalsOf(there);
    let loads = 0;
    let guest: Session | undefined;
    const failing: Processes = {
      async start(command, options) {
        if (!starts(command, "pg_restore") || ++loads < 2) return nodeProcesses.start(command, options);
        // What keeps a database and a role from being dropped.
        const subscribe =
          "CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false); GRANT SET ON PARAMETER work_mem TO mailapp";
        await target.postgres.sql(subscribe, "aside");
        guest = await openSession(there, vault.world(), "aside");
        // A row of which two columns have become one: the server prints what stands there.
        return nodeProcesses.start(
          ["bash", "-c", `LC_ALL=C sed 's/\\x00\\([0-9]\\)\\t/\\x00\\1 /' | "$0" "$@"`, ...command],
          options,
        );
      },
    };
    const { component, snapshot, world } = await restore(failing);
    const error = await component.stage(snapshot, { kind: "service" }, {}, world).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "RESTORE_FAILED", message: expect.stringContaining("0002") });
    expect(error.cause).toBeUndefined();
    expect(error.detail).toMatch(/COPY failed for table "[a-z_]+": ERROR: {2}invalid input syntax for type \w+: …$/);
    await guest?.close();
    expect(await databasesOf(there)).toEqual(["postgres", "template0", "template1"]);
    expect(await globalsOf(there)).toBe(globals);
  });

  test("that can not be emptied again after a load that failed is told by name", async () => {
    await target.postgres.wipe();
    const failing: Processes = {
      async start(command, options) {
        if (!starts(command, "pg_restore")) return nodeProcesses.start(command, options);
        await target.postgres.sql("CREATE DATABASE precious OWNER mailapp");
        return nodeProcesses.start(["sh", "-c", "cat >/dev/null; exit 1"], options);
      },
    };
    const { component, snapshot, world } = await restore(failing);
    const staging = component.stage(snapshot, { kind: "service" }, { databases: ["aside"] }, world);
    await expect(staging).rejects.toMatchObject({ detail: expect.stringContaining("still there: role mailapp") });
    expect(await databasesOf(there)).toEqual(["postgres", "precious", "template0", "template1"]);
  });

  test("without the directory of a tablespace is refused before anything is made", async () => {
    await target.postgres.wipe();
    const sql = "CREATE ROLE early;\nCREATE TABLESPACE far OWNER early LOCATION '/nowhere/it''s';\n";
    const globals = { part: () => ({}), readPart: () => [Buffer.from(sql)] } as unknown as SnapshotReader;
    const options = { present: ["postgres"], keep: ["postgres"], tablespacesInside: false };
    const facts = { bootstrap: "postgres", databases: [], roles: [] };
    await expect(loadSnapshot(globals, facts, [], there, vault.world(), options)).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      detail: "/nowhere/it's",
      hint: expect.stringContaining("install -d -o postgres"),
    });
    expect(await ask(there, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'early'")).toBe("0\n");
  });

  test("gets a role with its password or not at all", async () => {
    await target.postgres.wipe();
    const { snapshot } = await restore();
    const dying: Processes = {
      start: (command, options) =>
        nodeProcesses.start(
          starts(command, "psql")
            ? ["bash", "-c", `sed -u '/^ALTER ROLE mailapp WITH/{s/.*/\\\\q/;q}' | "$0" "$@"`, ...command]
            : command,
          options,
        ),
    };
    const options = { present: ["postgres"], keep: ["postgres"], tablespacesInside: false };
    const facts = await readFacts(snapshot);
    const loading = loadSnapshot(snapshot, facts, [], there, vault.world({ processes: dying }), options);
    await expect(loading).rejects.toMatchObject({ code: "RESTORE_FAILED" });
    expect(await ask(there, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'mailapp'")).toBe("0\n");
  });
});

describe("a scratch place", () => {
  test("holds what was selected, and what was changed there is noticed", async () => {
    const { component, snapshot, world } = await restore();
    const place = scratchPath();
    const staged = await component.stage(
      snapshot,
      { kind: "scratch", path: place.path },
      { databases: ["mailapp"] },
      world,
    );
    expect(staged.offers).toEqual({ postgres: { socketDirectory: place.path, port: 5432 } });
    const scratch = staged.connection!;
    expect(await databasesOf(scratch)).toEqual(["mailapp", "postgres", "template0", "template1"]);
    const change = (sql: string) => ask(scratch, "mailapp", sql);
    await change("DELETE FROM message_labels WHERE ctid = (SELECT min(ctid) FROM message_labels)");
    await change("UPDATE folders SET path = 'INBOX.' WHERE id = 1");
    await change("ALTER TABLE labels DROP CONSTRAINT labels_account_id_fkey");
    await change("ALTER TABLE credentials OWNER TO postgres; SELECT setval('messages_id_seq', 5)");
    await change("ALTER TABLE message_labels DISABLE TRIGGER ALL; DELETE FROM messages WHERE id = 10");
    await change("ALTER ROLE mailapp PASSWORD 'other'; DROP INDEX accounts_name; DROP EXTENSION pg_trgm CASCADE");
    const failed = (await component.check(staged, world)).filter(({ outcome }) => outcome === "failed");
    expect(failed.map(({ name }) => name)).toEqual([
      "table mailapp.public.folders",
      "table mailapp.public.message_labels",
      "table mailapp.public.messages",
      "sequences of mailapp",
      "constraints of mailapp",
      "indexes of mailapp",
      "relations of mailapp",
      "extensions of mailapp",
      "roles",
    ]);
    await staged.remove();
    expect(existsSync(place.path)).toBe(false);
    place.remove();
  });

  test("of a machine without such a server holds files, and loading stays unproven", async () => {
    const without: Processes = {
      start: (command, options) =>
        nodeProcesses.start(command[0] === "sh" && command[2]?.includes("initdb") ? ["true"] : command, options),
    };
    const { component, snapshot, world } = await restore(without);
    const place = scratchPath();
    const staged = await component.stage(snapshot, { kind: "scratch", path: place.path }, {}, world);
    expect((await component.check(staged, world)).map(({ name, outcome }) => [name, outcome])).toEqual([
      ["files", "passed"],
      ["loading", "unproven"],
    ]);
    await staged.remove();
    expect(existsSync(place.path)).toBe(false);
    place.remove();
  });

  test("leaves nothing when the load fails", async () => {
    const failing: Processes = {
      start: (command, options) =>
        nodeProcesses.start(
          command[0].endsWith("/pg_restore") ? ["sh", "-c", "cat >/dev/null; exit 1"] : command,
          options,
        ),
    };
    const { component, snapshot, world } = await restore(failing);
    const place = scratchPath();
    mkdirSync(place.path);
    const staging = component.stage(snapshot, { kind: "scratch", path: place.path }, {}, world);
    await expect(staging).rejects.toMatchObject({ code: "RESTORE_FAILED" });
    expect(existsSync(place.path)).toBe(false);
    place.remove();
  });
});

describe("a plan and a selection", () => {
  test("name what would come back, and refuse what the snapshot does not hold", async () => {
    const { component, snapshot, world } = await restore();
    expect((await component.plan(snapshot, {})).map(({ what }) => what)).toEqual([
      "aside: 1 rows in 1 tables",
      expect.stringMatching(/^mailapp: \d+ rows in 6 tables$/),
      "postgres: 1 rows in 1 tables",
      "2 roles",
    ]);
    const unknown = component.plan(snapshot, { databases: ["nothing"] });
    await expect(unknown).rejects.toMatchObject({
      code: "ARGUMENT_INVALID",
      detail: expect.stringContaining("mailapp"),
    });
    const estimate = await postgresComponent(configOf(host)).estimate(world);
    expect(estimate.map(({ what }) => what)).toEqual(["aside", "mailapp", "postgres"]);
    await component.examine?.(snapshot, world);
  });
});
