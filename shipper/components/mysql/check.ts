/** Looks at a staged snapshot as an application would, and compares it with what was true when it was captured. */
import type { Check, World } from "../component.ts";
import { listAccounts } from "./accounts.ts";
import type { Connection } from "./connection.ts";
import {
  type Counts,
  countPrograms,
  type DatabaseFacts,
  type Measure,
  measureTable,
  type TableFacts,
} from "./facts.ts";
import { askServer } from "./server.ts";
import { openSession, type Row, type Session } from "./session.ts";
import { quoteName, quoteText } from "./sql-text.ts";
import type { StagedMysql } from "./stage.ts";
import { isWhole } from "./stage-directory.ts";

/** The checks of a staged snapshot: one for each thing that holds of a database, and one for each table or view that is amiss. */
export async function checkMysql(staged: StagedMysql, world: World): Promise<Check[]> {
  if (staged.connection === undefined) return checkFiles(staged, world);
  const questions = new Questions(staged.connection, world);
  try {
    const checks: Check[] = [];
    for (const database of staged.databases) {
      world.progress(`checking ${database.name}`);
      checks.push(...(await checkTables(questions, database, staged)));
      checks.push(...(await checkPrograms(questions, database)));
      checks.push(...(await checkViews(questions, database)));
    }
    checks.push(await checkAccounts(questions, staged));
    return checks;
  } finally {
    await questions.close();
  }
}

function checkFiles({ written = [] }: StagedMysql, { files }: World): Check[] {
  const broken = written.filter((file) => !isWhole(files, file));
  const complete: Check =
    broken.length === 0
      ? { name: "files", outcome: "passed", detail: `${written.length} files are whole, each to its last line` }
      : {
          name: "files",
          outcome: "failed",
          detail: `not what was written: ${broken.map(({ path }) => path).join(", ")}`,
        };
  const loadable = {
    name: "loading",
    outcome: "unproven",
    detail: "files were written, no server has loaded them",
  } as const;
  return [complete, loadable];
}

async function checkTables(questions: Questions, database: DatabaseFacts, staged: StagedMysql): Promise<Check[]> {
  const amiss: Check[] = [];
  let rows = 0;
  let checksums = 0;
  for (const table of database.tables) {
    const name = `table ${database.name}.${table.name}`;
    const problem = await questions.problem(`CHECK TABLE ${quoteName(database.name)}.${quoteName(table.name)}`);
    if (problem !== undefined) amiss.push({ name, outcome: "failed", detail: problem });
    const found = await questions.measure(database.name, table);
    if (typeof found === "string") {
      amiss.push({ name, outcome: "failed", detail: found });
      continue;
    }
    rows += found.rows;
    const difference = differenceOf(table, found);
    if (difference !== undefined) amiss.push({ name, ...(await judge(difference, table, staged, questions)) });
    else if ((table.checksum ?? table.digest) !== undefined) checksums += 1;
    else
      amiss.push({
        name,
        outcome: "unproven",
        detail: `${found.rows} rows as captured; the server gave no checksum then`,
      });
  }
  if (database.tables.length === 0 || checksums > 0) {
    const detail = `${checksums} of ${database.tables.length} tables have the rows and checksums of the capture; ${rows} rows in all`;
    amiss.unshift({ name: `tables of ${database.name}`, outcome: "passed", detail });
  }
  return amiss;
}

function differenceOf(table: TableFacts, found: Measure): string | undefined {
  if (found.rows !== table.rows) return `${found.rows} rows, ${table.rows} when captured`;
  const [expected, actual] = [table.checksum ?? table.digest, found.checksum ?? found.digest];
  return expected === undefined || expected === actual
    ? undefined
    : `checksum ${actual ?? "none"}, ${expected} when captured`;
}

/** A difference is a failure only where the fact is of the very content that was dumped, and measured in the same way. */
async function judge(difference: string, table: TableFacts, staged: StagedMysql, questions: Questions) {
  if (table.frozen === false) {
    const detail = `${difference}; nothing could keep it from being changed during the dump`;
    return { outcome: "unproven", detail } as const;
  }
  if (staged.facts.factsFrom === "independent") {
    return {
      outcome: "unproven",
      detail: `${difference}; that was measured beside the dump, not in its view`,
    } as const;
  }
  const release = /^\d+\.\d+/.exec(await questions.version())?.[0];
  if (difference.startsWith("checksum") && !staged.capturedFrom.startsWith(`${release}.`)) {
    const detail = `${difference}; a server of another release may count it differently (${staged.capturedFrom})`;
    return { outcome: "unproven", detail } as const;
  }
  return { outcome: "failed", detail: difference } as const;
}

