/** Brings a snapshot back beside everything live: as files, in a private server, or in the service while that is empty. */
import { MailarkError } from "../../../core/errors.ts";
import { isAbsent } from "../../../core/ports/files.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Place, Staged, World } from "../component.ts";
import type { RedisConfig } from "./config.ts";
import { type Connection, connectionOf } from "./connection.ts";
import { type Facts, readFacts } from "./facts.ts";
import { loadService, unloadable } from "./load-service.ts";
import { startScratch } from "./scratch.ts";
import type { Keyspace } from "./server.ts";
import { type StagedFile, writeFiles } from "./stage-directory.ts";

export interface StagedRedis extends Staged {
  readonly facts: Facts;
  /** The server that holds it; undefined for files, and where there is no program of a server. */
  readonly connection?: Connection;
  /** As loaded into the scratch server, before anything could expire. */
  readonly loaded?: readonly Keyspace[];
  /** What the checker of RDB files said against the file; undefined where there was none. */
  readonly verdict?: { readonly problem: string | undefined };
  /** Append-only files that came along, and what their checker said. */
  readonly appendOnly?: { readonly files: number; readonly checked: boolean; readonly problem?: string };
  /** What was counted anew in the file as it was staged. */
  readonly recounted?: Pick<Facts, "databases" | "libraries">;
  /** Keys on hold in a service, by database. */
  readonly held?: ReadonlyMap<number, number>;
  readonly written?: readonly StagedFile[];
}

/**
 * @throws MailarkError `TARGET_NOT_EMPTY` before anything is touched; otherwise what went wrong, with nothing of it left in a scratch
 *   place, and a service empty as it was.
 */
export async function stageRedis(
  config: RedisConfig,
  snapshot: SnapshotReader,
  place: Place,
  world: World,
): Promise<StagedRedis> {
  if (place.kind === "directory") refuseUnlessEmpty(world, place.path);
  const facts = await readFacts(snapshot);
  const none = async () => {};
  if (place.kind === "directory") {
    world.files.mkdirSync(place.path, { recursive: true, mode: 0o700 });
    const written = await writeFiles(snapshot, facts, place.path, world);
    return { place, facts, written, remove: none };
  }
  if (place.kind === "scratch")
    return { place, facts, ...(await startScratch(config, snapshot, facts, place.path, world)) };
  if (!facts.counted) throw unloadable("it has values of a later release");
  const connection = await connectionOf(config, world);
  const { held } = await loadService(snapshot, connection, { hold: config.hold, own: config.user }, world);
  return { place, facts, connection, held, remove: none };
}

function refuseUnlessEmpty({ files }: World, path: string): void {
  let names: string[];
  try {
    names = files.readdirSync(path);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  if (names.length === 0) return;
  throw new MailarkError("TARGET_NOT_EMPTY", "the target directory is not empty", {
    detail: path,
    hint: "name a directory that does not exist yet, or an empty one",
  });
}
