/**
 * Captures a server: of every database a view that stands still, what that view holds, and the archive that pg_dump makes of the same view.
 *
 * PostgreSQL has no view of several databases: each has its own, and the moment of it. Anything that fails ends all of it, so that no manifest is
 * ever written for a dump that is not whole.
 */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { Manifest } from "../../../core/manifest.ts";
import type { CaptureContext, Captured } from "../component.ts";
import { together } from "../together.ts";
import { ArchiveWalker, wholeArchive } from "./archive.ts";
import { wideOutput } from "./client-programs.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, withConnection } from "./connection.ts";
import { dumpOutput } from "./dump-output.ts";
import type { DatabaseFacts, Facts, TableFacts } from "./facts.ts";
import { captureGlobals, rolesOf } from "./globals.ts";
import { listExtensions, listRoles, takeInventory } from "./inventory.ts";
import { countOmissions, type Omissions } from "./omissions.ts";
import { askServer, listDatabases, textOf, wantedDatabases } from "./server.ts";
import { sqlStateOf, withSession } from "./session.ts";
import { listSequences, measureLargeObjects, measureTable, storing } from "./tables.ts";
import { holdTables, openView, type View } from "./view.ts";

type Warning = Manifest["warnings"][number];

/**
 * @param measured whether rows and digests are taken; without them there is nothing to check a restore against.
 * @throws MailarkError as `Component.capture` says; retryable where something was changed during the dump.
 */
export async function capturePostgres(
  config: PostgresConfig,
  context: CaptureContext,
  { measured = true }: { readonly measured?: boolean } = {},
): Promise<Captured> {
  return withConnection(config, context, async (connection) => {
    return captureFrom(connection, config.databases, context, measured);
  });
}

async function captureFrom(
  connection: Connection,
  wanted: PostgresConfig["databases"],
  outer: CaptureContext,
  measured: boolean,
): Promise<Captured> {
  const failed = new AbortController();
  const context = { ...outer, signal: AbortSignal.any([outer.signal, failed.signal]) };
  const [dump, wide, { server, present, roles }] = await Promise.all([
    connection.find("pg_dump"),
    wideOutput(connection.place, context),
    withSession(connection, context, async (session) => ({
      server: await askServer(session),
      present: await listDatabases(session),
      roles: await listRoles(session),
    })),
  ]);
  const closed = wanted === "all" ? present.filter(({ open }) => !open).length : 0;
  try {
    const captureDatabases = async () => {
      const databases = await wantedDatabases(connection, present, wanted, context);
      const captured = [];
      for (const [index, database] of databases.entries()) {
        context.progress(`dumping ${database.name}`);
        const part = `database-${String(index + 1).padStart(4, "0")}`;
        const view = await openView(connection, database, context);
        try {
          const [bytes, content] = await captureView(part, view, connection, wide, context, failed, measured);
          const facts: DatabaseFacts = { ...identityOf(view, part), ...content };
          captured.push({ bytes, facts, view, omissions: await countOmissions(view.session) });
        } finally {
          await view.session.close();
        }
      }
      return captured;
    };
    const [globals, captured] = await together(failed, [captureGlobals(connection, context), captureDatabases()]);
    refuseUnlessAllRoles(globals.sql, roles);
    await context.writer.part("globals", streamOf(globals.sql), await context.keys.host());
    const described = captured.map(({ facts }) => facts);
    const seen = captured.map(({ view }) => view);
    const facts: Facts = { bootstrap: server.bootstrap, databases: described, roles };
    await context.writer.part("facts", streamOf(JSON.stringify(facts)), await context.keys.host(), "index");
    const first = seen[0]!;
    const sum = (of: (database: DatabaseFacts) => number) => described.reduce((total, each) => total + of(each), 0);
    const kindsOf = (kind: string) => sum(({ inventory }) => inventory.find((each) => each.kind === kind)?.count ?? 0);
    const relations = seen.flatMap(({ tables }) => tables);
    const omissions = (of: keyof Omissions) => captured.reduce((total, each) => total + each.omissions[of], 0);
    const unreadable = omissions("subscriptions") + omissions("userMappings");
    const warnings = [
      ...warn("DATABASE_CLOSED", closed),
      ...warn("FOREIGN_TABLES", relations.filter(({ kind }) => kind === "f").length),
      ...warn("INDEXES_INVALID", omissions("invalidIndexes")),
      ...warn("PASSWORDS_UNREADABLE", globals.passwords ? 0 : 1),
      ...warn("SUBSCRIPTIONS_UNREADABLE", omissions("subscriptions")),
      ...warn(
        "TABLES_NOT_MEASURED",
        measured ? sum(({ tables }) => tables.filter(({ rows }) => rows === undefined).length) : 0,
      ),
      ...warn("USER_MAPPINGS_UNREADABLE", omissions("userMappings")),
      ...warn("REFRESHED_ON_RESTORE", relations.filter(({ kind, populated }) => kind === "m" && populated).length),
    ];
    return {
      cutAt: Math.min(...seen.map(({ cutAt }) => cutAt)),
      completeness: closed > 0 || unreadable > 0 || !globals.passwords ? "partial" : "complete",
      tools: { pg_dump: dump.version },
      server: { flavour: "postgresql", version: server.version },
      ...(first.lsn !== undefined && {
        position: { lsn: first.lsn, ...(first.timeline !== undefined && { timeline: first.timeline }) },
      }),
      facts: {
        databases: seen.length,
        tables: relations.filter(({ kind }) => kind === "r").length,
        rows: sum(({ tables }) => tables.reduce((total, { rows }) => total + (rows ?? 0), 0)),
        sequences: sum(({ sequences }) => sequences.length),
        views: kindsOf("views"),
        functions: kindsOf("functions"),
        triggers: kindsOf("triggers"),
        extensions: sum(({ extensions }) => extensions.length),
        largeObjects: sum(({ largeObjects }) => largeObjects?.count ?? 0),
        roles: roles.length,
        dumpBytes: captured.reduce((total, { bytes }) => total + bytes, 0),
      },
      warnings,
    };
  } catch (error) {
    outer.signal.throwIfAborted();
    failed.abort(error);
    throw retryable(error);
  }
}

