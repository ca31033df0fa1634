import { asMailarkError, MailarkError } from "../../core/errors.ts";
import { type ComponentName, enrolmentKey, isBreakGlassKey } from "../../core/keys.ts";
import type { Signer } from "../../core/signed-document.ts";
import { type FanOut, fanOut } from "../../core/stores/fan-out.ts";
import { UsageMeter } from "../../core/stores/usage.ts";
import { sizesPath, stateDirectory } from "../composition.ts";
import type { Config } from "../config.ts";
import { enrol, introductionOf } from "../enrol.ts";
import { type Acquaintance, withSealingKeysAside } from "../sealing-keys.ts";
import { storeIdentity } from "../store-url.ts";
import { lastSizes, refuseFullStore } from "../stores/last-sizes.ts";
import { askedOnce, isThere, type RunStore } from "../stores/run-store.ts";
import type { Reporter } from "../terminal/reporter.ts";
import type { CommandContext } from "./command.ts";
import { openStore } from "./open-store.ts";
import { reachable } from "./source.ts";

/** All stores that a run writes to. */
export interface RunStores {
  readonly stores: readonly RunStore[];
  /** Writes to them; those that this host can not write to are out already. */
  readonly all: FanOut;
}

/**
 * Opens the stores of the configuration.
 *
 * @throws MailarkError what is wrong with the first, where there is none that can be written to: `STORE_UNREACHABLE` when its place is not
 *   there, or does not know this host; `FILE_FAILED` when it has no room for what these components stored the last time.
 */
export async function openRunStores(
  context: CommandContext,
  config: Config,
  signer: Signer,
  components: readonly ComponentName[],
): Promise<RunStores> {
  const { composition, reporter, signal } = context;
  const stores = config.stores.map(({ url }) => {
    const meter = new UsageMeter();
    const store = askedOnce(openStore(context, url, config, meter));
    return { url, name: storeIdentity(url), store, meter, stateDirectory: stateDirectory(config, url) };
  });
  const lost = (name: string, { message, detail }: MailarkError) => {
    if (stores.length > 1) reporter.warn(`${name} is left out of this run: ${message}`, detail);
  };
  const all = fanOut(stores, { same: isBreakGlassKey, lost });
  const { files, clock } = composition;
  const introduction = introductionOf(config, clock);
  const sizes = lastSizes(files, sizesPath(config));
  for (const { url, name, store, stateDirectory } of stores) {
    try {
      const known = await isThere(reachable(store, name), enrolmentKey(config.host.id, signer.keyId), signal);
      if (known === "absent") throw strange(name);
      refuseFullStore(files, url, components, sizes);
      if (known !== "unknown") continue;
      // Whoever can not ask finds out by trying: an introduction that exists is never replaced.
      const introduce = () => enrol(store, signer, introduction, signal);
      const acquaintance = await withSealingKeysAside(files, stateDirectory, introduce);
      if (acquaintance !== "known") warnOfStranger(reporter, name, acquaintance);
    } catch (thrown) {
      signal.throwIfAborted();
      all.exclude(name, asMailarkError(thrown));
    }
  }
  if (all.within().length > 0) return { stores, all };
  throw all.out.values().next().value;
}

/** A bucket that was emptied looks like a new one. */
function warnOfStranger(reporter: Reporter, name: string, acquaintance: Exclude<Acquaintance, "known">): void {
  const [message, detail] =
    acquaintance === "new"
      ? [`${name} did not know this host`, "it does now; if it was to hold earlier backups, they are gone"]
      : [
          `whether ${name} knew this host is not known`,
          "the answer got lost: ask with credentials that may read whether earlier backups are there",
        ];
  reporter.warn(message, detail);
}

/** An empty directory under a mount point looks like a store that lost everything; writing there would fill the wrong disk. */
const strange = (name: string) =>
  new MailarkError("STORE_UNREACHABLE", "the store does not know this host", {
    detail: name,
    hint: "mount the disk that the store is on; for a store that is new, run `mailark enrol` first",
  });
