/** Loads a snapshot into an empty server, one archive after the other, without ever holding one in memory. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { feed } from "../../processes.ts";
import type { World } from "../component.ts";
import { readSmall } from "../small-part.ts";
import type { Connection } from "./connection.ts";
import type { DatabaseFacts, Facts } from "./facts.ts";
import { type GlobalStatement, globalStatements, withLocation } from "./globals.ts";
import { ownDatabases } from "./server.ts";
import { type SessionWorld, sqlStateOf, withSession } from "./session.ts";
import { quoteName } from "./sql-text.ts";

export interface LoadOptions {
  /** Roles that are there, and are not made. */
  readonly present: readonly string[];
  /** Roles that stay as they are, too. */
  readonly keep: readonly string[];
  /** Whether tablespaces are made inside the data directory, wherever they were. */
  readonly tablespacesInside: boolean;
  /** Is told of everything that comes to be, in that order. */
  readonly made?: (kind: "role" | "tablespace" | "database", name: string) => void;
}

/**
 * Makes roles and tablespaces, then the databases with their owners, settings and rights.
 *
 * @throws MailarkError `RESTORE_FAILED` with the server's words in `detail`; and as `SnapshotReader.readPart`.
 */
export async function loadSnapshot(
  snapshot: SnapshotReader,
  facts: Facts,
  databases: readonly DatabaseFacts[],
  connection: Connection,
  world: World,
  options: LoadOptions,
): Promise<void> {
  world.progress("loading roles");
  await loadGlobals((await readSmall(snapshot, "globals")).toString("utf8"), facts, connection, world, options);
  for (const database of databases) {
    world.progress(`loading ${database.name}`);
    await loadArchive(snapshot, database, connection, world, options);
  }
}

async function loadGlobals(sql: string, facts: Facts, connection: Connection, world: World, options: LoadOptions) {
  const kept = new Set(options.keep);
  const present = new Set(options.present);
  const statements = globalStatements(sql).filter(
    ({ role, creates }) => role === undefined || (!kept.has(role) && !(creates && present.has(role))),
  );
  await withSession(connection, world, async (session) => {
    const [has] = await session.query<{ inside: boolean }>(
      "SELECT count(*) > 0 AS inside FROM pg_catalog.pg_settings WHERE name = 'allow_in_place_tablespaces'",
    );
    if (options.tablespacesInside && has?.inside) await session.run("SET allow_in_place_tablespaces = on");
    const spaces = await session.query<{ name: string }>("SELECT spcname::text AS name FROM pg_catalog.pg_tablespace");
    const known = new Set(spaces.map(({ name }) => name));
    for (const statement of statements) {
      const { role, tablespace, creates } = statement;
      if (tablespace !== undefined && known.has(tablespace)) continue;
      await session.run(placed(statement, options)).catch((error) => {
        throw refused("globals", connection, error, [role ?? tablespace ?? ""]);
      });
      if (creates && role !== undefined) options.made?.("role", role);
      if (creates && tablespace !== undefined) options.made?.("tablespace", tablespace);
    }
    if (kept.has(facts.bootstrap)) return;
    // Whoever loads must be able to go on.
    await session.run(`ALTER ROLE ${quoteName(facts.bootstrap)} SUPERUSER LOGIN`);
  });
}

function placed({ sql, tablespace, creates }: GlobalStatement, { tablespacesInside }: LoadOptions): string {
  return tablespacesInside && creates && tablespace !== undefined ? withLocation(sql, "") : sql;
}

/** A database that every server has is made anew: its settings and rights are in the archive as another's are. */
async function loadArchive(
  snapshot: SnapshotReader,
  { name, part }: DatabaseFacts,
  connection: Connection,
  world: World,
  { made }: LoadOptions,
): Promise<void> {
  const own = ownDatabases.includes(name);
  const from = name === connection.maintenanceDatabase ? otherThan(name) : connection.maintenanceDatabase;
  const args = [
    "--format=custom",
    "--create",
    "--exit-on-error",
    "--no-password",
    ...(own ? ["--clean", "--if-exists"] : []),
  ];
  made?.("database", name);
  try {
    const command = connection.command("pg_restore", [...args, connection.to(from)]);
    await feed(connection.through(world.processes), command, snapshot.readPart(snapshot.part(part)), {
      signal: world.signal,
    });
  } catch (error) {
    throw refused(part, connection, error, []);
  }
}

const otherThan = (name: string) => (name === "postgres" ? "template1" : "postgres");

function refused(part: string, connection: Connection, error: unknown, about: readonly string[]): unknown {
  if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") return error;
  // The server repeats a statement that it did not accept, which may hold a password's hash.
  const secret = part === "globals";
  const complaint = secret ? [`SQLSTATE ${sqlStateOf(error) ?? "unknown"}`, ...about].join(", ") : (error.detail ?? "");
  return new MailarkError("RESTORE_FAILED", `the database server did not accept the part ${part}`, {
    detail: connection.scrub(complaint),
    hint: "restore to a server of the same release as the one that was captured, or a newer one, with its extensions and locales installed",
    ...(!secret && { cause: error }),
  });
}

/** Takes away what a load has made, the last first. Throws nothing: it runs after a failure. */
export async function unload(
  made: readonly { readonly kind: "role" | "tablespace" | "database"; readonly name: string }[],
  connection: Connection,
  world: SessionWorld,
): Promise<void> {
  for (const { kind, name } of made.toReversed()) {
    const from = name === connection.maintenanceDatabase ? otherThan(name) : connection.maintenanceDatabase;
    const attempt = (sql: string) =>
      withSession(connection, world, (session) => session.run(sql), from).catch(() => {});
    if (kind === "database" && ownDatabases.includes(name)) {
      if (name === "template1") await attempt("ALTER DATABASE template1 IS_TEMPLATE false");
      await attempt(`DROP DATABASE IF EXISTS ${quoteName(name)}`);
      await attempt(
        `CREATE DATABASE ${quoteName(name)} TEMPLATE template0${name === "template1" ? " IS_TEMPLATE true" : ""}`,
      );
    } else {
      await attempt(`DROP ${kind.toUpperCase()} IF EXISTS ${quoteName(name)}`);
    }
  }
}
