/** Tells a server that is busy from one that is gone: a digest may take hours, and a server that hangs takes for ever. */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import type { Connection } from "./connection.ts";

/** Seconds that a server may take for an answer to a question that costs nothing. */
const longestAnswer = 60;

/**
 * Waits for work that the server does, and asks it now and then whether it is there: each time that the connection's `stallSeconds` are over.
 *
 * @param giveUp ends the work.
 * @throws MailarkError `PROGRAM_STALLED` when the server does not answer any more; what the work throws.
 */
export async function whileAnswering<T>(
  connection: Connection,
  world: Pick<World, "processes" | "clock" | "signal">,
  work: Promise<T>,
  giveUp: () => void,
): Promise<T> {
  const done = new AbortController();
  const watch = async (): Promise<never> => {
    do await world.clock.sleep(connection.stallSeconds * 1000, done.signal);
    while (await answers(connection, { ...world, signal: AbortSignal.any([world.signal, done.signal]) }));
    done.signal.throwIfAborted();
    world.signal.throwIfAborted();
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

/** A refusal is an answer too: too many connections, for example. */
async function answers(
  connection: Connection,
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<boolean> {
  const seconds = Math.min(longestAnswer, Math.max(connection.stallSeconds, 1));
  const command = connection.command("psql", ["-X", "-q", "-w", connection.to(connection.maintenanceDatabase)]);
  try {
    await outputOf(connection.through(processes), command, {
      input: "SELECT 1;\n",
      signal: AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]),
    });
    return true;
  } catch (error) {
    return error instanceof MailarkError && /FATAL: /.test(error.detail ?? "");
  }
}
