import { systemClock } from "../../core/ports/clock.ts";
import type { CloudClock } from "./service.ts";

/** Time that goes by when somebody moves it. */
export interface VirtualClock extends CloudClock {
  /** Goes to what is due next and does it, if that is not later than `time`; otherwise to `time`, and tells `false`. */
  step(time: number): boolean;
}

interface Due {
  readonly time: number;
  readonly work: () => void;
}

/** @param start - milliseconds since 1970. */
export function virtualClock(start: number): VirtualClock {
  let now = start;
  const due = new Set<Due>();
  const at = (time: number, work: () => void) => {
    const entry = { time, work };
    due.add(entry);
    return () => void due.delete(entry);
  };
  return {
    now: () => now,
    at,
    sleep: (milliseconds, signal) => sleepUntil(now + milliseconds, at, signal),
    step(time) {
      const next = [...due].reduce<Due | undefined>(
        (first, each) => (first === undefined || each.time < first.time ? each : first),
        undefined,
      );
      const reached = next !== undefined && next.time <= time;
      now = Math.max(now, reached ? next.time : time);
      if (!reached) return false;
      due.delete(next);
      next.work();
      return true;
    },
  };
}

/** The machine's time. Whatever was asked for and has not come is forgotten when it is closed. */
export interface MachineClock extends CloudClock {
  close(): void;
}

/** @param failed - is told what a call back throws. */
export function machineClock(failed: (error: unknown) => void): MachineClock {
  const closing = new AbortController();
  const { now, sleep } = systemClock;
  return {
    now,
    sleep: (milliseconds, signal) => sleep(milliseconds, either(closing.signal, signal)),
    at(time, work) {
      const forgotten = new AbortController();
      const waiting = either(closing.signal, forgotten.signal);
      const wait = async () => {
        for (let left = time - now(); left > 0; left = time - now()) await sleep(Math.min(left, longestTimer), waiting);
        if (!waiting.aborted) work();
      };
      wait().catch((error) => {
        if (!waiting.aborted) failed(error);
      });
      return () => forgotten.abort();
    },
    close: () => closing.abort(),
  };
}

/** A timer of Node has no more milliseconds. */
const longestTimer = 2 ** 31 - 1;

function sleepUntil(time: number, at: CloudClock["at"], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const forget = at(time, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = () => {
      forget();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function either(one: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? one : AbortSignal.any([one, other]);
}