async function checkPrograms(questions: Questions, database: DatabaseFacts): Promise<Check[]> {
  const name = `programs of ${database.name}`;
  const found = await questions.counts(database.name);
  const kinds = ["views", "routines", "triggers", "events"] as const;
  const wrong = kinds.filter((kind) => found[kind] !== database[kind]);
  const counted = (of: Counts) => kinds.map((kind) => `${of[kind]} ${kind}`).join(", ");
  if (wrong.length === 0) return [{ name, outcome: "passed", detail: counted(found) }];
  return [{ name, outcome: "failed", detail: `${counted(found)}; when captured: ${counted(database)}` }];
}

async function checkViews(questions: Questions, { name: database, views }: DatabaseFacts): Promise<Check[]> {
  if (views === 0) return [];
  const names = await questions.rows(
    `SELECT table_name FROM information_schema.views WHERE table_schema = ${quoteText(database)} AND BINARY table_schema = ${quoteText(database)}`,
  );
  const broken: Check[] = [];
  for (const [view = ""] of names) {
    const problem = await questions.problem(`SELECT 1 FROM ${quoteName(database)}.${quoteName(view)} LIMIT 0`);
    if (problem !== undefined) broken.push({ name: `view ${database}.${view}`, outcome: "failed", detail: problem });
  }
  if (broken.length > 0) return broken;
  return [{ name: `views of ${database}`, outcome: "passed", detail: `${names.length} can be read` }];
}

async function checkAccounts(questions: Questions, { facts }: StagedMysql): Promise<Check> {
  const present = await questions.accounts();
  const missing = facts.accounts.filter(
    ({ user, host }) => user !== "PUBLIC" && !present.some((each) => each.user === user && each.host === host),
  );
  const detail = missing.map(({ user, host }) => `${user}@${host}`).join(", ");
  if (missing.length > 0) return { name: "accounts", outcome: "failed", detail: `missing: ${detail}` };
  if (facts.accounts.length === 0) {
    return { name: "accounts", outcome: "unproven", detail: "the snapshot holds none, or they could not be read" };
  }
  return { name: "accounts", outcome: "passed", detail: `all ${facts.accounts.length} are there` };
}

/** A session that is begun anew after an answer that was an error. */
class Questions {
  readonly #connection: Connection;
  readonly #world: World;
  #session: Session | undefined;
  #version: string | undefined;

  constructor(connection: Connection, world: World) {
    this.#connection = connection;
    this.#world = world;
  }

  async rows(sql: string): Promise<Row[]> {
    return (await this.#open()).query(sql);
  }

  /** What the server says against a statement; `undefined` when nothing. `CHECK TABLE` says so in its rows. */
  async problem(sql: string): Promise<string | undefined> {
    const answer = await this.#attempt((session) => session.query(sql));
    if (typeof answer === "string") return answer;
    const bad = answer.filter(([, operation, type]) => operation === "check" && /^error$/i.test(type ?? ""));
    const last = answer.at(-1);
    const verdict =
      last?.[1] === "check" && last[2] === "status" && !/^(OK|Table is already up to date)$/.test(last[3] ?? "");
    if (bad.length === 0 && !verdict) return undefined;
    return answer.map((row) => row.slice(2).join(": ")).join("; ");
  }

  measure(database: string, { name, digest }: TableFacts) {
    return this.#attempt((session) => measureTable(session, { database, name, inexact: digest !== undefined }));
  }

  async counts(database: string): Promise<Counts> {
    return (await countPrograms(await this.#open(), [database])).get(database)!;
  }

  async accounts() {
    const session = await this.#open();
    return listAccounts(session, await askServer(session));
  }

  async version(): Promise<string> {
    this.#version ??= (await askServer(await this.#open())).version;
    return this.#version;
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }

  async #open(): Promise<Session> {
    this.#session ??= await openSession(this.#connection, this.#world);
    return this.#session;
  }

  async #attempt<T>(work: (session: Session) => Promise<T>): Promise<T | string> {
    try {
      return await work(await this.#open());
    } catch (error) {
      this.#world.signal.throwIfAborted();
      await this.#session?.close();
      this.#session = undefined;
      return (error as { detail?: string }).detail ?? String(error);
    }
  }
}
