import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { populateMailApp } from "../../../../sandbox/host/mail-app.ts";
import { postgresComponent } from "../../../../shipper/components/postgres/component.ts";
import { openConnection } from "../../../../shipper/components/postgres/connection.ts";
import { openSession } from "../../../../shipper/components/postgres/session.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { failedBackup, manifestsIn } from "../../../fixtures/failed-backup.ts";
import { errnoError } from "../../../fixtures/faults.ts";
import { createVault, type Ports, type Vault } from "../../../fixtures/vault.ts";
import { configOf, dumpThrough, starts } from "./server-content.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postgres"] }), createVault()]);
  await populateMailApp(host.postgres, { seed: "broken" });
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

const component = (more: Parameters<typeof configOf>[1] = {}) => postgresComponent(configOf(host, more));

const failureOf = (ports: Ports, more: Parameters<typeof configOf>[1] = {}) =>
  failedBackup(vault, component(more), ports);

const sessions = async () =>
  (await host.postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")).trim();

describe("a dump program that", () => {
  test("fails at its end, after all its output, gives no snapshot", async () => {
    const error = await failureOf({ processes: dumpThrough('"$@"; echo "something is wrong" >&2; exit 2') });
    expect(error).toMatchObject({
      code: "DUMP_FAILED",
      message: expect.stringContaining("exit status 2"),
      detail: "something is wrong",
    });
  });

  test("is killed gives no snapshot", async () => {
    const error = await failureOf({ processes: dumpThrough('"$@" | head -c 30000; kill -KILL $$') });
    expect(error).toMatchObject({ code: "DUMP_FAILED", message: expect.stringContaining("SIGKILL") });
  });

  test("is cut off, and yet ends well, gives no snapshot", async () => {
    for (const bytes of [0, 700, 60_000]) {
      const error = await failureOf({ processes: dumpThrough(`"$@" | head -c ${bytes}`) });
      expect(error?.code, `cut at byte ${bytes}: ${error?.message}`).toBe("DUMP_TRUNCATED");
    }
    const last = await failureOf({ processes: dumpThrough('"$@" | head -c -1') });
    expect(last).toMatchObject({ code: "DUMP_TRUNCATED", retryable: true });
  });

  test("loses roles gives no snapshot", async () => {
    const cut = await failureOf({ processes: dumpThrough('"$@" | head -c 300', "pg_dumpall") });
    expect(cut).toMatchObject({ code: "DUMP_TRUNCATED" });
    expect(await failureOf({ processes: dumpThrough('"$@"; exit 3', "pg_dumpall") })).toMatchObject({
      code: "DUMP_FAILED",
    });
    const less = await failureOf({ processes: dumpThrough('"$@" | grep -v "ROLE mailapp"', "pg_dumpall") });
    expect(less).toMatchObject({
      code: "DUMP_FAILED",
      message: "the dump lacks roles that the server has",
      detail: "mailapp",
    });
  });

  test("prints nothing for too long is ended, together with what waits for it", async () => {
    const marker = `sleep ${800 + (process.pid % 97)}`;
    const error = await failureOf({ processes: dumpThrough(`exec ${marker}`) }, { stallSeconds: 0.5 });
    expect(error).toMatchObject({ code: "PROGRAM_STALLED", retryable: true });
    const half = dumpThrough(`"$@" | head -c 20000; exec ${marker}`);
    expect(await failureOf({ processes: half }, { stallSeconds: 0.5 })).toMatchObject({ code: "PROGRAM_STALLED" });
    const left = await outputOf(nodeProcesses, ["sh", "-c", `ps -eo args | grep -c '^${marker}' || true`]);
    expect(left.toString().trim()).toBe("0");
    expect(await sessions()).toBe("1");
  });

  test("leaves a table out, and yet ends well, gives no snapshot", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own
    const script = 'last="${@: -1}"; set -- "${@:1:$#-1}"; exec "$@" --exclude-table=public.labels "$last"';
    expect(await failureOf({ processes: dumpThrough(script) })).toMatchObject({
      code: "DUMP_FAILED",
      message: "the dump lacks tables that the server has",
      detail: "mailapp, public.labels",
    });
  });

  test("is not there is named", async () => {
    const missing: Processes = {
      start: (command, options) =>
        nodeProcesses.start(starts(command, "pg_dump") ? ["/nowhere/pg_dump"] : command, options),
    };
    expect(await failureOf({ processes: missing })).toMatchObject({
      code: "PROGRAM_MISSING",
      message: expect.stringContaining("pg_dump"),
    });
  });
});

