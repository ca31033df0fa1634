import { asMailarkError, MailarkError } from "../../core/errors.ts";
import { enrolmentKey, isBreakGlassKey } from "../../core/keys.ts";
import { type FanOut, fanOut } from "../../core/stores/fan-out.ts";
import { stateDirectory } from "../composition.ts";
import type { Config } from "../config.ts";
import { storeIdentity } from "../store-url.ts";
import { isThere, type RunStore } from "../stores/run-store.ts";
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
 *   there, or does not know this host.
 */
export async function openRunStores(context: CommandContext, config: Config, signingKeyId: string): Promise<RunStores> {
  const { reporter, signal } = context;
  const stores = config.stores.map(({ url }) => ({
    name: storeIdentity(url),
    store: openStore(context, url, config),
    stateDirectory: stateDirectory(config, url),
  }));
  const lost = (name: string, { message, detail }: MailarkError) => {
    if (stores.length > 1) reporter.warn(`${name} is left out of this run: ${message}`, detail);
  };
  const all = fanOut(stores, { same: isBreakGlassKey, lost });
  const introduction = enrolmentKey(config.host.id, signingKeyId);
  for (const { name, store } of stores) {
    try {
      if ((await isThere(reachable(store, name), introduction, signal)) === false) throw strange(name);
    } catch (thrown) {
      signal.throwIfAborted();
      all.exclude(name, asMailarkError(thrown));
    }
  }
  if (all.within().length > 0) return { stores, all };
  throw all.out.values().next().value;
}

/** An empty directory under a mount point looks like a store that lost everything; writing there would fill the wrong disk. */
const strange = (name: string) =>
  new MailarkError("STORE_UNREACHABLE", "the store does not know this host", {
    detail: name,
    hint: "mount the disk that the store is on; for a store that is new, run `mailark enrol` first",
  });
