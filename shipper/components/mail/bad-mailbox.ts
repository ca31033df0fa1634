import { asMailarkError, type ErrorCode, type MailarkError } from "../../../core/errors.ts";
import { pathText } from "../byte-path.ts";

/** A mailbox that can not be brought back, and why. The others can. */
export interface BadMailbox {
  readonly ownerId: string;
  /** Below the mail root, in latin1; absent where not even that could be read. */
  readonly path?: string | undefined;
  readonly error: MailarkError;
}

/**
 * What was thrown while one mailbox was read or built, as a failure of that mailbox.
 *
 * @throws what was thrown, when it would meet every other mailbox as well: the store is out of reach, the disk is full, the run was interrupted.
 */
export function badMailbox(ownerId: string, path: string | undefined, thrown: unknown): BadMailbox {
  const error = asMailarkError(thrown);
  // A failed call on the target is not a MailarkError yet; one on an object of the store is.
  const call = error === thrown ? undefined : (thrown as NodeJS.ErrnoException).code;
  if (ofTheRun.has(error.code) || ofTheMachine.has(call ?? "")) throw thrown;
  return { ownerId, path, error };
}

/** A bad mailbox by its path or, where that is not known, by its owner id. */
export const nameOf = ({ ownerId, path }: BadMailbox): string =>
  path === undefined ? `the mailbox of ${ownerId}` : pathText(path);

const ofTheRun: ReadonlySet<ErrorCode> = new Set(["INTERRUPTED", "STORE_BUSY", "STORE_FORBIDDEN", "STORE_UNREACHABLE"]);
const ofTheMachine: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO", "EMFILE", "ENFILE", "ENOMEM"]);
