/** Brings a snapshot back beside everything live: as files, in a private server, or in the service while that is empty. */
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Place, World } from "../component.ts";
import { refuseUnlessEmpty } from "../target-names.ts";
import type { RedisConfig } from "./config.ts";
import { connectionOf } from "./connection.ts";
import { readFacts } from "./facts.ts";
import { loadService, unloadable } from "./load-service.ts";
import { startScratch } from "./scratch.ts";
import { writeFiles } from "./stage-directory.ts";
import type { StagedRedis } from "./staged.ts";

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
  if (place.kind === "directory") refuseUnlessEmpty(world.files, place.path);
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
