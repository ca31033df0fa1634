/** Brings a queue back beside everything live: as files, in a private instance, or in the service while that is stopped and empty. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { outputOf } from "../../processes.ts";
import type { Place, Staged, World } from "../component.ts";
import { placeWith, scratchPathAt } from "../elsewhere.ts";
import { openShelter } from "../shelter.ts";
import { refuseUnlessEmpty } from "../target-names.ts";
import type { QueueConfig } from "./config.ts";
import { vetted } from "./gate.ts";
import { type Index, readIndex } from "./index-rows.ts";
import { makeInstanceAt, settle, unpack } from "./instance.ts";
import { commandOf } from "./programs.ts";
import { emptyService, fillService } from "./service.ts";
import { askSpool } from "./spool.ts";

export interface StagedQueue extends Staged {
  readonly index: Index;
  /** Where it is, in the place that the configuration's `command` reaches, or here. */
  readonly directory: string;
  /** Put before programs that look at it. */
  readonly command: readonly string[];
  /** Words that name the Postfix instance over it; `undefined`: there is none, and why. */
  readonly instance: readonly string[] | undefined;
  readonly reason?: string;
}

/**
 * @throws MailarkError `TARGET_NOT_EMPTY` or `RESTORE_FAILED` before anything is touched; otherwise what went wrong, with nothing of it left in a
 *   scratch place, and in a service nothing that would be delivered.
 */
export async function stageQueue(
  config: QueueConfig,
  snapshot: SnapshotReader,
  place: Place,
  world: World,
): Promise<StagedQueue> {
  if (place.kind === "service") {
    const target = await emptyService(config, world);
    const index = await readIndex(snapshot);
    const directory = await fillService(target, config, snapshot, index, world);
    const where = config.configDirectory === undefined ? [] : ["-c", config.configDirectory];
    return { place, index, directory, command: config.command, instance: where, remove: async () => {} };
  }
  refuseUnlessEmpty(world.files, place.path);
  const index = await readIndex(snapshot);
  if (place.kind === "scratch") return stageScratch(config, snapshot, index, place, world);
  world.files.mkdirSync(place.path, { recursive: true, mode: 0o700 });
  await unpack(vetted(snapshot, index, { hold: false }), place.path, { command: [] }, world, { owners: false });
  const reason = "files were written, no Postfix has read them";
  return { place, index, directory: place.path, command: [], instance: undefined, reason, remove: async () => {} };
}

async function stageScratch(
  configured: QueueConfig,
  snapshot: SnapshotReader,
  index: Index,
  place: Extract<Place, { kind: "scratch" }>,
  world: World,
): Promise<StagedQueue> {
  const command = [...(await placeWith(["postconf"], configured.command, world))];
  const config = { ...configured, command };
  const path = scratchPathAt(command, place.path);
  const shelter = await openShelter({ path, command, accounts: [] }, world);
  const remove = () => shelter.remove();
  try {
    const reason = await whyNoInstance(config, world);
    if (reason !== undefined) {
      await unpack(vetted(snapshot, index, { hold: false }), path, config, world, { owners: false });
      return { place, index, directory: path, command, instance: undefined, reason, remove };
    }
    world.progress("reading the queue with a Postfix instance of its own");
    await outputOf(world.processes, commandOf(config, ["chmod", "711", path]), { signal: world.signal });
    const spool = await askSpool(config, world, ["-d"]);
    const instance = await makeInstanceAt(path, spool, config, world);
    const archive = vetted(snapshot, index, { owners: instance.owners, hold: true });
    await unpack(archive, instance.queueDirectory, config, world, { owners: true });
    await settle(instance, config, world);
    const where = ["-c", instance.configDirectory];
    return { place, index, directory: instance.queueDirectory, command, instance: where, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** `undefined`: a Postfix instance can be made there. */
async function whyNoInstance(config: QueueConfig, { processes, signal }: World): Promise<string | undefined> {
  try {
    const user = (await outputOf(processes, commandOf(config, ["id", "-u"]), { signal })).toString().trim();
    if (user !== "0") return "Postfix's programs look at a queue for root only";
    await outputOf(processes, commandOf(config, ["postconf", "-d", "-h", "mail_version"]), { signal });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MailarkError) return "there is no Postfix to read the queue with";
    throw error;
  }
}
