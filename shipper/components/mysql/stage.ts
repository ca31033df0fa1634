/** Brings a snapshot back beside everything live: as files, in a private server, or in the service while that is empty. */
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Place, Selection, Staged, World } from "../component.ts";
import { selectDatabases } from "../select-databases.ts";
import { refuseDatabases, refuseUnlessEmpty } from "../target-names.ts";
import { listAccounts } from "./accounts.ts";
import type { MysqlConfig } from "./config.ts";
import { type Connection, openConnection } from "./connection.ts";
import { type DatabaseFacts, type Facts, readFacts } from "./facts.ts";
import { loadSnapshot, unload } from "./load.ts";
import { startScratchServer } from "./scratch-server.ts";
import { askServer, listDatabases } from "./server.ts";
import { serverErrorOf, withSession } from "./session.ts";
import { type SqlFile, writeSqlFiles } from "./stage-directory.ts";

export interface StagedMysql extends Staged {
  readonly facts: Facts;
  /** Those that were asked for. */
  readonly databases: readonly DatabaseFacts[];
  /** The release that they were captured from. */
  readonly capturedFrom: string;
  /** The server that holds them; undefined for files. */
  readonly connection?: Connection;
  /** Where they are files. */
  readonly written?: readonly SqlFile[];
}

/**
 * Stages a snapshot. Accounts come along with whatever is selected: views and applications do not work without them.
 *
 * @throws MailarkError `TARGET_NOT_EMPTY`, `ARGUMENT_INVALID` or `PROGRAM_MISSING` before anything is touched; otherwise what went wrong,
 *   with nothing of it left in a scratch place, and in a service only accounts that were there before.
 */
export async function stageMysql(
  config: MysqlConfig,
  snapshot: SnapshotReader,
  place: Place,
  selection: Selection,
  world: World,
): Promise<StagedMysql> {
  if (place.kind !== "service") refuseUnlessEmpty(world.files, place.path);
  const facts = await readFacts(snapshot);
  const databases = selectDatabases(facts.databases, selection);
  const { server } = snapshot.manifest;
  const staged = { place, facts, databases, capturedFrom: server?.version ?? "" };
  if (place.kind === "directory") {
    world.files.mkdirSync(place.path, { recursive: true, mode: 0o700 });
    const written = await writeSqlFiles(snapshot, facts, databases, place.path, world);
    return { ...staged, written, remove: async () => {} };
  }
  if (place.kind === "scratch") {
    world.progress("starting a scratch database server");
    const flavour = server?.flavour === "mysql" ? "mysql" : "mariadb";
    const { command, stallSeconds } = config;
    const scratch = await startScratchServer({ path: place.path, command, flavour, stallSeconds }, world);
    try {
      await loadSnapshot(snapshot, databases, scratch.connection, world);
    } catch (error) {
      await scratch.remove();
      throw error;
    }
    const { connection, socket, remove } = scratch;
    return { ...staged, connection, remove, ...(socket !== undefined && { offers: { mysql: { socket } } }) };
  }
  const connection = await openConnection(config, world);
  try {
    await fillService(snapshot, facts, databases, connection, world);
  } catch (error) {
    connection.close();
    throw error;
  }
  return { ...staged, connection, remove: async () => connection.close() };
}

/** The binary log stays on: replicas follow, and a later replay finds the load in its place. */
async function fillService(
  snapshot: SnapshotReader,
  facts: Facts,
  databases: readonly DatabaseFacts[],
  connection: Connection,
  world: World,
): Promise<void> {
  const before = await withSession(connection, world, async (session) => {
    refuseDatabases(await listDatabases(session));
    const server = await askServer(session);
    const [user] = await session.query("SELECT CURRENT_USER()");
    return { without: user?.[0] ?? "", accounts: await listAccounts(session, server) };
  });
  const made: string[] = [];
  const restorePackets = await allowLargePackets(connection, world);
  try {
    await loadSnapshot(snapshot, databases, connection, world, {
      without: before.without,
      made: (name) => made.push(name),
    });
  } catch (error) {
    world.progress("taking back what was loaded");
    const known = new Set(before.accounts.map(({ user, host }) => JSON.stringify([user, host])));
    const added = facts.accounts.filter(
      ({ user, host }) => user !== "PUBLIC" && !known.has(JSON.stringify([user, host])),
    );
    // An interrupted restore is taken back too.
    await unload(made, added, connection, { ...world, signal: AbortSignal.timeout(300_000) });
    throw error;
  } finally {
    await restorePackets();
  }
}

/** A row of the dump can be larger than the server takes by default: with `--hex-blob` it is twice as long as it was. */
async function allowLargePackets(connection: Connection, world: World): Promise<() => Promise<void>> {
  const set = async (value: string, signal: AbortSignal) => {
    try {
      return await withSession(connection, { ...world, signal }, async (session) => {
        const [row] = await session.query("SELECT @@GLOBAL.max_allowed_packet");
        await session.query(`SET GLOBAL max_allowed_packet=${value}`);
        return row?.[0];
      });
    } catch (error) {
      // Without the privilege it stays as it is, and a row that is too large says so.
      if (serverErrorOf(error) === undefined) throw error;
      return undefined;
    }
  };
  const before = await set("1073741824", world.signal);
  return async () => {
    if (before !== undefined) await set(before, AbortSignal.timeout(60_000)).catch(() => {});
  };
}
