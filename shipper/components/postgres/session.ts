/** A conversation with the server through psql: one connection to one database, any number of questions. */
import { MailarkError } from "../../../core/errors.ts";
import { type Exit, howEnded } from "../../processes.ts";
import { closing } from "../closing.ts";
import type { World } from "../component.ts";
import { dialogueWith } from "../dialogue.ts";
import type { Connection } from "./connection.ts";
import { pulseOf } from "./pulse.ts";

/** What a column may be in an answer: everything that is not a small number is asked for as text. */
export type Row = Readonly<Record<string, string | number | boolean | null>>;

export interface Session {
  /** Whether names and texts are UTF-8, or bytes of an unknown encoding that stand as latin1. */
  readonly encoding: "utf8" | "latin1";
  /**
   * The rows of one SELECT, without a semicolon at its end. The session is over when it fails.
   *
   * @throws MailarkError `PROGRAM_FAILED` with the server's words in `detail`; see {@link sqlStateOf}.
   */
  query<R extends Row = Row>(select: string): Promise<R[]>;
  /** Runs statements that give no rows. Throws as `query` does. */
  run(statements: string): Promise<void>;
  /** Leaves; what is open is rolled back. Never throws, and may be called again. */
  close(): Promise<void>;
}

/** What a session takes of the world. */
export type SessionWorld = Pick<World, "processes" | "clock" | "signal">;

/** What the text of a value depends on, so that one content has one text everywhere. */
const settings: Readonly<Record<string, string>> = {
  bytea_output: "hex",
  DateStyle: "ISO, MDY",
  extra_float_digits: "3",
  idle_session_timeout: "0",
  IntervalStyle: "postgres",
  lc_monetary: "C",
  quote_all_identifiers: "off",
  search_path: "",
  standard_conforming_strings: "on",
  TimeZone: "UTC",
  transaction_timeout: "0",
  xmloption: "content",
};

/**
 * Starts a session in which row security hides nothing (it fails instead), and times are UTC.
 *
 * @param database default: the connection's own.
 * @param encoding `latin1` for a database that does not say what its bytes mean (`SQL_ASCII`).
 */
export async function openSession(
  connection: Connection,
  world: SessionWorld,
  database = connection.maintenanceDatabase,
  encoding: Session["encoding"] = "utf8",
): Promise<Session> {
  const { processes, signal } = world;
  const args = ["-X", "-q", "-A", "-t", "-w", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"];
  const command = connection.command("psql", [...args, connection.to(database)]);
  const running = await connection.through(processes).start(command, { signal });
  const { ask, close } = dialogueWith(
    running,
    {
      encoding,
      echo: (line) => `\\echo ${line}`,
      failure: (exit) => failureOf(connection, exit, running.complaint()),
      pulse: pulseOf(connection, processes),
    },
    world,
  );
  const session: Session = {
    encoding,
    query: async <R extends Row>(select: string) =>
      (await ask(`SELECT row_to_json(mailark) FROM (${select}) AS mailark`)).map((line) => JSON.parse(line) as R),
    run: async (statements) => {
      await ask(statements);
    },
    close,
  };
  try {
    await session.run(`SET client_encoding = ${encoding === "utf8" ? "'UTF8'" : "'SQL_ASCII'"}`);
    const wanted = Object.entries(settings).map(([name, value]) => `('${name}', '${value}')`);
    await session.query(
      `SELECT count(set_config(wanted.name, wanted.value, false)) FROM (VALUES ${wanted.join(", ")}) AS wanted (name, value)
       JOIN pg_catalog.pg_settings AS known ON lower(known.name) = lower(wanted.name)`,
    );
  } catch (error) {
    await session.close();
    throw error;
  }
  return session;
}

function failureOf({ scrub }: Connection, exit: Exit, complaint: string): MailarkError {
  return new MailarkError("PROGRAM_FAILED", `the database session ended with ${howEnded(exit)}`, {
    detail: scrub(complaint),
    ...(/connection to server|could not connect|authentication failed|fe_sendauth/.test(complaint) && {
      hint: "check socket directory, host, user and password of the postgres component, and that the server is up",
    }),
  });
}

/** Runs `work` with a session of its own, and closes that. */
export function withSession<T>(
  connection: Connection,
  world: SessionWorld,
  work: (session: Session) => Promise<T>,
  database?: string,
): Promise<T> {
  return closing(openSession(connection, world, database), work);
}

/** The server's SQLSTATE in what psql complained of: `42501` is a missing privilege. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof MailarkError)) return undefined;
  // The word before it is in the language of the server.
  return /: {2}([0-9A-Z]{5}): /.exec(error.detail ?? "")?.[1];
}
