import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeProcesses, outputOf } from "../../shipper/processes.ts";
import { accountFor, isRoot } from "./account.ts";
import { Daemon, serviceOf } from "./daemon.ts";
import { makeFolder, type Place, writeFileFor } from "./place.ts";
import { programPath } from "./programs.ts";
import type { Service } from "./service.ts";

/** PostgreSQL, reachable by its socket and with its password only. */
export interface Postgres extends Service {
  /** The folder of its socket: libpq's host. */
  readonly socketDirectory: string;
  /** Names the socket; nothing listens on it over TCP. */
  readonly port: number;
  readonly user: "postgres";
  readonly password: string;
  /** Mode 0600, in libpq's pgpass form. */
  readonly passwordFile: string;
  /** PGHOST, PGPORT, PGUSER and PGPASSFILE: what any PostgreSQL program needs to reach it as the superuser. */
  readonly environment: Readonly<Record<string, string>>;
  readonly datadir: string;
  readonly log: string;
  /** The folder of the newest server's programs. */
  readonly programs: string;
  /**
   * Runs SQL as superuser and returns what psql prints: one line a row, columns separated by tabs, no header.
   *
   * @throws MailarkError `PROGRAM_FAILED` with the server's message, at the first statement that fails.
   */
  sql(statements: string | Uint8Array, database?: string): Promise<string>;
  /** Leaves a new, empty server with the same password: what a fresh machine has. */
  wipe(): Promise<void>;
}

/** Makes a data directory, without starting the server. `settings` are added to the server's command line. */
export async function preparePostgres(
  place: Place,
  settings: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Postgres> {
  const { directory } = place;
  const account = accountFor("postgres");
  const home = makeFolder(join(directory, "postgres"), account, 0o755);
  const datadir = join(home, "data");
  const log = join(home, "postgres.log");
  const port = 5432;
  const password = randomBytes(16).toString("hex");
  const passwordFile = writeFileFor(join(directory, "pgpass"), `*:*:*:postgres:${password}\n`);
  const firstPassword = writeFileFor(join(home, "first-password"), `${password}\n`, account);
  const environment = { PGHOST: home, PGPORT: String(port), PGUSER: "postgres", PGPASSFILE: passwordFile };
  const server = programPath("postgres", "postgresql");

  async function initialise(): Promise<void> {
    rmSync(datadir, { recursive: true, force: true });
    const become = isRoot ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"] : [];
    const initdb = [programPath("initdb", "postgresql"), "-D", datadir, "--no-sync", "-k", "-A", "scram-sha-256"];
    const details = ["-U", "postgres", `--pwfile=${firstPassword}`, "--locale=C.UTF-8", "-E", "UTF8"];
    await outputOf(nodeProcesses, [programPath("setpriv", "util-linux"), ...become, "--", ...initdb, ...details], {
      cwd: home,
      ...(signal && { signal }),
    });
  }

  const defaults = {
    listen_addresses: "",
    port: String(port),
    unix_socket_directories: home,
    dynamic_shared_memory_type: "mmap",
    fsync: "off",
    ...settings,
  };
  const daemon = new Daemon({
    place,
    name: "PostgreSQL",
    account,
    cwd: home,
    log,
    stopSignal: "SIGINT",
    // The immediate shutdown: it writes nothing, but gives the kernel's shared memory back.
    killSignal: "SIGQUIT",
    command: [
      server,
      "-D",
      datadir,
      ...Object.entries(defaults).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    async ready() {
      try {
        return readFileSync(join(datadir, "postmaster.pid"), "utf8").split("\n")[7]?.trim() === "ready";
      } catch {
        return false;
      }
    },
  });

  await initialise();
  return serviceOf<Postgres>(daemon, {
    socketDirectory: home,
    port,
    user: "postgres",
    password,
    passwordFile,
    environment,
    datadir,
    log,
    programs: join(server, ".."),
    async sql(statements, database = "postgres") {
      const client = programPath("psql", "postgresql");
      const options = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database];
      return (await outputOf(nodeProcesses, [client, ...options], { input: statements, env: environment })).toString();
    },
    async wipe() {
      await daemon.kill();
      await initialise();
      await daemon.start();
    },
  });
}
