/** A run with a clock that was ahead leaves snapshots that stay the latest until their time has come. */
import { asMailarkError } from "../../core/errors.ts";
import { addressOfManifest, type ComponentName, componentPrefix } from "../../core/keys.ts";
import { newSnapshotId } from "../../core/snapshot-id.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import type { CommandContext } from "./command.ts";
import { idTimeText } from "./contents.ts";

/** Clocks differ a little. */
const tolerance = 3600 * 1000;

/** Warns of each of the components whose newest snapshot is of a time to come. Never fails: what it reads, others need and judge. */
export async function warnOfFuture(
  { composition, reporter, signal }: CommandContext,
  reader: Pick<ObjectReader, "list">,
  hostId: string,
  components: readonly ComponentName[],
): Promise<void> {
  for (const component of components) {
    const newest = await newestAfter(composition.clock.now() + tolerance, reader, hostId, component, signal);
    if (newest === undefined) continue;
    reporter.warn(
      `the newest snapshot of ${component} is of a time to come: ${idTimeText(newest)}`,
      `look at the clock of this machine; until then ${newest} is taken for the latest, and --at names another`,
    );
  }
}

async function newestAfter(
  time: number,
  reader: Pick<ObjectReader, "list">,
  hostId: string,
  component: ComponentName,
  signal: AbortSignal,
): Promise<string | undefined> {
  const prefix = componentPrefix(hostId, component);
  let newest: string | undefined;
  try {
    for await (const row of reader.list(prefix, { startAfter: `${prefix}${newSnapshotId(time)}`, signal })) {
      const address = "key" in row ? addressOfManifest(row.key) : undefined;
      if (address !== undefined) newest = address.snapshotId;
    }
  } catch (error) {
    if (signal.aborted) throw asMailarkError(error);
  }
  return newest;
}
