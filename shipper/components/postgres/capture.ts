/**
 * Captures a server: of every database a view that stands still, what that view holds, and the archive that pg_dump makes of the same view.
 *
 * PostgreSQL has no view of several databases: theirs are opened one right after the other, before the first dump begins. Anything that
 * fails ends all of it, so that no manifest is ever written for a dump that is not whole.
 */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { Manifest } from "../../../core/manifest.ts";
import type { CaptureContext, Captured } from "../component.ts";
import { ArchiveWalker, wholeArchive } from "./archive.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, openConnection } from "./connection.ts";
import { dumpOutput } from "./dump-output.ts";
import type { DatabaseFacts, Facts, TableFacts } from "./facts.ts";
import { captureGlobals, rolesOf } from "./globals.ts";
import { listExtensions, listRoles, takeInventory } from "./inventory.ts";
import { askServer, listDatabases, textOf, wantedDatabases } from "./server.ts";
import { sqlStateOf, withSession } from "./session.ts";
import { listSequences, measureLargeObjects, measureTable, storing } from "./tables.ts";
import { openView, type View } from "./view.ts";

type Warning = Manifest["warnings"][number];

/** So many views are open at once: each takes a connection of the server. */
const viewsAtOnce = 20;

/**
 * @param measured whether rows and digests are taken; without them there is nothing to check a restore against.
 * @throws MailarkError as `Component.capture` says; retryable where something was changed during the dump.
 */
export async function capturePostgres(
  config: PostgresConfig,
  context: CaptureContext,
  { measured = true }: { readonly measured?: boolean } = {},
): Promise<Captured> {
  const connection = await openConnection(config, context);
  try {
    return await captureFrom(connection, config.databases, context, measured);
  } finally {
    connection.close();
  }
}

async function captureFrom(
  connection: Connection,
  wanted: PostgresConfig["databases"],
  outer: CaptureContext,
  measured: boolean,
): Promise<Captured> {
  const failed = new AbortController();
  const context = { ...outer, signal: AbortSignal.any([outer.signal, failed.signal]) };
  const dump = await connection.find("pg_dump");
  const { server, present, roles } = await withSession(connection, context, async (session) => ({
    server: await askServer(session),
    present: await listDatabases(session),
    roles: await listRoles(session),
  }));
  const databases = await wantedDatabases(connection, present, wanted, context);
  const closed = wanted === "all" ? present.filter(({ open }) => !open).length : 0;
  const views: View[] = [];
  try {
    for (const database of databases.slice(0, viewsAtOnce)) views.push(await openView(connection, database, context));
    const globals = await captureGlobals(connection, context);
    refuseUnlessAllRoles(globals.sql, roles);
    await context.writer.part("globals", streamOf(globals.sql), await context.keys.host());

    const described: DatabaseFacts[] = [];
    const seen: View[] = [];
    let dumpBytes = 0;
    for (const [index, database] of databases.entries()) {
      const view = views[index] ?? (await openView(connection, database, context));
      if (views[index] === undefined) views.push(view);
      seen.push(view);
      context.progress(`dumping ${database.name}`);
      const part = `database-${String(index + 1).padStart(4, "0")}`;
      const inOrder = await describeFirst(view);
      const [bytes, content] = await together(failed, [
        writeArchive(part, view, connection, context),
        measured ? measure(view) : Promise.resolve({ tables: [], inventory: [], extensions: [] }),
      ]);
      dumpBytes += bytes;
      described.push({ ...identityOf(view, part), ...inOrder, ...content });
      await view.session.close();
    }
    const facts: Facts = { bootstrap: server.bootstrap, databases: described, roles };
    await context.writer.part("facts", streamOf(JSON.stringify(facts)), await context.keys.host(), "index");
    const first = seen[0]!;
    const sum = (of: (database: DatabaseFacts) => number) => described.reduce((total, each) => total + of(each), 0);
    const kindsOf = (kind: string) => sum(({ inventory }) => inventory.find((each) => each.kind === kind)?.count ?? 0);
    const relations = seen.flatMap(({ tables }) => tables);
    const warnings = [
      ...warn("DATABASE_CLOSED", closed),
      ...warn("FOREIGN_TABLES", relations.filter(({ kind }) => kind === "f").length),
      ...warn("PASSWORDS_UNREADABLE", globals.passwords ? 0 : 1),
      ...warn("REFRESHED_ON_RESTORE", relations.filter(({ kind, populated }) => kind === "m" && populated).length),
    ];
    return {
      cutAt: Math.min(...seen.map(({ cutAt }) => cutAt)),
      completeness: closed > 0 || !globals.passwords ? "partial" : "complete",
      tools: { pg_dump: dump.version },
      server: { flavour: "postgresql", version: server.version },
      ...(first.lsn !== undefined && {
        position: { lsn: first.lsn, ...(first.timeline !== undefined && { timeline: first.timeline }) },
      }),
      facts: {
        databases: databases.length,
        tables: relations.filter(({ kind }) => kind === "r").length,
        rows: sum(({ tables }) => tables.reduce((total, { rows }) => total + rows, 0)),
        sequences: sum(({ sequences }) => sequences.length),
        views: kindsOf("views"),
        functions: kindsOf("functions"),
        triggers: kindsOf("triggers"),
        extensions: sum(({ extensions }) => extensions.length),
        largeObjects: sum(({ largeObjects }) => largeObjects?.count ?? 0),
        roles: roles.length,
        dumpBytes,
      },
      warnings,
    };
  } catch (error) {
    outer.signal.throwIfAborted();
    failed.abort(error);
    throw retryable(error);
  } finally {
    await Promise.all(views.map(({ session }) => session.close()));
  }
}

