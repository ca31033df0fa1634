import { asMailarkError, type MailarkError } from "../../core/errors.ts";
import type { FanOut } from "../../core/stores/fan-out.ts";
import type { KeyPlace } from "../sealing-keys.ts";
import { objectCopier } from "./copy-object.ts";
import { isThere, type RunStore } from "./run-store.ts";

/**
 * The stores of a run that are not out, as the keys of a host are kept in them. One that fails when it is asked is excluded, unless it is
 * the last: then its error is thrown.
 */
export function keyPlaces(stores: readonly RunStore[], all: FanOut, signal: AbortSignal): readonly KeyPlace[] {
  const within = stores.filter(isIn);
  return within.map((place) => ({
    stateDirectory: place.stateDirectory,

    async has(key) {
      try {
        return (await isThere(place.store, key, signal)) !== "absent";
      } catch (thrown) {
        signal.throwIfAborted();
        if (all.within().length === 1) throw thrown;
        all.exclude(place.name, asMailarkError(thrown));
        return true;
      }
    },

    async bring(key, sha256) {
      const failed = (error: MailarkError) => all.exclude(place.name, error);
      for (const source of within) {
        if (source === place || !isIn(source)) continue;
        try {
          await objectCopier(source.store, place.store, { signal, failed }).bring(key, { sha256 });
          return true;
        } catch {
          // Then another store may have it; without any there is a new key.
          signal.throwIfAborted();
          if (!isIn(place)) return true;
        }
      }
      return false;
    },
  }));

  function isIn({ name }: RunStore): boolean {
    return all.within().includes(name);
  }
}
