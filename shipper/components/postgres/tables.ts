/** Tables, sequences and large objects of a database, and what tells their content. */
import type { SequenceFacts } from "./facts.ts";
import type { Session } from "./session.ts";
import { quoteName, quoteText } from "./sql-text.ts";

export interface Table {
  readonly schema: string;
  readonly name: string;
  /** Of `pg_class`: `r` table, `p` partitioned, `m` materialized view, `f` foreign. */
  readonly kind: "r" | "p" | "m" | "f";
  /** False for a materialized view that was never filled. */
  readonly populated: boolean;
  readonly unlogged: boolean;
}

/** No schema of the server's own, and nothing that comes with an extension. */
export const ownRelations = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.objid = c.oid AND d.deptype = 'e')`;

/** Everything that has rows, or would seem to. */
export async function listTables(session: Session): Promise<Table[]> {
  return session.query<{ schema: string; name: string; kind: Table["kind"]; populated: boolean; unlogged: boolean }>(
    `SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, c.relispopulated AS populated,
       c.relpersistence = 'u' AS unlogged
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm', 'f') AND ${ownRelations}
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
}

/** The tables whose rows a dump holds. */
export const storing = (tables: readonly Table[]): Table[] => tables.filter(({ kind }) => kind === "r");

/**
 * Rows of a table and a digest of them, whatever their order, as the session sees it. Columns of a table that inherits are in the order of their
 * names: a dump puts those that its parent was given later before its own.
 */
export async function measureTable(
  session: Session,
  { schema, name }: Pick<Table, "schema" | "name">,
): Promise<{ rows: number; digest: string }> {
  const relation = `${quoteName(schema)}.${quoteName(name)}`;
  const columns = await session.query<{ name: string }>(
    `SELECT a.attname::text AS name FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     WHERE c.oid = ${quoteText(relation)}::regclass AND a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition
       AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid) ORDER BY a.attname COLLATE "C"`,
  );
  // A column may have any name; `.*` is the row all the same.
  const content =
    columns.length === 0
      ? "mailark_row.*"
      : `ROW(${columns.map((column) => `mailark_row.${quoteName(column.name)}`).join(", ")})`;
  const [row] = await session.query<{ rows: number; digest: string }>(
    `SELECT count(*) AS rows, coalesce(sum(hashtextextended((${content})::text, 0)), 0)::text AS digest
     FROM ONLY ${relation} AS mailark_row`,
  );
  return { rows: row?.rows ?? 0, digest: row?.digest ?? "0" };
}

/** The sequences of a database with their values, which are in no view. */
export async function listSequences(session: Session): Promise<SequenceFacts[]> {
  return session.query<{ schema: string; name: string; value: string | null; descends: boolean }>(
    `SELECT n.nspname::text AS schema, c.relname::text AS name, pg_sequence_last_value(c.oid::regclass)::text AS value,
       s.seqincrement < 0 AS descends
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
     WHERE ${ownRelations} ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
}

/** Large objects by number, and a digest of their content where only a superuser may read it. */
export async function measureLargeObjects(session: Session): Promise<{ count: number; digest?: string }> {
  const [counted] = await session.query<{ count: number; readable: boolean }>(
    `SELECT count(*) AS count, has_table_privilege('pg_catalog.pg_largeobject', 'SELECT') AS readable
     FROM pg_catalog.pg_largeobject_metadata`,
  );
  const { count = 0, readable = false } = counted ?? {};
  if (!readable) return { count };
  // A hole is not stored, and comes back as zeros.
  const [row] = await session.query<{ digest: string }>(
    `SELECT coalesce(sum(hashtextextended(loid || ':' || pageno || ':' || content, 0)), 0)::text AS digest
     FROM (SELECT loid, pageno, rtrim(encode(data, 'hex'), '0') AS content FROM pg_catalog.pg_largeobject) AS pages
     WHERE content <> ''`,
  );
  return { count, digest: row?.digest ?? "0" };
}