const warn = (code: string, count: number): Warning[] => (count > 0 ? [{ code, count }] : []);

/** Sequences before the dump reads them: they only go on. */
async function describeFirst({ session }: View): Promise<Pick<DatabaseFacts, "sequences">> {
  return { sequences: await listSequences(session) };
}

/** What the view holds. */
async function measure({ session, tables }: View) {
  const measured: TableFacts[] = [];
  for (const table of tables) {
    const refreshed = table.kind === "m" && table.populated;
    if (table.kind !== "r" && !refreshed) continue;
    const { schema, name } = table;
    measured.push({ schema, name, kind: refreshed ? "refreshed" : "table", ...(await measureTable(session, table)) });
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

/** The part `database-NNNN`; returns its bytes. */
async function writeArchive(
  part: string,
  view: View,
  connection: Connection,
  context: CaptureContext,
): Promise<number> {
  const { name } = view.database;
  const text = textOf(view.database);
  const args = [
    "--format=custom",
    "--compress=0",
    "--blobs",
    "--no-password",
    `--encoding=${text === "latin1" ? "SQL_ASCII" : "UTF8"}`,
    `--snapshot=${view.snapshot}`,
    `--lock-wait-timeout=${Math.ceil(connection.stallSeconds * 1000)}`,
    connection.to(name),
  ];
  const walker = new ArchiveWalker(text);
  const stream = wholeArchive(dumpOutput("pg_dump", args, connection, context), walker);
  const { bytes } = await context.writer.part(part, stream, await context.keys.host());
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

/** Waits for all; the first that fails ends the others, and is what is thrown once all are at rest. */
async function together<T extends readonly unknown[]>(
  failed: AbortController,
  work: { readonly [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  let first: { readonly error: unknown } | undefined;
  const watched = work.map((each) =>
    (each as Promise<unknown>).catch((error) => {
      first ??= { error };
      failed.abort(error);
      return undefined;
    }),
  );
  const results = await Promise.all(watched);
  if (first) throw first.error;
  return results as unknown as T;
}

/** A table that is gone, a lock that is held, or a server that goes down: another attempt may do. */
function retryable(error: unknown): MailarkError {
  const known = asMailarkError(error);
  const state = sqlStateOf(known) ?? "";
  const words: Readonly<Record<string, readonly [message: string, hint: string]>> = {
    "42P01": ["a table was changed during the dump", "run the backup again, apart from changes of the schema"],
    "55P03": ["a table is locked", "look for a lock that is held (pg_locks), or run the backup at another time"],
    "57P01": ["the server was shut down during the dump", "run the backup again once it is up"],
    "42501": [
      "the role may not read all of the database",
      "let the backup run as a superuser, or as a role with pg_read_all_data and BYPASSRLS",
    ],
  };
  const [message, hint] = words[state] ?? [];
  if (known.code !== "PROGRAM_FAILED" || message === undefined || hint === undefined) return known;
  return new MailarkError("DUMP_FAILED", message, {
    hint,
    retryable: state !== "42501",
    cause: known,
    ...(known.detail !== undefined && { detail: known.detail }),
  });
}

async function* streamOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
