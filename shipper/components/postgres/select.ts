/** What of a snapshot is brought back. */
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { PlannedItem, Selection } from "../component.ts";
import { selectDatabases } from "../select-databases.ts";
import { readFacts } from "./facts.ts";

/** What a stage would bring back: databases with the bytes of their archives, and the roles. */
export async function planPostgres(snapshot: SnapshotReader, selection: Selection): Promise<PlannedItem[]> {
  const facts = await readFacts(snapshot);
  const items = selectDatabases(facts.databases, selection).map(({ name, part, tables }) => {
    const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
    return { what: `${name}: ${rows} rows in ${tables.length} tables`, bytes: snapshot.part(part).bytes };
  });
  return [...items, { what: `${facts.roles.length} roles`, bytes: snapshot.part("globals").bytes }];
}
