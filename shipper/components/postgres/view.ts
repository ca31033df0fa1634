/** A view of one database that stands still, which a dump program can take over. */
import type { Clock } from "../../../core/ports/clock.ts";
import type { World } from "../component.ts";
import type { Connection } from "./connection.ts";
import { type Database, openDatabase } from "./server.ts";
import type { Session } from "./session.ts";
import { quoteName } from "./sql-text.ts";
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
 * Opens the view, and locks its tables against what would not be in it: TRUNCATE, ALTER and DROP are seen through every view.
 *
 * @throws MailarkError `PROGRAM_FAILED`; SQLSTATE `55P03` when a lock is not to be had within the connection's `stallSeconds`.
 */
export async function openView(
  connection: Connection,
  database: Database,
  world: Pick<World, "processes" | "signal"> & { readonly clock: Clock },
): Promise<View> {
  const session = await openDatabase(connection, world, database);
  try {
    await session.run(`SET lock_timeout = ${Math.ceil(connection.stallSeconds * 1000)}`);
    await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const cutAt = world.clock.now();
    const [row] = await session.query<{ snapshot: string; lsn: string | null; timeline: string | null }>(
      `SELECT pg_export_snapshot() AS snapshot,
         (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn,
         CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline`,
    );
    const tables = await listTables(session);
    const lockable = tables.filter(({ kind }) => kind === "r" || kind === "p");
    for (let at = 0; at < lockable.length; at += 200) {
      const names = lockable
        .slice(at, at + 200)
        .map(({ schema, name }) => `ONLY ${quoteName(schema)}.${quoteName(name)}`);
      await session.run(`LOCK TABLE ${names.join(", ")} IN ACCESS SHARE MODE`);
    }
    return {
      database,
      session,
      snapshot: row?.snapshot ?? "",
      cutAt,
      ...(row?.lsn && { lsn: row.lsn }),
      ...(row?.timeline && { timeline: Number.parseInt(row.timeline, 16) }),
      tables,
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}
