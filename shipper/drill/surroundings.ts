import { type ErrorCode, MailarkError } from "../../core/errors.ts";
import { ScratchFailure } from "../components/shelter.ts";

/** What says that something is missing here, or can not be reached from here. */
const codes: ReadonlySet<ErrorCode> = new Set([
  "ARGUMENT_INVALID",
  "PLACE_UNREACHABLE",
  "PROGRAM_MISSING",
  "STORE_BUSY",
  "STORE_UNREACHABLE",
]);

/** Of the system, and as programs say it of theirs (strerror(3)); MariaDB's 1114 is a disk that is full. */
const full = /No space left on device|Disk quota exceeded|\bERROR 1114\b/;

/**
 * Whether a stage failed for what is around it: then nothing is wrong with the snapshot, it is just not proven.
 *
 * @param thrown its causes are looked at as well.
 */
export function isOfSurroundings(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT" || thrown instanceof ScratchFailure) return true;
  if (thrown instanceof MailarkError) {
    if (codes.has(thrown.code) || full.test(`${thrown.message} ${thrown.detail ?? ""}`)) return true;
  }
  return isOfSurroundings(thrown.cause);
}
