/** Loads a snapshot into an empty server, one archive after the other, without ever holding one in memory. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { feed } from "../../processes.ts";
import type { World } from "../component.ts";
import { readSmall } from "../small-part.ts";
import { withoutRows } from "./complaint.ts";
import type { Connection } from "./connection.ts";
import type { DatabaseFacts, Facts } from "./facts.ts";
import { type GlobalStatement, globalStatements, locationOf, withLocation } from "./globals.ts";
import { ownDatabases } from "./server.ts";
import { type Session, sqlStateOf, withSession } from "./session.ts";
import { quoteName } from "./sql-text.ts";
import { besides, type Made } from "./unload.ts";

export interface LoadOptions {
  /** Roles that are there, and are not made. */
  readonly present: readonly string[];
  /** Roles that stay as they are, too. */
  readonly keep: readonly string[];
  /** Whether tablespaces are made inside the data directory, wherever they were. */
  readonly tablespacesInside: boolean;
  /** Is told of everything that comes to be, in that order. */
  readonly made?: (thing: Made) => void;
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
    const spacesToMake = statements.filter(
      ({ tablespace, creates }) => creates && tablespace !== undefined && !known.has(tablespace),
    );
    if (!options.tablespacesInside) await refuseWithoutDirectories(spacesToMake, session);
    const run = async (statement: GlobalStatement) => {
      const { role, tablespace } = statement;
      await session.run(placed(statement, options)).catch((error) => {
        throw refused("globals", connection, error, [role ?? tablespace ?? ""]);
      });
    };
    const roles = statements.filter(({ tablespace }) => tablespace === undefined);
    // All or none: a later restore leaves a role as it finds it, and one that was only begun has no password.
    await session.run("BEGIN");
    for (const statement of roles) await run(statement);
    // Whoever loads must be able to go on.
    if (!kept.has(facts.bootstrap)) await session.run(`ALTER ROLE ${quoteName(facts.bootstrap)} SUPERUSER LOGIN`);
    for (const { role, creates } of roles)
      if (creates && role !== undefined) options.made?.({ kind: "role", name: role });
    await session.run("COMMIT");
    for (const statement of statements) {
      const { tablespace, creates } = statement;
      if (tablespace === undefined || known.has(tablespace)) continue;
      await run(statement);
      if (creates) options.made?.({ kind: "tablespace", name: tablespace });
    }
  });
}

/** @throws MailarkError `RESTORE_FAILED` where the server finds no directory for a tablespace: it makes none itself. */
async function refuseWithoutDirectories(statements: readonly GlobalStatement[], session: Session): Promise<void> {
  const missing: string[] = [];
  for (const { sql } of statements) {
    const literal = locationOf(sql);
    const [row] = await session.query<{ path: string; there: boolean }>(
      `SELECT ${literal} AS path, coalesce((pg_catalog.pg_stat_file(${literal}, true)).isdir, false) AS there`,
    );
    if (row && !row.there) missing.push(row.path);
  }
  if (missing.length === 0) return;
  throw new MailarkError(
    "RESTORE_FAILED",
    `${missing.length} directories of tablespaces are missing where the server runs`,
    {
      detail: missing.join("\n"),
      hint: `make each, empty and owned by the server's account: install -d -o postgres -g postgres -m 0700 ${missing[0]}`,
    },
  );
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
  const args = [
    "--format=custom",
    "--create",
    "--exit-on-error",
    "--no-password",
    ...(own ? ["--clean", "--if-exists"] : []),
  ];
  made?.({ kind: "database", name });
  try {
    const command = connection.command("pg_restore", [...args, connection.to(besides(name, connection))]);
    await feed(connection.through(world.processes), command, snapshot.readPart(snapshot.part(part)), {
      signal: world.signal,
    });
  } catch (error) {
    throw refused(part, connection, error, []);
  }
}

function refused(part: string, connection: Connection, error: unknown, about: readonly string[]): unknown {
  if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") return error;
  // The server repeats statements and rows that it did not accept, which may hold a password's hash. The cause has them still, and is left out.
  const state = [`SQLSTATE ${sqlStateOf(error) ?? "unknown"}`, ...about].join(", ");
  const complaint = part === "globals" ? state : withoutRows(error.detail ?? "");
  return new MailarkError("RESTORE_FAILED", `the database server did not accept the part ${part}`, {
    detail: connection.scrub(complaint),
    hint: "restore to a server of the same release as the one that was captured, or a newer one, with its extensions and locales installed",
  });
}
