import type { Clock } from "../../../core/ports/clock.ts";

/** A line that bytes pass one after the other. */
export interface Link {
  /** Resolves when that many bytes have passed, behind those that came before. */
  pass(bytes: number, signal: AbortSignal): Promise<void>;
}

/** Milliseconds of an idle line that are made up for: timers are late, and what they lose must not add up. */
const burst = 50;

/** @param bytesPerSecond - asked for whenever bytes come; `undefined`: as fast as they may. */
export function link(clock: Clock, bytesPerSecond: () => number | undefined): Link {
  let free = 0;
  return {
    async pass(bytes, signal) {
      const rate = bytesPerSecond();
      if (rate === undefined) return;
      const now = clock.now();
      free = Math.max(free, now - burst) + (1000 * bytes) / rate;
      if (free > now) await clock.sleep(free - now, signal);
    },
  };
}
