/** What is remembered of the databases, to judge a restore against (docs/format.md §8.2). */
import { z } from "zod";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { readFactsAs } from "../small-part.ts";
import type { Session } from "./session.ts";
import { quoteName, quoteText, quoteTexts } from "./sql-text.ts";

const count = z.int().nonnegative();

const tableFacts = z.object({
  name: z.string(),
  rows: count,
  /** Absent for what a dump can not bring back to the last bit; there is a digest then. */
  checksum: z.string().optional(),
  digest: z.string().optional(),
  /** False for a table that has no transactions, or that was changed (ALTER TABLE) during the dump: rows and checksum may be of another moment. */
  frozen: z.literal(false).optional(),
});

const databaseFacts = z.object({
  name: z.string(),
  part: z.string().regex(/^database-\d{4,}$/),
  create: z.string(),
  tables: z.array(tableFacts),
  views: count,
  routines: count,
  triggers: count,
  events: count,
});

const accountFacts = z.object({ user: z.string(), host: z.string(), role: z.boolean() });

const facts = z.object({
  databases: z.array(databaseFacts),
  accounts: z.array(accountFacts),
  factsFrom: z.enum(["view", "independent"]),
});

export type TableFacts = z.infer<typeof tableFacts>;
export type DatabaseFacts = z.infer<typeof databaseFacts>;
export type AccountFacts = z.infer<typeof accountFacts>;
export type Facts = z.infer<typeof facts>;

/**
 * The facts of a snapshot.
 *
 * @throws MailarkError `OBJECT_CORRUPT` when they are none.
 */
export const readFacts = (snapshot: SnapshotReader): Promise<Facts> => readFactsAs(snapshot, facts);

/** The parts of a database beside its tables, in the order in which they are loaded. */
export type Kind = "database" | "programs" | "views" | "events";

const loadingOrder = ["facts", "database", "programs", "views", "accounts", "events"];

/** The order of parts in a manifest: that in which they are loaded (docs/format.md §8.2). */
export function inLoadingOrder(name: string, other: string): number {
  const [kind = "", number = "0"] = name.split("-");
  const [otherKind = "", otherNumber = "0"] = other.split("-");
  return loadingOrder.indexOf(kind) - loadingOrder.indexOf(otherKind) || Number(number) - Number(otherNumber);
}

/** `part` with another first word: `views-0001` of `database-0001`. */
export function partOf({ part }: Pick<DatabaseFacts, "part">, kind: Kind): string {
  return part.replace("database", kind);
}

/** How many programs and views each database has. */
export type Counts = Pick<DatabaseFacts, "views" | "routines" | "triggers" | "events">;

/** Asks for the counts of all databases at once. */
export async function countPrograms(session: Session, databases: readonly string[]): Promise<Map<string, Counts>> {
  const among = quoteTexts(databases);
  const ask = async (table: string, column: string) => {
    const rows = await session.query(
      `SELECT ${column}, COUNT(*) FROM information_schema.${table} WHERE ${column} IN (${among}) GROUP BY BINARY ${column}`,
    );
    return new Map(rows.map(([name, number]) => [name!, Number(number)]));
  };
  const views = await ask("views", "table_schema");
  const routines = await ask("routines", "routine_schema");
  const triggers = await ask("triggers", "trigger_schema");
  const events = await ask("events", "event_schema");
  return new Map(
    databases.map((name) => [
      name,
      {
        views: views.get(name) ?? 0,
        routines: routines.get(name) ?? 0,
        triggers: triggers.get(name) ?? 0,
        events: events.get(name) ?? 0,
      },
    ]),
  );
}

/** A table, with what is special about it. */
export interface Table {
  readonly database: string;
  readonly name: string;
  readonly transactional: boolean;
  /** Has FLOAT columns: a dump rounds them to six digits. */
  readonly rounded: boolean;
  /** Keeps past rows (system versioning). */
  readonly versioned: boolean;
  /** The same as long as its columns are. */
  readonly shape: string;
}

/** All tables with rows; sequences and views are not among them. */
export async function listTables(session: Session, databases: readonly string[]): Promise<Table[]> {
  const among = quoteTexts(databases);
  const engines = await session.query("SELECT engine FROM information_schema.engines WHERE transactions = 'YES'");
  const transactional = new Set(engines.map(([name]) => name));
  const columns = await session.query(
    `SELECT table_schema, table_name, MAX(data_type = 'float'), SUM(CRC32(CONCAT_WS('\t', column_name, ordinal_position,
       column_type, is_nullable, collation_name, column_default)))
     FROM information_schema.columns WHERE table_schema IN (${among}) GROUP BY BINARY table_schema, BINARY table_name`,
  );
  const shapes = new Map(columns.map(([database, name, ...shape]) => [JSON.stringify([database, name]), shape]));
  const rows = await session.query(
    `SELECT table_schema, table_name, engine, table_type FROM information_schema.tables
     WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_schema IN (${among})
     ORDER BY BINARY table_schema, BINARY table_name`,
  );
  return rows.map(([database = "", name = "", engine, type]) => {
    const [rounded, shape = ""] = shapes.get(JSON.stringify([database, name])) ?? [];
    return {
      database,
      name,
      transactional: transactional.has(engine),
      rounded: rounded === "1",
      versioned: type === "SYSTEM VERSIONED",
      shape,
    };
  });
}

/** Rows of a table and what tells its content, as the session sees it. */
export type Measure = Pick<TableFacts, "rows" | "checksum" | "digest">;

/**
 * @param inexact a digest of what a dump prints takes the place of the checksum, which is of the bits.
 */
export async function measureTable(
  session: Session,
  { database, name, inexact }: Pick<Table, "database" | "name"> & { readonly inexact: boolean },
): Promise<Measure> {
  const table = `${quoteName(database)}.${quoteName(name)}`;
  if (inexact) {
    const columns = await session.query(
      `SELECT column_name FROM information_schema.columns
       WHERE table_schema = ${quoteText(database)} AND table_name = ${quoteText(name)}
         AND BINARY table_schema = ${quoteText(database)} AND BINARY table_name = ${quoteText(name)} ORDER BY ordinal_position`,
    );
    const texts = columns.map(([column = ""]) => `IFNULL(HEX(CONCAT(${quoteName(column)})), 'N')`);
    const [summed] = await session.query(
      `SELECT COUNT(*), SUM(CRC32(CONCAT_WS(',', ${texts.join(", ")}))) FROM ${table}`,
    );
    const [rows, digest = "NULL"] = summed ?? [];
    return { rows: Number(rows), digest: digest === "NULL" ? "0" : digest };
  }
  const [counted] = await session.query(`SELECT COUNT(*) FROM ${table}`);
  const [summed] = await session.query(`CHECKSUM TABLE ${table} EXTENDED`);
  const checksum = summed?.[1] ?? "NULL";
  return { rows: Number(counted?.[0]), ...(checksum !== "NULL" && { checksum }) };
}

/** How a database is made, without its content. */
export async function createStatement(session: Session, database: string): Promise<string> {
  const [row] = await session.query(`SHOW CREATE DATABASE ${quoteName(database)}`);
  return row?.[1] ?? "";
}
