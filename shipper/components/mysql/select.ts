/** What of a snapshot is brought back. */
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { PlannedItem, Selection } from "../component.ts";
import { selectDatabases } from "../select-databases.ts";
import { type DatabaseFacts, type Kind, partOf, readFacts } from "./facts.ts";

/** The parts of a database that the snapshot has, in the order in which they are loaded. */
export function partsOf(
  snapshot: SnapshotReader,
  database: DatabaseFacts,
): { kind: Kind; name: string; bytes: number }[] {
  return (["database", "programs", "views", "events"] as const).flatMap((kind) => {
    const name = partOf(database, kind);
    const part = snapshot.manifest.parts.find((candidate) => candidate.name === name);
    // Every database has tables, if only none; the others are there where there is something to say.
    return part || kind === "database" ? { kind, name, bytes: (part ?? snapshot.part(name)).bytes } : [];
  });
}

/** What a stage would bring back: databases with the bytes of their SQL, and the accounts. */
export async function planMysql(snapshot: SnapshotReader, selection: Selection): Promise<PlannedItem[]> {
  const facts = await readFacts(snapshot);
  const items = selectDatabases(facts.databases, selection).map((database) => {
    const rows = database.tables.reduce((sum, table) => sum + table.rows, 0);
    return {
      what: `${database.name}: ${rows} rows in ${database.tables.length} tables`,
      bytes: partsOf(snapshot, database).reduce((sum, { bytes }) => sum + bytes, 0),
    };
  });
  const accounts = snapshot.manifest.parts.find(({ name }) => name === "accounts");
  return accounts ? [...items, { what: `${facts.accounts.length} accounts`, bytes: accounts.bytes }] : items;
}
