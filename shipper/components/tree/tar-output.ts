/** What `tar --create` prints, judged by how it ends. */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import { type Exit, howEnded } from "../../processes.ts";
import { printedNothing, watchedOutput } from "../../watched-output.ts";
import type { World } from "../component.ts";

/** What tar said of files, counted; it says more than fits into memory of a very large number, so these are at least. */
export interface TarRemarks {
  /** Files that changed, vanished or shrank while they were read. */
  readonly changed: number;
  /** Files that could not be opened, or were not there. */
  readonly unreadable: number;
  /** In tar's own words, where there is anything to say. */
  readonly detail: string;
}

/**
 * The archive as a stream; `ended` is called after its last byte, with what tar said. The program runs from the first read on.
 *
 * @throws MailarkError `PROGRAM_FAILED` when tar fails in any way but on single files; `PROGRAM_STALLED` when it prints nothing for `stallSeconds`.
 */
export async function* tarOutput(
  command: readonly [string, ...string[]],
  stallSeconds: number,
  { processes, clock, signal }: Pick<World, "processes" | "clock" | "signal">,
  ended: (remarks: TarRemarks) => void,
): AsyncGenerator<Buffer> {
  const running = await processes.start(command, { signal });
  const stalled = () =>
    printedNothing("tar", stallSeconds, {
      hint: "look for a file system that does not answer, or raise stall-seconds",
      detail: running.complaint(),
    });
  const judge = (exit: Exit) => ended(remarksOf(exit, running.complaint()));
  yield* watchedOutput(running, { stallSeconds, stalled, judge }, { clock, signal });
}

const changes =
  /: (file changed as we read it|File removed before we read it|Directory renamed before|File shrank by \d+ bytes?)/;
/** Said of what was asked for only: a file that goes away meanwhile was removed. */
const absences = /: Cannot stat: No such file or directory$/;
const unreadables = /: Cannot (open|stat|readlink|opendir|savedir|readdir): /;
const last = /: Exiting with failure status due to previous errors$/;

/** Exit status 1 is a file in motion, 2 is an error (GNU tar's manual, "Synopsis"); of errors only files that can not be opened pass. */
function remarksOf(exit: Exit, complaint: string): TarRemarks {
  const lines = complaint.split("\n").filter((line) => line !== "");
  const count = (pattern: RegExp) => lines.filter((line) => pattern.test(line)).length;
  const [changed, absent] = [count(changes), count(absences)];
  const unreadable = count(unreadables) - absent;
  if (exit.code === 0) return { changed: 0, unreadable: 0, detail: complaint };
  if (exit.code === 1 && unreadable + absent === 0) {
    return { changed: Math.max(changed, 1), unreadable, detail: complaint };
  }
  // The first line is cut off, where there are many.
  const isKnown = (line: string, index: number) =>
    (index === 0 && complaint.length > 4000) || [changes, unreadables, last].some((words) => words.test(line));
  const isOfFiles = last.test(lines.at(-1) ?? "") && lines.every(isKnown);
  if (exit.code === 2 && unreadable + absent > 0 && isOfFiles) return { changed, unreadable, detail: complaint };
  throw new MailarkError("PROGRAM_FAILED", `tar failed with ${howEnded(exit)}`, {
    detail: complaint,
    ...(/unrecognized option|invalid option|usage/i.test(complaint) && {
      hint: "GNU tar is needed where the files are: install the package tar there",
    }),
  });
}

/** An error of a program that `env` started, as one of that program. */
export function ofTar(thrown: unknown): MailarkError {
  const error = asMailarkError(thrown);
  if (error.code !== "PROGRAM_FAILED") return error;
  const { detail = "" } = error;
  if (/exit status 12[67]$/.test(error.message)) {
    return new MailarkError("PROGRAM_MISSING", "can not start tar", {
      detail,
      hint: "GNU tar is needed where the files are: install the package tar there",
      cause: error,
    });
  }
  return new MailarkError(error.code, error.message.replace(/^\S+ (?=failed|did)/, "tar "), { detail, cause: error });
}
