/** A private server in one directory: reachable by its socket only, without a log, without events, and gone with this process. */
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import { outputOf, type RunningProcess } from "../../processes.ts";
import { readText } from "../../state-files.ts";
import type { World } from "../component.ts";
import { removeTree } from "../remove-tree.ts";
import { type Connection, type Flavour, openConnection, versionOf } from "./connection.ts";
import { withSession } from "./session.ts";

export interface ScratchServer {
  readonly connection: Connection;
  /** Ends the server and removes its directory. */
  remove(): Promise<void>;
}

/** An ordinary user's PATH does not name where servers are. */
const folders = ["", "/usr/sbin/", "/usr/local/sbin/", "/usr/libexec/", "/usr/bin/", "/usr/local/mysql/bin/"];
const startSeconds = 60;

/**
 * @param path absent or empty. Whoever is not root runs the server as himself; root has it run by `mysql`, or `nobody`.
 * @throws MailarkError `PROGRAM_MISSING`, before anything is touched, when this machine has no server of that flavour: then nothing is
 *   wrong with the snapshot, it is just unproven; `PROGRAM_FAILED` with the end of its log when it does not come up.
 */
export async function startScratchServer(path: string, flavour: Flavour, world: World): Promise<ScratchServer> {
  const { files, processes, signal } = world;
  const server = await findServer(flavour, world);
  const socket = `${path}/s`;
  if (Buffer.byteLength(socket) > 100) {
    throw new MailarkError("ARGUMENT_INVALID", "the scratch path is too long for a socket", {
      detail: path,
      hint: "choose a path of less than 98 characters",
    });
  }
  const account = accountFor(files);
  const become = account ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"] : [];
  const remove = () => removeTree(files, Buffer.from(path).toString("latin1"));
  let running: RunningProcess | undefined;
  const end = async () => {
    running?.kill("SIGKILL");
    await running?.exited;
    remove();
  };
  try {
    for (const folder of [path, `${path}/tmp`]) {
      files.mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (account) files.chownSync(folder, account.uid, account.gid);
    }
    const own = ["setpriv", "--pdeathsig", "KILL", ...become, "--"] as const;
    // A server that starts empties its temporary directory of tables: in a shared one that would crash the live server.
    const common = ["--no-defaults", `--datadir=${path}/data`, `--tmpdir=${path}/tmp`, ...careless(flavour)];
    await outputOf(processes, [...own, ...server.initialise, ...common, ...initial(flavour)], { cwd: path, signal });
    running = await processes.start(
      [...own, server.program, ...common, `--socket=${socket}`, `--log-error=${path}/log`, ...quiet(flavour, path)],
      { cwd: path, signal },
    );
    running.stdin.end();
    running.stdout.resume();
    const options = { socket, user: "root", command: [], stallSeconds: 3600 };
    const connection = await openConnection({ ...options, noOptionFiles: true }, world);
    await waitUntilReady(connection, running, path, world);
    return { connection, remove: end };
  } catch (error) {
    await end();
    signal.throwIfAborted();
    throw explained(error, files, path);
  }
}

async function findServer(flavour: Flavour, world: World) {
  const program = await firstOf(flavour === "mariadb" ? ["mariadbd", "mysqld"] : ["mysqld"], flavour, world);
  if (flavour === "mysql") return { program, initialise: [program] };
  return { program, initialise: [await firstOf(["mariadb-install-db", "mysql_install_db"], undefined, world)] };
}

async function firstOf(names: readonly string[], flavour: Flavour | undefined, { processes, signal }: World) {
  for (const candidate of names.flatMap((name) => folders.map((folder) => folder + name))) {
    try {
      const argument = flavour === undefined ? "--help" : "--version";
      const running = await processes.start([candidate, argument], { signal });
      running.stdin.end();
      let said = "";
      for await (const chunk of running.stdout) said += chunk;
      await running.exited;
      if (flavour === undefined || versionOf(said).flavour === flavour) return candidate;
    } catch {
      signal.throwIfAborted();
    }
  }
  throw new MailarkError("PROGRAM_MISSING", `there is no ${names[0]} on this machine to load the snapshot into`, {
    hint: `install ${flavour === "mysql" ? "mysql-server" : "mariadb-server"}; it needs not run`,
  });
}

function accountFor(files: Files): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const entries = (readText(files, "/etc/passwd") ?? "").split("\n").map((line) => line.split(":"));
  const entry = entries.find(([name]) => name === "mysql") ?? entries.find(([name]) => name === "nobody");
  return { uid: Number(entry?.[2] ?? 65534), gid: Number(entry?.[3] ?? 65534) };
}

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

async function waitUntilReady(connection: Connection, running: RunningProcess, path: string, world: World) {
  let gone = false;
  running.exited.then(() => {
    gone = true;
  });
  const deadline = world.clock.now() + startSeconds * 1000;
  for (;;) {
    if (gone || world.clock.now() > deadline) {
      throw new MailarkError("PROGRAM_FAILED", "the scratch database server did not come up");
    }
    if (isThere(world.files, `${path}/s`)) {
      const ready = await withSession(connection, world, (session) => session.query("SELECT 1")).catch(() => undefined);
      if (ready) return;
    }
    await world.clock.sleep(30, world.signal);
  }
}

function isThere(files: Files, path: string): boolean {
  try {
    files.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function explained(error: unknown, files: Files, path: string): unknown {
  if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") return error;
  let log = "";
  try {
    log = readText(files, `${path}/log`)?.slice(-2000) ?? "";
  } catch {
    // What it complained of is all there is to say.
  }
  return new MailarkError(error.code, error.message, {
    detail: [error.detail, log].filter(Boolean).join("\n"),
    hint: "the scratch path must be below a directory that every user may pass through, with room for the databases",
    cause: error,
  });
}