describe("a store that is full", () => {
  test("ends the capture and the dump program, and leaves no manifest", async () => {
    const full = (store: Vault["store"]) => ({
      ...store,
      put: (...[key, ...rest]: Parameters<typeof store.put>) =>
        key.endsWith(".pack") ? Promise.reject(errnoError("ENOSPC")) : store.put(key, ...rest),
    });
    const error = await failureOf({ wrap: full });
    expect(error?.message).toContain("ENOSPC");
    expect(await sessions()).toBe("1");
  });
});

describe("a server", () => {
  test("that is gone in the middle of the dump gives no snapshot, and an error that says to try again", async () => {
    const own = await startHost({ services: ["postgres"] });
    try {
      await populateMailApp(own.postgres, { seed: "gone", messages: 20_000 });
      const processes = dumpThrough(
        `"$@" | (head -c 100000; kill -QUIT ${own.postgres.pid}; cat); exit "\${PIPESTATUS[0]}"`,
      );
      const before = await manifestsIn(vault);
      const { outcomes } = await vault.backup([postgresComponent(configOf(own))], { processes });
      expect(await manifestsIn(vault)).toEqual(before);
      expect(outcomes[0]?.error).toMatchObject({ retryable: true });
    } finally {
      await own.stop();
    }
  });

  test("that refuses the password says so, and never repeats it", async () => {
    const passwordFile = join(vault.directory, "wrong-password");
    writeFileSync(passwordFile, "wrong:pass\\word\n", { mode: 0o600 });
    const error = await failureOf({}, { passwordFile, passfile: undefined });
    expect(error).toMatchObject({
      code: "PROGRAM_FAILED",
      hint: expect.stringContaining("password of the postgres component"),
    });
    expect(JSON.stringify([error, error?.detail, error?.message])).not.toContain("wrong:pass");
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`mailark-client-${process.pid}-`))).toEqual([]);
  });

  test("is reached with a password that has every mark of libpq's files in it", async () => {
    const password = "a:b\\c 'd\" ü";
    await host.postgres.sql(`CREATE ROLE marked SUPERUSER LOGIN PASSWORD '${password.replaceAll("'", "''")}'`);
    const passwordFile = join(vault.directory, "marked-password");
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    const { outcomes } = await vault.backup([component({ user: "marked", passwordFile, passfile: undefined })]);
    await host.postgres.sql("DROP ROLE marked");
    expect(outcomes[0]?.error).toBeUndefined();
    expect(existsSync(passwordFile)).toBe(true);
  });

  test("whose table is locked is not waited for longer than stallSeconds", async () => {
    const connection = await openConnection(configOf(host), vault.world());
    const locker = await openSession(connection, vault.world(), "mailapp");
    await locker.run("BEGIN; LOCK TABLE public.labels");
    expect(await failureOf({}, { stallSeconds: 1.5 })).toMatchObject({
      code: expect.stringMatching(/^(DUMP_FAILED|PROGRAM_STALLED)$/),
      retryable: true,
    });
    await locker.close();
    connection.close();
  });

  test("hides no row by row security: the dump fails", async () => {
    await host.postgres.sql(
      `CREATE ROLE modest LOGIN PASSWORD 'm';
       GRANT SELECT ON ALL TABLES IN SCHEMA public TO modest; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO modest;
       ALTER TABLE labels ENABLE ROW LEVEL SECURITY;`,
      "mailapp",
    );
    const passwordFile = join(vault.directory, "modest-password");
    writeFileSync(passwordFile, "m\n", { mode: 0o600 });
    const modest = { user: "modest", passwordFile, passfile: undefined };
    expect(await failureOf({}, modest)).toMatchObject({
      code: "DUMP_FAILED",
      hint: expect.stringContaining("BYPASSRLS"),
    });

    // Without row security in the way there is a snapshot, but for what only a superuser sees, and it says so.
    await host.postgres.sql("ALTER ROLE modest BYPASSRLS");
    await host.postgres.sql(
      `CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far;
       CREATE USER MAPPING FOR mailapp SERVER far OPTIONS (password 'p');
       CREATE SUBSCRIPTION far CONNECTION 'host=/nowhere password=p' PUBLICATION far WITH (connect = false);`,
      "mailapp",
    );
    const { outcomes } = await vault.backup([component(modest)]);
    await host.postgres.sql("ALTER SUBSCRIPTION far SET (slot_name = NONE)", "mailapp");
    await host.postgres.sql("DROP SUBSCRIPTION far", "mailapp");
    await host.postgres.sql(
      `DROP FOREIGN DATA WRAPPER far CASCADE;
       ALTER TABLE labels DISABLE ROW LEVEL SECURITY; DROP OWNED BY modest; DROP ROLE modest`,
      "mailapp",
    );
    expect(outcomes[0]?.error).toBeUndefined();
    expect(outcomes[0]?.manifest).toMatchObject({
      completeness: "partial",
      warnings: [
        { code: "PASSWORDS_UNREADABLE", count: 1 },
        { code: "SUBSCRIPTIONS_UNREADABLE", count: 1 },
        { code: "USER_MAPPINGS_UNREADABLE", count: 1 },
      ],
    });
  });

  test("with a database that takes no connections gives a partial snapshot that says so", async () => {
    await host.postgres.sql("CREATE DATABASE closed; ");
    await host.postgres.sql("ALTER DATABASE closed ALLOW_CONNECTIONS false");
    const { outcomes } = await vault.backup([component()]);
    expect(outcomes[0]?.manifest).toMatchObject({
      completeness: "partial",
      warnings: [{ code: "DATABASE_CLOSED", count: 1 }],
    });
    expect(await failureOf({}, { databases: ["closed"] })).toMatchObject({ code: "CAPTURE_FAILED", detail: "closed" });
    await host.postgres.sql("DROP DATABASE closed");
  });

  test("is reached by nothing that the environment says of another one", async () => {
    Object.assign(process.env, {
      PGHOST: "/nowhere",
      PGDATABASE: "other",
      PGOPTIONS: "-c nonsense=1",
      PGSERVICE: "no",
    });
    try {
      const { outcomes } = await vault.backup([component()]);
      expect(outcomes[0]?.error).toBeUndefined();
    } finally {
      for (const name of ["PGHOST", "PGDATABASE", "PGOPTIONS", "PGSERVICE"]) delete process.env[name];
    }
  });

  test("that shows no database is not captured as an empty one", async () => {
    await host.postgres.wipe();
    expect(await failureOf({})).toMatchObject({
      code: "CAPTURE_FAILED",
      message: expect.stringContaining("no database"),
    });
  });
});

describe("an interruption", () => {
  test("ends every program and leaves no snapshot", async () => {
    await host.postgres.sql("CREATE DATABASE one");
    const controller = new AbortController();
    const before = await manifestsIn(vault);
    const running = vault.backup([component()], {
      processes: dumpThrough('"$@" | head -c 2000; exec sleep 900'),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 800);
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    expect(await manifestsIn(vault)).toEqual(before);
    expect(await sessions()).toBe("1");
  });
});
