/** Which databases of a snapshot are brought back. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { PlannedItem, Selection } from "../component.ts";
import { type DatabaseFacts, type Facts, readFacts } from "./facts.ts";

/**
 * @throws MailarkError `ARGUMENT_INVALID` for a name that the snapshot does not have, listing those that it has.
 */
export function selectDatabases({ databases }: Facts, selection: Selection): DatabaseFacts[] {
  const wanted = selection.databases;
  if (wanted === undefined) return databases;
  const unknown = wanted.filter((wish) => !databases.some(({ name }) => name === wish));
  if (unknown.length > 0) {
    throw new MailarkError("ARGUMENT_INVALID", "the snapshot does not hold such a database", {
      detail: `asked for: ${unknown.join(", ")}; it holds: ${databases.map(({ name }) => name).join(", ")}`,
      hint: "choose among the databases that the snapshot holds",
    });
  }
  return databases.filter(({ name }) => wanted.includes(name));
}

/** What a stage would bring back: databases with the bytes of their archives, and the roles. */
export async function planPostgres(snapshot: SnapshotReader, selection: Selection): Promise<PlannedItem[]> {
  const facts = await readFacts(snapshot);
  const items = selectDatabases(facts, selection).map(({ name, part, tables }) => {
    const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
    return { what: `${name}: ${rows} rows in ${tables.length} tables`, bytes: snapshot.part(part).bytes };
  });
  return [...items, { what: `${facts.roles.length} roles`, bytes: snapshot.part("globals").bytes }];
}