const warn = (code: string, count: number): Warning[] => (count > 0 ? [{ code, count }] : []);

/** The archive, and what the same view holds. */
async function captureView(
  part: string,
  view: View,
  connection: Connection,
  wide: readonly string[],
  context: CaptureContext,
  failed: AbortController,
  measured: boolean,
) {
  // Before the dump reads them: sequences only go on.
  const sequences = await listSequences(view.session);
  const walker = new ArchiveWalker(textOf(view.database));
  // Its first bytes come when it has all its locks.
  const archive = await begun(wholeArchive(dumpArchive(view, connection, wide, context), walker));
  const [bytes, content] = await together(failed, [
    writeArchive(part, archive, walker, view, context),
    measured ? measure(view) : Promise.resolve({ tables: [], inventory: [], extensions: [] }),
  ]);
  return [bytes, { sequences, ...content }] as const;
}

/** The stream again, once its first bytes are there. */
async function begun(stream: AsyncGenerator<Buffer>): Promise<AsyncGenerator<Buffer>> {
  const first = await stream.next();
  return (async function* () {
    try {
      if (!first.done) yield first.value;
      yield* stream;
    } finally {
      await stream.return(undefined);
    }
  })();
}

/** What the view holds. */
async function measure(view: View) {
  const { session, tables } = view;
  const held = await holdTables(view);
  const measured: TableFacts[] = [];
  for (const table of tables) {
    const refreshed = table.kind === "m" && table.populated;
    if (table.kind !== "r" && !refreshed) continue;
    const { schema, name } = table;
    const content = held.has(table) ? await measureTable(session, table) : undefined;
    measured.push({ schema, name, kind: refreshed ? "refreshed" : "table", ...content });
  }
  return {
    tables: measured,
    inventory: await takeInventory(session),
    extensions: await listExtensions(session),
    largeObjects: await measureLargeObjects(session),
  };
}

