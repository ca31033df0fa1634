/** A private server in one directory: reachable by its socket only, nothing in it survives a crash, and gone with this process. */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import { scratchPathAt } from "../elsewhere.ts";
import { openShelter, type Shelter } from "../shelter.ts";
import { type Connection, majorOf, openConnection, versionOf } from "./connection.ts";
import { withSession } from "./session.ts";

export interface ScratchServer {
  readonly connection: Connection;
  /** `15.18` */
  readonly version: string;
  /** Where its socket is on this machine; undefined where it runs elsewhere. */
  readonly socketDirectory?: string;
  /** Ends the server and removes its directory. */
  remove(): Promise<void>;
}

/** A folder with a server's programs. */
export interface ServerPrograms {
  /** Put before every program. */
  readonly command: readonly string[];
  readonly folder: string;
  readonly version: string;
}

const folders = [
  "/usr/lib/postgresql/*/bin",
  "/usr/pgsql-*/bin",
  "/opt/*/bin",
  "/usr/local/pgsql/bin",
  "/usr/local/bin",
  "/usr/bin",
];

/** Parts of what a server needs; the socket is in the directory, so that only who may enter it may connect. */
const careless = {
  listen_addresses: "",
  port: "5432",
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_wal_size: "2GB",
  // Vital: a drill must not add to the archive of the live server.
  archive_mode: "off",
  autovacuum: "off",
  dynamic_shared_memory_type: "mmap",
  shared_buffers: "64MB",
  maintenance_work_mem: "128MB",
  logging_collector: "off",
};

/**
 * The programs of a server that can hold what this release captured: of the same major version, or else of the next newer one. Where the live server
 * runs, so that it has the same extensions and locales; on this machine where there are none at that place.
 *
 * @param command put before every program of that place.
 * @returns undefined where this machine has none either.
 */
export async function findServer(
  capturedFrom: string,
  command: readonly string[],
  world: World,
): Promise<ServerPrograms | undefined> {
  const there = await findServerAt(command, capturedFrom, world);
  return there ?? (command.length > 0 ? findServerAt([], capturedFrom, world) : undefined);
}

async function findServerAt(
  command: readonly string[],
  capturedFrom: string,
  { processes, signal }: World,
): Promise<ServerPrograms | undefined> {
  const wanted = majorOf(capturedFrom);
  const script = `for folder in ${folders.join(" ")}; do [ ! -x "$folder/postgres" ] || [ ! -x "$folder/initdb" ] || { echo "$folder"; "$folder/postgres" --version; }; done`;
  const words = [...command, "sh", "-c", script] as unknown as [string, ...string[]];
  const said = await outputOf(processes, words, { signal }).catch(() => Buffer.alloc(0));
  signal.throwIfAborted();
  const lines = said.toString("utf8").trim().split("\n");
  const found: ServerPrograms[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2)
    found.push({ command, folder: lines[at]!, version: versionOf(lines[at + 1]!) });
  return found
    .filter(({ version }) => majorOf(version) >= wanted)
    .sort((a, b) => majorOf(a.version) - majorOf(b.version))[0];
}

/**
 * @param wanted absent or empty; where the server runs elsewhere it stays as it is.
 * @param bootstrap whom the cluster is made with: objects that come back belong to the role of that name.
 * @throws MailarkError `ARGUMENT_INVALID` for a path that is too long; `PROGRAM_FAILED` with the end of its log when it does not come up.
 */
export async function startScratchServer(
  wanted: string,
  programs: ServerPrograms,
  bootstrap: string,
  world: World,
): Promise<ScratchServer> {
  const { command } = programs;
  const path = scratchPathAt(command, wanted);
  if (Buffer.byteLength(`${path}/.s.PGSQL.5432`) > 100) {
    throw new MailarkError("ARGUMENT_INVALID", "the scratch path is too long for a socket", {
      detail: path,
      hint: "choose a path of less than 85 characters",
    });
  }
  const shelter = await openShelter({ path, command, accounts: ["postgres", "nobody"] }, world);
  try {
    const connection = await bringUp(shelter, programs, bootstrap, world);
    const remove = async () => {
      connection.close();
      await shelter.remove();
    };
    return {
      connection,
      version: programs.version,
      ...(command.length === 0 && { socketDirectory: path }),
      remove,
    };
  } catch (error) {
    await shelter.remove();
    throw error;
  }
}

async function bringUp(
  shelter: Shelter,
  { command, folder }: ServerPrograms,
  bootstrap: string,
  world: World,
): Promise<Connection> {
  const data = `${shelter.path}/data`;
  const make = [
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--data-checksums",
    `--username=${bootstrap}`,
  ];
  await shelter.run([`${folder}/initdb`, `--pgdata=${data}`, ...make]);
  const connection = await openConnection(
    {
      socketDirectory: shelter.path,
      port: 5432,
      user: bootstrap,
      maintenanceDatabase: "postgres",
      command: [...command],
      stallSeconds: 3600,
      programs: folder,
    },
    world,
  );
  const settings = Object.entries({ ...careless, unix_socket_directories: shelter.path });
  await shelter.serve({
    name: "postgres",
    words: [`${folder}/postgres`, "-D", data, ...settings.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    // The immediate shutdown: it writes nothing, but gives the kernel's shared memory back.
    endSignal: "QUIT",
    ready: async () =>
      (await withSession(connection, world, (session) => session.query("SELECT 1 AS one"))).length === 1,
  });
  return connection;
}
