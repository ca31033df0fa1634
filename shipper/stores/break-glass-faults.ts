import { type BreakGlass, breakGlassVersion, damagedBreakGlass } from "../../core/break-glass.ts";
import { asMailarkError, exitCodes, type MailarkError } from "../../core/errors.ts";
import { breakGlassKey } from "../../core/keys.ts";
import { readWhole } from "../../core/stores/read-whole.ts";
import { isThere, type RunStore } from "./run-store.ts";

/** What is wrong in one store with what restores without mailark. */
export interface BreakGlassFault {
  readonly store: string;
  readonly error: MailarkError;
}

/**
 * Compares the restore script and the format description in each store with this program's: a run that finds their names taken believes
 * that they are what it would have sent. Where this host may not read, nothing is known and nothing is said.
 */
export async function breakGlassFaults(
  stores: readonly RunStore[],
  hostId: string,
  breakGlass: BreakGlass,
  signal: AbortSignal,
): Promise<BreakGlassFault[]> {
  const version = breakGlassVersion(breakGlass);
  const faults: BreakGlassFault[] = [];
  for (const { name, store } of stores) {
    for (const file of ["restore.sh", "format.md"] as const) {
      const key = breakGlassKey(hostId, version, file);
      try {
        if ((await isThere(store, key, signal)) === "unknown") continue;
        const found = await readWhole(store, key, 2 * breakGlass[file].length, signal);
        if (!found.equals(breakGlass[file])) throw damagedBreakGlass("OBJECT_CORRUPT", key);
      } catch (thrown) {
        signal.throwIfAborted();
        const error = asMailarkError(thrown);
        if (error.code !== "STORE_FORBIDDEN") faults.push({ store: name, error });
        // The other one could not be read either.
        if (error.exitCode !== exitCodes.verification) break;
      }
    }
  }
  return faults;
}
