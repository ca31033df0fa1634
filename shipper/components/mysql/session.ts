/** A conversation with the server through its command-line client: one connection, any number of questions. */
import { MailarkError } from "../../../core/errors.ts";
import { type Exit, howEnded } from "../../processes.ts";
import { closing } from "../closing.ts";
import type { World } from "../component.ts";
import { dialogueWith } from "../dialogue.ts";
import type { Connection } from "./connection.ts";
import { pulseOf } from "./pulse.ts";
import { fieldsOf } from "./sql-text.ts";

export type Row = readonly string[];

/** What a session needs of the world. */
export type SessionWorld = Pick<World, "processes" | "clock" | "signal">;

export interface Session {
  /**
   * Runs one statement, without a semicolon at its end. The session is over when it fails. A statement may take as long as it needs while the
   * server answers others; for a lock it waits as long as for anything that stalls.
   *
   * @throws MailarkError `PROGRAM_FAILED` with the server's words in `detail`, see {@link serverErrorOf}; `PROGRAM_STALLED`.
   */
  query(sql: string): Promise<Row[]>;
  /** Leaves; what is open is rolled back. Never throws, and may be called again. */
  close(): Promise<void>;
}

/** Starts a session with an empty `sql_mode`, in UTC. Throws as {@link Session.query} does. */
export async function openSession(connection: Connection, world: SessionWorld): Promise<Session> {
  const { processes, signal } = world;
  const { name } = connection.client;
  const args = [
    "--batch",
    "--skip-column-names",
    "--unbuffered",
    "--skip-reconnect",
    "--no-auto-rehash",
    "--binary-mode",
  ];
  const command = connection.command(name, [...args, "--default-character-set=utf8mb4", "--connect-timeout=20"]);
  const running = await connection.through(processes).start(command, { env: connection.env, signal });
  const { ask, close } = dialogueWith(
    running,
    {
      encoding: "utf8",
      echo: (line) => `SELECT '${line}';`,
      failure: (exit) => failureOf(connection, exit, running.complaint()),
      pulse: pulseOf(connection, processes),
    },
    world,
  );
  const session: Session = { query: async (sql) => (await ask(sql)).map(fieldsOf), close };
  try {
    const patience = Math.ceil(connection.stallSeconds);
    await session.query(`SET SESSION sql_mode='', time_zone='+00:00', lock_wait_timeout=${patience}`);
  } catch (error) {
    await session.close();
    throw error;
  }
  return session;
}

function failureOf({ scrub }: Connection, exit: Exit, complaint: string): MailarkError {
  return new MailarkError("PROGRAM_FAILED", `the database session ended with ${howEnded(exit)}`, {
    detail: scrub(complaint),
    ...(/ERROR (1045|1698|1044|2002|2003|2005)\b/.test(complaint) && {
      hint: "check socket, host, user and password of the mysql component, and that the server is up",
    }),
    ...(/ERROR 1205\b/.test(complaint) && {
      hint: "something else holds a lock (SHOW PROCESSLIST): run it again, or raise stallSeconds",
      retryable: true,
    }),
  });
}

/** Runs `work` with a session of its own, and closes that. */
export function withSession<T>(
  connection: Connection,
  world: SessionWorld,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return closing(openSession(connection, world), work);
}

/** The server's error number in what a client or dump program complained of: 1227 is a missing privilege. */
export function serverErrorOf(error: unknown): number | undefined {
  if (!(error instanceof MailarkError)) return undefined;
  const number = /ERROR (\d{4})\b/.exec(error.detail ?? "")?.[1];
  return number === undefined ? undefined : Number(number);
}
