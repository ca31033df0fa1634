/**
 * Captures a server: one view, one position, one part a database.
 *
 * The order: hold commits back; open the view that the facts are taken in; start the dump; let commits go as soon as the dump
 * has its own view. Then the dump, the facts and the programs are read side by side, and anything that fails ends all of it, so
 * that no manifest is ever written for a dump that is not whole.
 */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { Manifest } from "../../../core/manifest.ts";
import type { CaptureContext, Captured } from "../component.ts";
import { together } from "../together.ts";
import type { MysqlConfig } from "./config.ts";
import { type Connection, withConnection } from "./connection.ts";
import { blockCommits, openView } from "./consistent-view.ts";
import { dumpPrograms, keepsHistory, tablesArguments } from "./dump-arguments.ts";
import { dumpOutput } from "./dump-output.ts";
import {
  type Counts,
  countPrograms,
  createStatement,
  type DatabaseFacts,
  type Facts,
  inLoadingOrder,
  listTables,
  type Measure,
  measureTable,
  type Table,
} from "./facts.ts";
import { grantsOf, halfHidden } from "./rights.ts";
import { askServer, listDatabases, wantedDatabases } from "./server.ts";
import { type Session, serverErrorOf, withSession } from "./session.ts";
import { type Capture, changed, numberOf, streamOf, writeAccounts, writePrograms, writeTables } from "./write-parts.ts";

type Warning = Manifest["warnings"][number];

/**
 * @param measured whether rows and checksums are taken; without them there is nothing to check a restore against.
 * @throws MailarkError as `Component.capture` says; retryable where a table was changed during the dump.
 */
export async function captureMysql(
  config: MysqlConfig,
  context: CaptureContext,
  { measured = true }: { readonly measured?: boolean } = {},
): Promise<Captured> {
  return withConnection(config, context, async (connection) => {
    return captureFrom(connection, config.databases, context, measured);
  });
}

async function captureFrom(
  connection: Connection,
  wanted: MysqlConfig["databases"],
  outer: CaptureContext,
  measured: boolean,
): Promise<Captured> {
  const failed = new AbortController();
  const context = { ...outer, signal: AbortSignal.any([outer.signal, failed.signal]) };
  const { server, grants } = await withSession(connection, context, async (session) => ({
    server: await askServer(session),
    grants: grantsOf(await session.query("SHOW GRANTS")),
  }));
  const dump = await connection.find(dumpPrograms(server));
  await connection.refuseForeignOptions(dump);
  const view = await openView(connection, context);
  const block = await blockCommits(connection, server, context).catch(async (error) => {
    await view.close();
    throw error;
  });
  try {
    await view.query("START TRANSACTION WITH CONSISTENT SNAPSHOT");
    const cutAt = context.clock.now();
    const databases = wantedDatabases(await listDatabases(view), wanted);
    const capture = { connection, server, dump, databases, context };
    const stream = dumpOutput(dump, tablesArguments(dump, server, databases), connection, context);
    const begun = await readHead(stream);
    const frozen = (await block?.release()) ?? false;
    context.progress(`dumping ${databases.length} databases`);

    const counts = await countPrograms(view, databases);
    const tables = await listTables(view, databases);
    const [dumped, programBytes, measures, accounts] = await together(failed, [
      writeTables(capture, begun, counts, tables),
      writePrograms(capture, counts),
      measured ? measureTables(view, tables, keepsHistory(dump, server)) : Promise.resolve(new Map<Table, Measure>()),
      writeAccounts(capture),
    ]);
    const altered = await changesSince(capture, counts, tables);

    const described = await describeDatabases(capture, counts, tables, measures, altered);
    const facts: Facts = {
      databases: described,
      accounts: [...(accounts?.accounts ?? [])],
      factsFrom: frozen ? "view" : "independent",
    };
    context.writer.arrange(inLoadingOrder);
    const text = Buffer.from(JSON.stringify(facts));
    await context.writer.part("facts", streamOf(text), await context.keys.host(), "index");
    // MySQL does not tell the rights of roles so.
    const hidden = server.flavour === "mariadb" ? halfHidden(grants, databases) : 0;
    const warnings: Warning[] = [
      ...warn("ACCOUNTS_UNREADABLE", accounts === undefined ? 1 : 0),
      ...warn("BINLOG_OFF", server.binlog ? 0 : 1),
      ...warn("FACTS_INDEPENDENT", frozen ? 0 : 1),
      ...warn("FLOAT_ROUNDED", tables.filter(({ rounded }) => rounded).length),
      ...warn("HISTORY_LEFT_OUT", keepsHistory(dump, server) ? 0 : tables.filter(({ versioned }) => versioned).length),
      ...warn("NOT_TRANSACTIONAL", tables.filter(({ transactional }) => !transactional).length),
      ...warn("PROGRAMS_UNREADABLE", hidden),
      ...warn("TABLES_CHANGED", altered.size),
    ];
    const sum = (of: (database: DatabaseFacts) => number) => described.reduce((total, each) => total + of(each), 0);
    return {
      cutAt,
      completeness: accounts === undefined || hidden > 0 ? "partial" : "complete",
      tools: { [dump.name]: dump.version },
      server: { flavour: server.flavour, version: server.version },
      ...(dumped.position && { position: dumped.position }),
      facts: {
        databases: databases.length,
        tables: sum(({ tables }) => tables.length),
        rows: sum(({ tables }) => tables.reduce((total, { rows }) => total + rows, 0)),
        views: sum(({ views }) => views),
        routines: sum(({ routines }) => routines),
        triggers: sum(({ triggers }) => triggers),
        events: sum(({ events }) => events),
        accounts: facts.accounts.length,
        dumpBytes: dumped.bytes + programBytes,
      },
      warnings,
    };
  } catch (error) {
    outer.signal.throwIfAborted();
    failed.abort(error);
    throw retryableChange(error);
  } finally {
    await block?.release();
    await view.close();
  }
}