function identityOf({ database, cutAt, lsn }: View, part: string) {
  const { name, owner, encoding } = database;
  return { name, part, owner, encoding, cutAt: new Date(cutAt).toISOString(), ...(lsn !== undefined && { lsn }) };
}

/** A dump of at least so many bytes says that it has its locks long before it ends, also when it writes seldom. */
const wideBytes = 64 * 1024 * 1024;

/** @param wide the words before a program that make it write much at once. */
async function* dumpArchive(
  { database, snapshot }: View,
  connection: Connection,
  wide: readonly string[],
  context: CaptureContext,
) {
  const args = [
    "--format=custom",
    "--compress=0",
    "--blobs",
    "--no-password",
    `--encoding=${textOf(database) === "latin1" ? "SQL_ASCII" : "UTF8"}`,
    `--snapshot=${snapshot}`,
    // Before it counts as stalled: then it is known why.
    `--lock-wait-timeout=${Math.ceil(connection.stallSeconds * 800)}`,
    connection.to(database.name),
  ];
  yield* dumpOutput("pg_dump", args, connection, context, database.bytes < wideBytes ? [] : wide);
}

/** The part `database-NNNN`; returns its bytes. */
async function writeArchive(
  part: string,
  archive: AsyncIterable<Buffer>,
  walker: ArchiveWalker,
  view: View,
  context: CaptureContext,
): Promise<number> {
  const { name } = view.database;
  const { bytes } = await context.writer.part(part, archive, await context.keys.host());
  const dumped = new Set(
    walker.head?.entries.flatMap(({ kind, schema, name }) =>
      kind === "TABLE DATA" ? [JSON.stringify([schema, name])] : [],
    ),
  );
  const missing = storing(view.tables).filter(({ schema, name }) => !dumped.has(JSON.stringify([schema, name])));
  if (missing.length === 0) return bytes;
  throw new MailarkError("DUMP_FAILED", "the dump lacks tables that the server has", {
    detail: [name, ...missing.map(({ schema, name }) => `${schema}.${name}`)].join(", "),
    hint: "the schema was changed, or pg_dump is not the real one: run it again",
    retryable: true,
  });
}

/** @throws MailarkError `DUMP_FAILED` when a role that the databases may name was not dumped. */
function refuseUnlessAllRoles(globals: string, roles: Facts["roles"]): void {
  const dumped = new Set(rolesOf(globals));
  const missing = roles.filter(({ name }) => !dumped.has(name));
  if (missing.length === 0) return;
  throw new MailarkError("DUMP_FAILED", "the dump lacks roles that the server has", {
    detail: missing.map(({ name }) => name).join(", "),
    hint: "roles were changed during the dump: run the backup again",
    retryable: true,
  });
}

/** A table that is gone, a lock that is held, or a server that goes down: another attempt may do. */
function retryable(error: unknown): MailarkError {
  const known = asMailarkError(error);
  if (known.code !== "PROGRAM_FAILED") return known;
  const detail = known.detail ?? "";
  const gone = /server closed the connection|connection to server was lost/.test(detail);
  const found = failures.find(({ states }: { states: readonly string[] }) =>
    states.includes(gone ? "57P01" : (sqlStateOf(known) ?? "")),
  );
  if (found === undefined) return known;
  const { message, hint, passes } = found;
  return new MailarkError("DUMP_FAILED", message, { hint, detail, retryable: passes, cause: known });
}

/** By SQLSTATE; `passes`: another attempt may do. */
const failures = [
  {
    states: ["42P01", "3F000"],
    message: "a table was changed during the dump",
    hint: "run the backup again, apart from changes of the schema",
    passes: true,
  },
  {
    states: ["57P01", "57P02", "57P03", "25P03"],
    message: "the server ended the session during the dump",
    hint: "run the backup again once the server is up",
    passes: true,
  },
  {
    states: ["42501"],
    message: "the role may not read all of the database",
    hint: "let the backup run as a superuser, or as a role with pg_read_all_data and BYPASSRLS",
    passes: false,
  },
] as const satisfies readonly { states: readonly string[]; message: string; hint: string; passes: boolean }[];

async function* streamOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
