/** A view of one database that stands still, which a dump program can take over. */
import type { Connection } from "./connection.ts";
import { type Database, openDatabase } from "./server.ts";
import type { Session, SessionWorld } from "./session.ts";
import { quoteName, quoteText } from "./sql-text.ts";
import { listTables, type Table } from "./tables.ts";

export interface View {
  readonly database: Database;
  readonly session: Session;
  /** For `pg_dump --snapshot`. */
  readonly snapshot: string;
  readonly cutAt: number;
  /** Place in the write-ahead log, where the server says it. */
  readonly lsn?: string;
  readonly timeline?: number;
  readonly tables: readonly Table[];
}

/**
 * Opens the view.
 *
 * @throws MailarkError `PROGRAM_FAILED`.
 */
export async function openView(connection: Connection, database: Database, world: SessionWorld): Promise<View> {
  const session = await openDatabase(connection, world, database);
  try {
    await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const cutAt = world.clock.now();
    const [row] = await session.query<{ snapshot: string; lsn: string | null; timeline: string | null }>(
      `SELECT pg_export_snapshot() AS snapshot,
         (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn,
         CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline`,
    );
    return {
      database,
      session,
      snapshot: row?.snapshot ?? "",
      cutAt,
      ...(row?.lsn && { lsn: row.lsn }),
      ...(row?.timeline && { timeline: Number.parseInt(row.timeline, 16) }),
      tables: await listTables(session),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/**
 * Locks the tables of the view against TRUNCATE, ALTER and DROP, which are seen through every view, and returns those that are locked.
 *
 * To be called while a dump has its own locks: what happened before them, the dump sees too. It never waits: behind somebody who waits for the dump to
 * end, both would wait for ever.
 */
export async function holdTables({ session, tables }: View): Promise<Set<Table>> {
  // Materialized views can not be locked by their name; reading them is the lock.
  const locks = tables.map(({ schema, name, kind }) => {
    const relation = `${quoteName(schema)}.${quoteName(name)}`;
    return kind === "m" ? `SELECT FROM ${relation} LIMIT 0` : `LOCK TABLE ONLY ${relation} IN ACCESS SHARE MODE`;
  });
  await session.run("SET LOCAL lock_timeout = 1");
  for (let at = 0; at < locks.length; at += 500) {
    const list = locks
      .slice(at, at + 500)
      .map(quoteText)
      .join(", ");
    await session.run(
      `DO $mailark$ DECLARE take text; BEGIN FOREACH take IN ARRAY ARRAY[${list}] LOOP
         BEGIN EXECUTE take;
         EXCEPTION WHEN lock_not_available OR wrong_object_type OR undefined_table OR object_not_in_prerequisite_state THEN NULL; END;
       END LOOP; END $mailark$`,
    );
  }
  await session.run("SET LOCAL lock_timeout = 0");
  const held = await session.query<{ schema: string; name: string }>(
    `SELECT n.nspname::text AS schema, c.relname::text AS name FROM pg_catalog.pg_locks l
     JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE l.pid = pg_backend_pid() AND l.mode = 'AccessShareLock' AND l.granted
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`,
  );
  const keys = new Set(held.map(({ schema, name }) => JSON.stringify([schema, name])));
  return new Set(tables.filter(({ schema, name }) => keys.has(JSON.stringify([schema, name]))));
}