const warn = (code: string, count: number): Warning[] => (count > 0 ? [{ code, count }] : []);

/**
 * The stream again, once its first database has begun: the dump has taken its view by then. What was read waits in memory.
 *
 * @throws what the stream throws.
 */
async function readHead(stream: AsyncGenerator<Buffer>): Promise<AsyncGenerator<Buffer>> {
  const head: Buffer[] = [];
  let bytes = 0;
  while (!Buffer.concat(head).includes("\n-- Current Database: ") && bytes < 1024 * 1024) {
    const next = await stream.next();
    if (next.done) break;
    head.push(next.value);
    bytes += next.value.length;
  }
  return (async function* () {
    try {
      yield* head;
      yield* stream;
    } finally {
      await stream.return(undefined);
    }
  })();
}

/** Reads every table in the view, and closes it. */
async function measureTables(view: Session, tables: readonly Table[], history: boolean): Promise<Map<Table, Measure>> {
  const measures = new Map<Table, Measure>();
  for (const table of tables) {
    const inexact = table.rounded || (table.versioned && !history);
    // Gives the lock on the table's definition back, where the server lets it go before the end of the transaction.
    await view.query("SAVEPOINT mailark");
    measures.set(table, await measureTable(view, { ...table, inexact }));
    await view.query("ROLLBACK TO SAVEPOINT mailark");
  }
  await view.close();
  return measures;
}

/**
 * Definitions are in no view. The tables that are not what they were when the dump began: of these the dump and the facts may have
 * seen different ones, where the change was one that the server does in place.
 *
 * @throws MailarkError `DUMP_FAILED` when there are more or fewer views, triggers, routines or events than then.
 */
async function changesSince(
  { connection, databases, context }: Capture,
  counts: ReadonlyMap<string, Counts>,
  tables: readonly Table[],
): Promise<Set<Table>> {
  return withSession(connection, context, async (session) => {
    const after = await countPrograms(session, databases);
    for (const [database, before] of counts) {
      if (JSON.stringify(before) !== JSON.stringify(after.get(database))) throw changed();
    }
    const keyOf = ({ database, name, shape }: Table) => JSON.stringify([database, name, shape]);
    const unchanged = new Set((await listTables(session, databases)).map(keyOf));
    return new Set(tables.filter((table) => !unchanged.has(keyOf(table))));
  });
}

/** A table that was changed underneath is the same, seen by the facts. */
function retryableChange(error: unknown): MailarkError {
  const known = asMailarkError(error);
  if (![1412, 1146, 1049].includes(serverErrorOf(known) ?? 0)) return known;
  return new MailarkError("DUMP_FAILED", "a table was changed during the dump", {
    hint: "run the backup again, apart from changes of the schema",
    retryable: true,
    cause: known,
    ...(known.detail !== undefined && { detail: known.detail }),
  });
}

async function describeDatabases(
  { connection, databases, context }: Capture,
  counts: ReadonlyMap<string, Counts>,
  tables: readonly Table[],
  measures: ReadonlyMap<Table, Measure>,
  altered: ReadonlySet<Table>,
): Promise<DatabaseFacts[]> {
  return withSession(connection, context, async (session) => {
    const described: DatabaseFacts[] = [];
    for (const name of databases) {
      described.push({
        name,
        part: `database-${numberOf(databases, name)}`,
        create: await createStatement(session, name),
        tables: tables
          .filter(({ database }) => database === name)
          .flatMap((table) => {
            const measure = measures.get(table);
            if (measure === undefined) return [];
            const frozen = table.transactional && !altered.has(table);
            return { name: table.name, ...measure, ...(!frozen && { frozen: false as const }) };
          }),
        ...counts.get(name)!,
      });
    }
    return described;
  });
}
