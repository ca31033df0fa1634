/** Looking at one thing after the other: what goes wrong with one says nothing of the next. */
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { type Fix, found, type Observation, unproven } from "./observation.ts";

/** What looking takes of a world: when to give up. */
export interface Patient {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** How long one thing may keep the others waiting, in milliseconds. */
const usualPatience = 30_000;

const silent = "it did not answer in time";

/**
 * What `look` sees. What it throws, and that it sees nothing for 30 seconds, means that nothing was seen.
 *
 * @param look is to look at the world that it is given, whose signal ends it.
 * @throws the reason of an abort.
 */
export async function looked<W extends Patient>(
  check: string,
  world: W,
  look: (world: W) => Promise<readonly Observation[]> | readonly Observation[],
): Promise<readonly Observation[]> {
  try {
    return await inTime(world, look);
  } catch (thrown) {
    world.signal.throwIfAborted();
    return [unproven(check, reasonOf(thrown))];
  }
}

/**
 * What `work` returns; it is not waited for where it does not heed its signal.
 *
 * @throws what `work` throws; MailarkError `PROGRAM_STALLED` after so many milliseconds.
 */
export async function inTime<W extends Patient, T>(
  world: W,
  work: (world: W) => Promise<T> | T,
  patience: number = usualPatience,
): Promise<T> {
  const { clock, signal } = world;
  const done = new AbortController();
  const late = new AbortController();
  const giveUp = async (): Promise<never> => {
    await clock.sleep(patience, AbortSignal.any([signal, done.signal]));
    const error = new MailarkError("PROGRAM_STALLED", silent, { hint: "see whether it runs, and what it waits for" });
    late.abort(error);
    throw error;
  };
  try {
    return await Promise.race([giveUp(), work({ ...world, signal: AbortSignal.any([signal, late.signal]) })]);
  } finally {
    done.abort();
  }
}

/** Whether something was waited for in vain: there is no use in asking it for more. */
export const wasSilent = (observations: readonly Observation[]): boolean =>
  observations.some(({ outcome, detail }) => outcome === "unproven" && detail === silent);

/** The message and the first words of the detail, in one line. */
export function reasonOf(thrown: unknown): string {
  const { message, detail } = asMailarkError(thrown);
  const [first = ""] = (detail ?? "").split("\n").filter((line) => line.trim() !== "");
  return [message, first].filter(Boolean).join(": ");
}

/** The advice of an error. */
export const adviceOf = (thrown: unknown, otherwise: string): Fix => ({
  advice: asMailarkError(thrown).hint ?? otherwise,
});

/** What keeps a component from being captured at all. */
export function obstacle(check: string, thrown: unknown): Observation {
  const error = asMailarkError(thrown);
  const said = `${error.message}\n${error.detail ?? ""}`;
  const code = signs.find(({ is }) => is(error, said))?.code ?? "CAPTURE_IMPOSSIBLE";
  return found(code, check, reasonOf(error), adviceOf(error, `mend that: ${reasonOf(error)}`));
}

const signs = [
  { code: "PLACE_UNREACHABLE", is: (error: MailarkError) => error.code === "PLACE_UNREACHABLE" },
  { code: "TOOL_MISSING", is: (error: MailarkError) => error.code === "PROGRAM_MISSING" },
  { code: "SECRET_MISSING", is: (error: MailarkError) => error.code === "CONFIG_INVALID" },
  {
    code: "CREDENTIALS_REFUSED",
    is: (_: MailarkError, said: string) =>
      /ERROR (1045|1698)\b|authentication failed|no password supplied|fe_sendauth|role ".*" does not exist|NOAUTH|WRONGPASS|AUTH failed|refuses the password/.test(
        said,
      ),
  },
  {
    code: "SERVER_UNREACHABLE",
    is: (_: MailarkError, said: string) =>
      /ERROR (2002|2003|2005|2006|2013)\b|connection to server|could not connect|Could not connect|Connection refused|can not be reached|sent nothing/.test(
        said,
      ),
  },
] as const;
