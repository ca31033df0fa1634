/** Brings a snapshot back beside everything live: as files, in a private server, or in the service while that is empty. */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Place, Selection, Staged, World } from "../component.ts";
import { removeTree } from "../remove-tree.ts";
import { selectDatabases } from "../select-databases.ts";
import { refuseDatabases, refuseUnlessEmpty } from "../target-names.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, openConnection } from "./connection.ts";
import { type DatabaseFacts, type Facts, readFacts } from "./facts.ts";
import { listRoles } from "./inventory.ts";
import { loadSnapshot } from "./load.ts";
import { findServer, startScratchServer } from "./scratch-server.ts";
import { filledDatabases } from "./server.ts";
import { withSession } from "./session.ts";
import { type PostgresFile, writeFiles } from "./stage-directory.ts";
import { type Made, unload } from "./unload.ts";

export interface StagedPostgres extends Staged {
  readonly facts: Facts;
  /** Those that were asked for. */
  readonly databases: readonly DatabaseFacts[];
  /** The release that they were captured from. */
  readonly capturedFrom: string;
  /** The server that holds them; undefined for files. */
  readonly connection?: Connection;
  /** Roles that were there before, and stayed as they were. */
  readonly keptRoles: readonly string[];
  /** Where they are files. */
  readonly written?: readonly PostgresFile[];
}

/**
 * Stages a snapshot. Roles come along with whatever is selected: owners and rights refer to them. In a scratch place of a machine that has no
 * server of that release or a newer one they are files, which is less, and said by the check.
 *
 * @throws MailarkError `TARGET_NOT_EMPTY` or `ARGUMENT_INVALID` before anything is touched; otherwise what went wrong, with nothing of it left in
 *   a scratch place, and in a service only what was there before.
 */
export async function stagePostgres(
  config: PostgresConfig,
  snapshot: SnapshotReader,
  place: Place,
  selection: Selection,
  world: World,
): Promise<StagedPostgres> {
  if (place.kind !== "service") refuseUnlessEmpty(world.files, place.path);
  const facts = await readFacts(snapshot);
  const databases = selectDatabases(facts.databases, selection);
  const capturedFrom = snapshot.manifest.server?.version ?? "";
  const staged = { place, facts, databases, capturedFrom, keptRoles: [] };
  if (place.kind === "service") {
    const connection = await openConnection(config, world);
    try {
      const keptRoles = await fillService(snapshot, facts, databases, connection, world);
      return { ...staged, connection, keptRoles, remove: async () => connection.close() };
    } catch (error) {
      connection.close();
      throw error;
    }
  }
  if (place.kind === "scratch") {
    const programs = await findServer(capturedFrom, config.command, world);
    if (programs !== undefined) {
      world.progress("starting a scratch database server");
      const scratch = await startScratchServer(place.path, programs, facts.bootstrap, world);
      try {
        await loadSnapshot(snapshot, facts, databases, scratch.connection, world, {
          keep: [],
          present: [facts.bootstrap],
          tablespacesInside: true,
        });
      } catch (error) {
        await scratch.remove();
        throw error;
      }
      return {
        ...staged,
        connection: scratch.connection,
        ...(scratch.socketDirectory !== undefined && {
          offers: { postgres: { socketDirectory: scratch.socketDirectory, port: 5432 } },
        }),
        remove: scratch.remove,
      };
    }
  }
  const remove = async () => {
    if (place.kind === "scratch") removeTree(world.files, Buffer.from(place.path).toString("latin1"));
  };
  try {
    world.files.mkdirSync(place.path, { recursive: true, mode: 0o700 });
    const written = await writeFiles(snapshot, facts, databases, place.path, world);
    return { ...staged, written, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Returns the roles that were there before. */
async function fillService(
  snapshot: SnapshotReader,
  facts: Facts,
  databases: readonly DatabaseFacts[],
  connection: Connection,
  world: World,
): Promise<string[]> {
  const wanted = databases.map(({ name }) => name);
  refuseDatabases(await filledDatabases(connection, world, wanted));
  const roles = (await withSession(connection, world, listRoles)).map(({ name }) => name);
  const made: Made[] = [];
  try {
    await loadSnapshot(snapshot, facts, databases, connection, world, {
      keep: roles,
      present: roles,
      tablespacesInside: false,
      made: (thing) => made.push(thing),
    });
    return roles;
  } catch (error) {
    world.progress("taking back what was loaded");
    // An interrupted restore is taken back too.
    const stayed = await unload(made, connection, { ...world, signal: AbortSignal.timeout(300_000) });
    throw stayed.length === 0 ? error : leaving(stayed, error);
  }
}

/** The failure, and what is left of what it had made. */
function leaving(stayed: readonly string[], failure: unknown): MailarkError {
  const { code, message, detail, hint } = asMailarkError(failure);
  return new MailarkError(code, `${message}; and ${stayed.length} of what was made could not be taken back`, {
    detail: [`still there: ${stayed.join(", ")}`, detail].filter(Boolean).join("\n"),
    hint: `drop what is still there${hint === undefined ? "" : `; ${hint}`}`,
    cause: failure,
  });
}
