/** What a program prints, as a stream that ends only where the program ended well; one that hangs is ended. */
import { asMailarkError, MailarkError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Exit, RunningProcess } from "./processes.ts";
import { watchForStalls } from "./stall-watch.ts";

/** What is expected of a program. */
export interface Expectation {
  /** Without output for so long, while it is read, the program is ended. */
  readonly stallSeconds: number;
  /** What is thrown then. */
  stalled(): MailarkError;
  /** Called after the last byte; throws unless that was a good end. */
  judge(exit: Exit): void;
}

/**
 * The output of a program that runs already and is ended with the stream, its input with it.
 *
 * @throws MailarkError what the expectation says; the signal's reason where that is why it ended.
 */
export async function* watchedOutput(
  running: RunningProcess,
  { stallSeconds, stalled, judge }: Expectation,
  { clock, signal }: { readonly clock: Pick<Clock, "sleep">; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const watch = watchForStalls(clock, stallSeconds);
  const tooLong = watch.stalled.then((): never => {
    const reason = stalled();
    running.stdout.destroy(reason);
    throw reason;
  });
  tooLong.catch(() => {});
  try {
    const chunks = running.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      watch.wait();
      const next = await chunks.next();
      watch.goOn();
      if (next.done) break;
      yield next.value;
    }
    watch.wait();
    judge(await Promise.race([running.exited, tooLong]));
  } catch (error) {
    signal.throwIfAborted();
    throw asMailarkError(error);
  } finally {
    watch.end();
    running.stdin.end();
    running.kill("SIGKILL");
  }
}

/** Says of a program that it printed nothing for too long; the hint is to name what it may have waited for. */
export function printedNothing(
  program: string,
  seconds: number,
  { hint, detail }: { readonly hint: string; readonly detail: string },
): MailarkError {
  return new MailarkError("PROGRAM_STALLED", `${program} printed nothing for ${seconds} s and was ended`, {
    hint,
    detail,
    retryable: true,
  });
}
