/** Notices a wait that takes too long. One timer serves any number of waits: a dump is read in tens of thousands of pieces. */
import type { Clock } from "../core/ports/clock.ts";

export interface StallWatch {
  /** Resolves once a wait has taken too long, a tenth more at the most; otherwise never. */
  readonly stalled: Promise<void>;
  /** A wait begins. */
  wait(): void;
  /** It is over. */
  goOn(): void;
  /** Nothing is watched any more. */
  end(): void;
}

const ticksOfStall = 10;

/** @param seconds that are too long. The time between two waits, in which others are busy, does not count. */
export function watchForStalls(clock: Pick<Clock, "sleep">, seconds: number): StallWatch {
  const ended = new AbortController();
  let waits = 0;
  let waiting = false;
  const watch = async () => {
    let seen = waits;
    for (let idle = 0; idle < ticksOfStall; ) {
      await clock.sleep((seconds * 1000) / ticksOfStall, ended.signal);
      idle = waiting && waits === seen ? idle + 1 : 0;
      seen = waits;
    }
  };
  return {
    stalled: watch().catch(() => new Promise<never>(() => {})),
    wait() {
      waits += 1;
      waiting = true;
    },
    goOn() {
      waiting = false;
    },
    end: () => ended.abort(),
  };
}
