/**
 * The way to one server: every program that talks to it is called through here, so that a password is handed over in one
 * manner only, and a server in a container differs in nothing but the words before the program.
 */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf, type Processes } from "../../processes.ts";
import { closing } from "../closing.ts";
import type { World } from "../component.ts";
import { leashed, reach, telling } from "../elsewhere.ts";
import { readPassword, type SecretFile, writeSecretFile } from "../secret-file.ts";
import type { MysqlConfig } from "./config.ts";
import { connectionSettings, optionFileText, optionLine, refuseForeignOptions } from "./option-files.ts";

export type Flavour = "mariadb" | "mysql";

/** A client program, as it names itself. */
export interface Program {
  readonly name: string;
  readonly flavour: Flavour;
  /** For MariaDB the server's release that it belongs to: `10.11.19`. */
  readonly version: string;
}

export interface Connection {
  readonly client: Program;
  readonly stallSeconds: number;
  /** The command line that runs a program against the server, to be started by {@link Connection.through}. It names no secret. */
  command(program: string, args: readonly string[]): readonly [string, ...string[]];
  /** The same for a program that reads no input: it is ended by the end of that, where it runs elsewhere. */
  leashed(program: string, args: readonly string[]): readonly [string, ...string[]];
  /** Starts such programs, and hands them the secret where that is in no file. */
  through(processes: Processes): Processes;
  /** For the environment of every such program. */
  readonly env: Readonly<Record<string, string>>;
  /** The first of these programs that is there. Throws `PROGRAM_MISSING` when none is. */
  find(names: readonly string[]): Promise<Program>;
  /**
   * Makes sure that a dump program takes no more from option files than how to reach the server.
   *
   * @throws MailarkError `CONFIG_INVALID` when it would.
   */
  refuseForeignOptions(program: Program): Promise<void>;
  /** A program's words without the password. */
  scrub(text: string): string;
  /** Removes what was written for it. */
  close(): void;
}

export type ConnectionOptions = Pick<
  MysqlConfig,
  "socket" | "host" | "port" | "user" | "passwordFile" | "defaultsFile" | "command" | "stallSeconds"
> & {
  /** Whether the machine's own option files are passed over. Default: they say how to reach the server, and nothing else. */
  readonly noOptionFiles?: boolean;
};

/**
 * @throws MailarkError `PROGRAM_MISSING` when there is no client program, `CONFIG_INVALID` when the password can not be read; what {@link reach}
 *   throws.
 */
export async function openConnection(options: ConnectionOptions, world: World): Promise<Connection> {
  const { files, processes, signal } = world;
  await reach(options.command, world);
  const password = readPassword(files, options.passwordFile, "the database's password file");
  let secret: SecretFile | undefined;
  let leading: readonly string[] = options.noOptionFiles ? ["--no-defaults"] : [];
  if (options.defaultsFile !== undefined) leading = [`--defaults-extra-file=${options.defaultsFile}`];
  const where = [
    ...(options.socket === undefined ? [] : [`--socket=${options.socket}`]),
    ...(options.host === undefined ? [] : [`--host=${options.host}`, "--protocol=tcp"]),
    ...(options.port === undefined ? [] : [`--port=${options.port}`]),
    ...(options.user === undefined ? [] : [`--user=${options.user}`]),
  ];
  // ~/.my.cnf is read after the extra file, and would win over it and over the password.
  const named = password !== undefined || options.defaultsFile !== undefined;
  const isHere = options.command.length === 0;
  const env: Record<string, string> = named && isHere ? { HOME: "/nonexistent" } : {};
  const homeless = named && !isHere ? ["env", "HOME=/nonexistent"] : [];
  // No file can be put beside a program elsewhere: its first line of input is the secret.
  const told = password !== undefined && !isHere;
  if (told) leading = [`--defaults-extra-file=${toldFile}`];
  const hand = told ? ["sh", "-c", handSecret, "sh"] : [];
  const through = (by: Processes) => (told ? telling(by, optionLine({ name: "password", value: password })) : by);

  const find = async (names: readonly string[]): Promise<Program> => {
    let reason: unknown;
    for (const name of names) {
      try {
        const said = await outputOf(processes, prefixed(options.command, name, ["--version"]), { signal });
        return { name, ...versionOf(said.toString("utf8")) };
      } catch (error) {
        signal.throwIfAborted();
        reason = error;
      }
    }
    throw new MailarkError("PROGRAM_MISSING", `there is none of these programs: ${names.join(", ")}`, {
      hint: isHere
        ? "install the client programs of the database: mariadb-client, or mysql-client"
        : "name a container that has the client programs: that of the database server, as a rule",
      cause: reason,
    });
  };

  try {
    const client = await find(["mariadb", "mysql"]);
    // Elsewhere no file can be put beside the program.
    const local = isHere && !options.noOptionFiles;
    const settings = local ? await connectionSettings(processes, client.flavour, leading, { env, signal }) : undefined;
    const own = [...(settings ?? []), ...(password === undefined ? [] : [{ name: "password", value: password }])];
    if (isHere && own.length + (settings ? 1 : 0) > 0)
      secret = writeSecretFile(files, "options.cnf", optionFileText(own));
    if (secret !== undefined) leading = [`--defaults-${settings ? "file" : "extra-file"}=${secret.path}`];
    return {
      client,
      stallSeconds: options.stallSeconds,
      async refuseForeignOptions({ name }) {
        if (settings !== undefined || options.noOptionFiles) return;
        const command = prefixed([...options.command, ...hand, ...homeless], name, [...leading, "--print-defaults"]);
        refuseForeignOptions((await outputOf(through(processes), command, { env, signal })).toString("utf8"));
      },
      env,
      find,
      through,
      command: (program, args) =>
        prefixed([...options.command, ...hand, ...homeless], program, [...leading, ...where, ...args]),
      leashed: (program, args) => leashed(options.command, [...homeless, program, ...leading, ...where, ...args], hand),
      scrub: (text) => (password ? text.replaceAll(password, "…") : text),
      close: () => secret?.remove(),
    };
  } catch (error) {
    secret?.remove();
    throw error;
  }
}

/** Runs `work` with a connection of its own, and closes that. Throws as {@link openConnection} does, and what `work` throws. */
export function withConnection<T>(
  options: ConnectionOptions,
  world: World,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  return closing(openConnection(options, world), work);
}

function prefixed(prefix: readonly string[], program: string, args: readonly string[]): [string, ...string[]] {
  return [...prefix, program, ...args] as [string, ...string[]];
}

const toldFile = "/dev/fd/3";

/** The secret goes through a pipe, which only the program has an end of: it is on no command line, in no environment and in no file. */
const handSecret = `
IFS= read -r secret || exit
exec "$@" 3<<END
[client]
$secret
END`;

/** `mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, …`, `mariadb from 11.4.2-MariaDB, …`, `mysqldump  Ver 8.0.36 for …` */
export function versionOf(said: string): { flavour: Flavour; version: string } {
  const mariadb = /(\d+\.\d+\.\d+)[^\s,]*-MariaDB/.exec(said)?.[1];
  if (mariadb !== undefined) return { flavour: "mariadb", version: mariadb };
  return { flavour: "mysql", version: /(\d+\.\d+\.\d+)/.exec(said)?.[1] ?? "unknown" };
}
