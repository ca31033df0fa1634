/** Which databases of a snapshot are brought back. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { PlannedItem, Selection } from "../component.ts";
import { type DatabaseFacts, type Facts, type Kind, partOf, readFacts } from "./facts.ts";

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
  const items = selectDatabases(facts, selection).map((database) => {
    const rows = database.tables.reduce((sum, table) => sum + table.rows, 0);
    return {
      what: `${database.name}: ${rows} rows in ${database.tables.length} tables`,
      bytes: partsOf(snapshot, database).reduce((sum, { bytes }) => sum + bytes, 0),
    };
  });
  const accounts = snapshot.manifest.parts.find(({ name }) => name === "accounts");
  return accounts ? [...items, { what: `${facts.accounts.length} accounts`, bytes: accounts.bytes }] : items;
}
