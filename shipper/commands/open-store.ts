import type { UsageMeter } from "../../core/stores/usage.ts";
import type { OpenStoreOptions, Store } from "../composition.ts";
import type { Config } from "../config.ts";
import type { CommandContext } from "./command.ts";

/** How long nothing more is said of failures that pass, in milliseconds. */
const quiet = 60_000;

/** A store as the configuration wants it used. What fails and is tried again is told, but not every time. */
export function openStore(
  { composition, reporter }: Pick<CommandContext, "composition" | "reporter">,
  url: string,
  config: Pick<Config, "bandwidthLimit"> | undefined,
  meter?: UsageMeter,
): Store {
  let toldAt = Number.NEGATIVE_INFINITY;
  const failed: OpenStoreOptions["failed"] = (error) => {
    const now = composition.clock.now();
    if (Math.abs(now - toldAt) < quiet) return;
    toldAt = now;
    reporter.warn(`${error.message}: asking again`, error.hint);
  };
  return composition.openStore(url, { failed, meter, bandwidthLimit: config?.bandwidthLimit });
}
