/** Whether every row that refers to another one finds it. */
import type { Session } from "./session.ts";
import { quoteName } from "./sql-text.ts";

/**
 * Looks at every foreign key that the server holds to be valid, as the server does when it makes one. Keys with `MATCH FULL` are judged by the
 * rows that have all their columns.
 */
export async function brokenReferences(
  session: Session,
): Promise<{ checked: number; broken: { constraint: string; rows: number }[] }> {
  const keys = await session.query<{
    name: string;
    child: string;
    parent: string;
    columns: string;
    others: string;
    same: string;
  }>(
    `SELECT k.conname::text AS name, k.conrelid::regclass::text AS child, k.confrelid::regclass::text AS parent,
       (SELECT json_agg(a.attname ORDER BY u.position)::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
       (SELECT json_agg(a.attname ORDER BY u.position)::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number) AS others,
       (SELECT json_agg(format('OPERATOR(%I.%s)', n.nspname, o.oprname) ORDER BY u.position)::text
          FROM unnest(k.conpfeqop) WITH ORDINALITY AS u (operator, position) JOIN pg_catalog.pg_operator o ON o.oid = u.operator
          JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace) AS same
     FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.convalidated AND k.conparentid = 0`,
  );
  const broken: { constraint: string; rows: number }[] = [];
  for (const { name, child, parent, ...lists } of keys) {
    const [columns, others, operators] = [lists.columns, lists.others, lists.same].map(
      (list) => JSON.parse(list) as string[],
    );
    const there = columns!.map((column) => `mailark_child.${quoteName(column)} IS NOT NULL`);
    const same = columns!.map(
      (column, index) =>
        `mailark_parent.${quoteName(others![index]!)} ${operators![index]} mailark_child.${quoteName(column)}`,
    );
    const [row] = await session.query<{ rows: number }>(
      `SELECT count(*) AS rows FROM ${child} AS mailark_child WHERE ${there.join(" AND ")}
         AND NOT EXISTS (SELECT FROM ${parent} AS mailark_parent WHERE ${same.join(" AND ")})`,
    );
    if (row !== undefined && row.rows > 0) broken.push({ constraint: `${child}.${name}`, rows: row.rows });
  }
  return { checked: keys.length, broken };
}
