/** What pg_dump leaves out of an archive without failing. */
import type { Session } from "./session.ts";
import { ownRelations } from "./tables.ts";

export interface Omissions {
  /** Indexes that a failed `CREATE INDEX CONCURRENTLY` left: the server does not use them. */
  readonly invalidIndexes: number;
  /** Subscriptions of the database; only a superuser's dump has them. */
  readonly subscriptions: number;
  /** User mappings whose options, a password as a rule, the session's role may not see. */
  readonly userMappings: number;
}

/** Counts them in the database of a session, as what its role may read. */
export async function countOmissions(session: Session): Promise<Omissions> {
  const superuser = "current_setting('is_superuser') = 'on'";
  const [row] = await session.query<{ invalidIndexes: number; subscriptions: number; userMappings: number }>(
    `SELECT (SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
         JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT i.indisvalid AND x.relkind <> 'I' AND ${ownRelations}) AS "invalidIndexes",
       (SELECT count(*) FROM pg_catalog.pg_subscription WHERE NOT ${superuser} AND subdbid =
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) AS subscriptions,
       (SELECT count(*) FROM pg_catalog.pg_user_mappings WHERE NOT ${superuser} AND umoptions IS NULL) AS "userMappings"`,
  );
  return {
    invalidIndexes: row?.invalidIndexes ?? 0,
    subscriptions: row?.subscriptions ?? 0,
    userMappings: row?.userMappings ?? 0,
  };
}
