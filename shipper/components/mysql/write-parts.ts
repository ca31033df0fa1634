/** Hands the dump, the programs and the accounts to the writer: docs/format.md §8.2. */
import { MailarkError } from "../../../core/errors.ts";
import type { CaptureContext } from "../component.ts";
import { type CapturedAccounts, captureAccounts } from "./accounts.ts";
import type { Connection, Program } from "./connection.ts";
import { eventsArguments, programsArguments } from "./dump-arguments.ts";
import type { Counts, Table } from "./facts.ts";
import { dumpPrograms } from "./programs.ts";
import type { Server } from "./server.ts";
import { serverErrorOf, withSession } from "./session.ts";
import { Definitions, DumpSplitter, positionOf, preambleOf, sectionsOf } from "./split-dump.ts";

/** One capture that is under way. */
export interface Capture {
  readonly connection: Connection;
  readonly server: Server;
  readonly dump: Program;
  /** In the order in which they are dumped and numbered. */
  readonly databases: readonly string[];
  readonly context: CaptureContext;
}

/** The parts `database-NNNN` and, after all of them, `views-NNNN`. */
export async function writeTables(
  { context, databases, server }: Capture,
  stream: AsyncGenerator<Buffer>,
  counts: ReadonlyMap<string, Counts>,
  tables: readonly Table[],
) {
  const splitter = new DumpSplitter(databases);
  let bytes = 0;
  for await (const { database, content, body } of sectionsOf(splitter, stream)) {
    const kind = content === "tables" ? "database" : "views";
    const definitions = new Definitions();
    const whole = wholePart(preambleOf(splitter.header), content === "tables" ? definitions.watch(body) : body);
    if (content === "views" && counts.get(database)?.views === 0) {
      for await (const chunk of body) if (chunk.toString("latin1").trim() !== "") throw changed();
    } else {
      const name = `${kind}-${numberOf(databases, database)}`;
      const part = await context.writer.part(name, whole, await context.keys.host());
      bytes += part.bytes;
    }
    if (content !== "tables") continue;
    const missing = tables.filter((table) => table.database === database && !definitions.has(table.name));
    if (missing.length > 0 || definitions.views.size < (counts.get(database)?.views ?? 0)) {
      throw new MailarkError("DUMP_FAILED", "the dump lacks tables or views that the server has", {
        detail: [database, ...missing.map(({ name }) => name)].join(", "),
        hint: "look for an option file that tells the dump program to leave tables out; or the schema was changed: run it again",
        retryable: true,
      });
    }
    context.progress(`dumped ${database}`);
  }
  const position = positionOf(splitter.header, splitter.footer);
  if (server.binlog && position === undefined) {
    throw new MailarkError("DUMP_FAILED", "the dump does not say at which position of the binary log it was taken");
  }
  return { bytes, position };
}

async function* wholePart(preamble: Buffer, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield preamble;
  yield* body;
  yield Buffer.from("\n-- Dump completed\n");
}

/** The parts `programs-NNNN` and `events-NNNN`; returns their bytes. */
export async function writePrograms(capture: Capture, counts: ReadonlyMap<string, Counts>): Promise<number> {
  const { connection, server, dump, databases, context } = capture;
  let bytes = 0;
  const write = async (kind: string, database: string, args: readonly string[]) => {
    const text = await dumpPrograms(dump, args, database, connection, context);
    await context.writer.part(`${kind}-${numberOf(databases, database)}`, streamOf(text), await context.keys.host());
    bytes += text.length;
  };
  for (const [database, { triggers, routines, events }] of counts) {
    if (triggers + routines > 0) await write("programs", database, programsArguments(dump, server, database));
    if (events > 0) await write("events", database, eventsArguments(dump, server, database));
  }
  return bytes;
}

/** The part `accounts`; undefined where this account may not read them. */
export async function writeAccounts({
  connection,
  server,
  databases,
  context,
}: Capture): Promise<CapturedAccounts | undefined> {
  let captured: CapturedAccounts;
  try {
    captured = await withSession(connection, context, (session) => captureAccounts(session, server, databases));
  } catch (error) {
    const denied = [1044, 1142, 1143, 1227, 1370].includes(serverErrorOf(error) ?? 0);
    if (denied) return undefined;
    throw error;
  }
  await context.writer.part("accounts", streamOf(Buffer.from(captured.sql)), await context.keys.host());
  return captured;
}

/** A failure that passes with the next attempt. */
export function changed(): MailarkError {
  return new MailarkError("DUMP_FAILED", "a view, trigger, routine or event was changed during the dump", {
    hint: "run the backup again, apart from changes of the schema",
    retryable: true,
  });
}

/** NNNN of a database's parts. */
export function numberOf(databases: readonly string[], database: string): string {
  return String(databases.indexOf(database) + 1).padStart(4, "0");
}

/** Bytes as a stream. */
export async function* streamOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
