/** A private server in one directory: reachable by its socket only, without a log, without events, and gone with this process. */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import { scratchPathAt } from "../elsewhere.ts";
import { openShelter, ScratchFailure } from "../shelter.ts";
import { type Connection, type Flavour, openConnection, versionOf } from "./connection.ts";
import { withSession } from "./session.ts";

export interface ScratchServer {
  readonly connection: Connection;
  /** Where it runs on this machine. */
  readonly socket?: string;
  /** Ends the server and removes its directory. */
  remove(): Promise<void>;
}

/** How one is asked for. */
export interface ScratchOptions {
  /** Absent or empty; where the server runs elsewhere it stays as it is. */
  readonly path: string;
  /** Put before every program. */
  readonly command: readonly string[];
  readonly flavour: Flavour;
  readonly stallSeconds: number;
}

/**
 * Starts one where the live server runs, so that it is of the same release; on this machine where there is no server program at that place.
 * Whoever is not root runs it as himself; root has it run by `mysql`, or `nobody`.
 *
 * @throws MailarkError `PROGRAM_MISSING`, before anything is touched, when there is no server of that flavour: then nothing is wrong with the
 *   snapshot, it is just unproven; `PROGRAM_FAILED` with the end of its log when it does not come up.
 */
export async function startScratchServer(options: ScratchOptions, world: World): Promise<ScratchServer> {
  const { flavour, stallSeconds } = options;
  const { command, server } = await findServer(options, world);
  const path = scratchPathAt(command, options.path);
  const socket = `${path}/s`;
  if (Buffer.byteLength(socket) > 100) {
    throw new MailarkError("ARGUMENT_INVALID", "the scratch path is too long for a socket", {
      detail: path,
      hint: "choose a path of less than 98 characters",
    });
  }
  const shelter = await openShelter({ path, command, accounts: ["mysql", "nobody"] }, world);
  let connection: Connection | undefined;
  const remove = async () => {
    connection?.close();
    await shelter.remove();
  };
  try {
    // A server that starts empties its temporary directory of tables: in a shared one that would crash the live server.
    await shelter.run(["mkdir", "-m", "700", "tmp"]);
    const common = ["--no-defaults", `--datadir=${path}/data`, `--tmpdir=${path}/tmp`, ...careless(flavour)];
    world.signal.throwIfAborted();
    await shelter.run([...server.initialise, ...common, ...initial(flavour)]);
    const client = { socket, user: "root", command: [...command], stallSeconds, noOptionFiles: true };
    const opened = await openConnection(client, world);
    connection = opened;
    await shelter.serve({
      name: "server",
      words: [server.program, ...common, `--socket=${socket}`, ...quiet(flavour, path)],
      ready: () => withSession(opened, world, (each) => each.query("SELECT 1")).then(() => true),
    });
    return { connection: opened, ...(command.length === 0 && { socket }), remove };
  } catch (error) {
    await remove();
    world.signal.throwIfAborted();
    if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") throw error;
    const { message, detail, hint } = error;
    throw new ScratchFailure(error.code, message, { ...(detail && { detail }), ...(hint && { hint }), cause: error });
  }
}

interface ServerPrograms {
  readonly program: string;
  /** The words that make a data directory. */
  readonly initialise: readonly string[];
}

async function findServer(
  { command, flavour }: ScratchOptions,
  world: World,
): Promise<{ readonly command: readonly string[]; readonly server: ServerPrograms }> {
  for (const place of command.length === 0 ? [command] : [command, []]) {
    const server = await serverAt(place, flavour, world);
    if (server !== undefined) return { command: place, server };
  }
  const where = command.length === 0 ? "on this machine" : "where the tools run, nor on this machine";
  throw new MailarkError("PROGRAM_MISSING", `there is no ${flavour} server ${where} to load the snapshot into`, {
    hint: `install ${flavour === "mysql" ? "mysql-server" : "mariadb-server"}; it needs not run`,
  });
}

async function serverAt(
  place: readonly string[],
  flavour: Flavour,
  { processes, signal }: World,
): Promise<ServerPrograms | undefined> {
  const servers = flavour === "mariadb" ? ["mariadbd", "mysqld"] : ["mysqld"];
  const makers = flavour === "mariadb" ? ["mariadb-install-db", "mysql_install_db"] : [];
  const words = [...place, "sh", "-c", look, "sh", ...servers, "--", ...makers] as unknown as [string, ...string[]];
  // A place that can not be reached has none either.
  const said = (await outputOf(processes, words, { signal }).catch(() => Buffer.alloc(0))).toString("utf8");
  signal.throwIfAborted();
  const found = said.split("\n").map((line) => line.split("\t"));
  const program = found.find(([kind, , version = ""]) => kind === "server" && versionOf(version).flavour === flavour);
  const maker = found.find(([kind]) => kind === "maker");
  if (program === undefined || (flavour === "mariadb" && maker === undefined)) return undefined;
  return { program: program[1]!, initialise: [(maker ?? program)[1]!] };
}

/** Arguments: names of servers, `--`, names of what makes a data directory. An ordinary user's PATH does not name where servers are. */
const look = `
PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec:/usr/bin:/usr/local/mysql/bin
while [ "$1" != -- ]; do
  if path=$(command -v "$1"); then printf 'server\\t%s\\t%s\\n' "$path" "$("$path" --version 2> /dev/null | head -n 1)"; fi
  shift
done
shift
for name; do
  if path=$(command -v "$name"); then printf 'maker\\t%s\\n' "$path"; fi
done
:`;

/** Nothing here has to survive a crash. */
function careless(flavour: Flavour): string[] {
  const both = ["--innodb-buffer-pool-size=256M", "--innodb-flush-log-at-trx-commit=0"];
  if (flavour === "mysql") return [...both, "--innodb-doublewrite=OFF"];
  return [...both, "--skip-innodb-doublewrite", "--innodb-flush-method=nosync", "--innodb-log-file-size=96M"];
}

function initial(flavour: Flavour): string[] {
  if (flavour === "mysql") return ["--initialize-insecure"];
  return ["--auth-root-authentication-method=normal", "--skip-test-db"];
}

function quiet(flavour: Flavour, path: string): string[] {
  return [
    `--pid-file=${path}/pid`,
    "--skip-networking",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--event-scheduler=OFF",
    "--max-allowed-packet=1G",
    "--local-infile=0",
    `--secure-file-priv=${path}/tmp`,
    ...(flavour === "mysql" ? ["--mysqlx=OFF"] : ["--innodb-strict-mode=OFF"]),
  ];
}
