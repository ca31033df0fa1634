/**
 * The way to one server: every program that talks to it is called through here, so that a password is handed over in one manner only, and a
 * server in a container differs in nothing but the words before the program.
 */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf, type Processes } from "../../processes.ts";
import { closing } from "../closing.ts";
import type { World } from "../component.ts";
import { leashed, reach, telling } from "../elsewhere.ts";
import { readPassword, type SecretFile, writeSecretFile } from "../secret-file.ts";
import { debianPrograms } from "./client-programs.ts";
import type { PostgresConfig } from "./config.ts";
import { connectionString, sessionOptions } from "./sql-text.ts";

/** A client program, by the words that start it. */
export interface Program {
  readonly name: string;
  /** `15.18` */
  readonly version: string;
}

export interface Connection {
  /** The words that lead to where the programs are. */
  readonly place: readonly string[];
  readonly stallSeconds: number;
  /** Where a session begins that is about no database in particular. */
  readonly maintenanceDatabase: string;
  /** The command line that runs a program there. It names no secret. What it starts is started {@link Connection.through through} these. */
  command(program: string, args: readonly string[]): readonly [string, ...string[]];
  /** The same for a program that reads no input: it is ended by the end of that, where it runs elsewhere. `before`: words that start it. */
  leashed(program: string, args: readonly string[], before?: readonly string[]): readonly [string, ...string[]];
  /** Processes that are handed the secret as they start. */
  through(processes: Processes): Processes;
  /** libpq's words for a database of the server, in a session that no setting of a role or database disturbs. */
  words(database: string): string;
  /** The argument that leads a program there. */
  to(database: string): string;
  /** The program as it is there. Throws `PROGRAM_MISSING` when it is not. */
  find(name: string): Promise<Program>;
  /** A program's words without the password. */
  scrub(text: string): string;
  /** Removes what was written for it. */
  close(): void;
}

export type ConnectionOptions = Pick<
  PostgresConfig,
  | "socketDirectory"
  | "host"
  | "port"
  | "user"
  | "passwordFile"
  | "passfile"
  | "service"
  | "command"
  | "stallSeconds"
  | "maintenanceDatabase"
> & {
  /** Where the programs are; default: wherever the shell finds them. */
  readonly programs?: string;
};

/** A setting of a role or of a database would otherwise end a session, make it read-only, or hide rows. */
const undisturbed = {
  default_transaction_read_only: "off",
  default_transaction_isolation: "read committed",
  statement_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  row_security: "off",
  synchronous_commit: "on",
};

/**
 * @throws MailarkError `PROGRAM_MISSING` when there is no psql, `CONFIG_INVALID` when the password can not be read; what {@link reach} throws.
 */
export async function openConnection(options: ConnectionOptions, world: World): Promise<Connection> {
  const { files, processes, signal } = world;
  await reach(options.command, world);
  const password = readPassword(files, options.passwordFile, "the database's password file");
  const isHere = options.command.length === 0;
  const secret: SecretFile | undefined =
    password === undefined || !isHere ? undefined : writeSecretFile(files, "pgpass", passfileText(password));
  // No file can be put beside a program elsewhere: its first line of input is the secret.
  const told = isHere ? undefined : password;
  const hand = told === undefined ? [] : ["sh", "-c", handSecret, "sh"];
  const settings = {
    service: options.service,
    host: options.socketDirectory ?? options.host,
    port: options.port,
    user: options.user,
    passfile: secret?.path ?? options.passfile,
    connect_timeout: 20,
    application_name: "mailark",
    options: sessionOptions(undisturbed),
  };
  const here = isHere ? withoutForeignVariables() : [];
  // The file of services is named by Debian's own programs only.
  const isPlain = isHere && options.service === undefined;
  const folder = options.programs ?? (isPlain ? await debianPrograms(world) : undefined);
  const words = (program: string, args: readonly string[]) => [
    ...here,
    folder === undefined ? program : `${folder}/${program}`,
    ...args,
  ];
  const command = (program: string, args: readonly string[]) =>
    [...options.command, ...hand, ...words(program, args)] as [string, ...string[]];
  const wordsFor = (dbname: string) => connectionString({ ...settings, dbname });
  const find = async (name: string): Promise<Program> => {
    try {
      const said = await outputOf(
        processes,
        [...options.command, ...words(name, ["--version"])] as [string, ...string[]],
        {
          signal,
        },
      );
      return { name, version: versionOf(said.toString("utf8")) };
    } catch (cause) {
      signal.throwIfAborted();
      throw new MailarkError("PROGRAM_MISSING", `there is no ${name}`, {
        hint: isHere
          ? "install the client programs of the database: postgresql-client"
          : "name a container that has the client programs: that of the database server, as a rule",
        cause,
      });
    }
  };
  try {
    await find("psql");
  } catch (error) {
    secret?.remove();
    throw error;
  }
  return {
    place: options.command,
    stallSeconds: options.stallSeconds,
    maintenanceDatabase: options.maintenanceDatabase,
    command,
    leashed: (program, args, before = []) => leashed(options.command, [...before, ...words(program, args)], hand),
    through: (by) => (told === undefined ? by : telling(by, told)),
    words: wordsFor,
    to: (database) => `--dbname=${wordsFor(database)}`,
    find,
    scrub: (text) => (password ? text.replaceAll(password, "…") : text),
    close: () => secret?.remove(),
  };
}

/** Runs `work` with a connection of its own, and closes that. Throws as {@link openConnection} does, and what `work` throws. */
export function withConnection<T>(
  options: ConnectionOptions,
  world: World,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  return closing(openConnection(options, world), work);
}

/** libpq takes a password file for none unless it is a plain file; the environment of a program can be read by its own user only. */
const handSecret = 'IFS= read -r PGPASSWORD || exit; export PGPASSWORD; exec "$@"';

/** What libpq calls a passfile: the password for whatever is connected to. */
const passfileText = (password: string) => `*:*:*:*:${password.replace(/[\\:]/g, "\\$&")}\n`;

/** `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` */
export const versionOf = (said: string): string => /\(PostgreSQL\)\s+(\S+)/.exec(said)?.[1] ?? "unknown";

/** `15.18` → 15 */
export const majorOf = (version: string): number => Number.parseInt(version, 10) || 0;

/** What somebody's shell says of another server must not be taken for this one. */
function withoutForeignVariables(): string[] {
  const foreign = Object.keys(process.env).filter((name) => /^PG[A-Z]/.test(name));
  return foreign.length === 0 ? [] : ["env", ...foreign.flatMap((name) => ["-u", name])];
}
