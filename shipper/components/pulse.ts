/** Tells a server that is busy from one that is gone: a digest may take hours, and a server that hangs takes for ever. */
import { MailarkError } from "../../core/errors.ts";
import type { World } from "./component.ts";

/** Seconds that a server may take for an answer to a question that costs nothing. */
const longestAnswer = 60;

/** A server that can be asked whether it is there. */
export interface Pulse {
  /** Seconds from one question to the next. */
  readonly stallSeconds: number;
  /** Asks something that costs nothing; a refusal is an answer too. The signal ends the wait for it. */
  answers(signal: AbortSignal): Promise<boolean>;
}

/**
 * Waits for work that a server does, and asks it now and then whether it is there.
 *
 * @param giveUp ends the work.
 * @throws MailarkError `PROGRAM_STALLED` when the server does not answer any more; what the work throws.
 */
export async function whileAnswering<T>(
  { stallSeconds, answers }: Pulse,
  { clock, signal }: Pick<World, "clock" | "signal">,
  work: Promise<T>,
  giveUp: () => void,
): Promise<T> {
  const done = new AbortController();
  const patience = Math.min(longestAnswer, Math.max(stallSeconds, 1)) * 1000;
  const watch = async (): Promise<never> => {
    do await clock.sleep(stallSeconds * 1000, done.signal);
    while (await answers(AbortSignal.any([signal, done.signal, AbortSignal.timeout(patience)])));
    done.signal.throwIfAborted();
    signal.throwIfAborted();
    giveUp();
    throw new MailarkError("PROGRAM_STALLED", "the database server does not answer any more", {
      hint: "look whether it is stopped, paused, or out of disk space, and run this again",
      retryable: true,
    });
  };
  work.catch(() => {});
  try {
    // The work's own end counts, also where it comes in the same moment.
    return await Promise.race([work, watch().catch((error) => (done.signal.aborted ? work : Promise.reject(error)))]);
  } finally {
    done.abort();
  }
}
