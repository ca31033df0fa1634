/**
 * What every failure looks like: one class, a stable code, and tables that say what a code means to the outside.
 */

/** Exit status of the `mailark` program; part of its interface. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  verification: 4,
  locked: 5,
  unreachable: 6,
  refused: 7,
  interrupted: 130,
} as const;

/** Every error code, with the exit status of a run that ends on it. */
const exitCodeOf = {
  ARGUMENT_INVALID: exitCodes.usage,
  CONFIG_INVALID: exitCodes.usage,
  CONFIG_MISSING: exitCodes.usage,
  IDENTITY_INVALID: exitCodes.usage,
  KEY_INVALID: exitCodes.usage,
  SNAPSHOT_UNKNOWN: exitCodes.usage,
  COMPONENT_UNKNOWN: exitCodes.usage,

  CAPTURE_FAILED: exitCodes.failed,
  DUMP_FAILED: exitCodes.failed,
  DUMP_TRUNCATED: exitCodes.failed,
  FILE_FAILED: exitCodes.failed,
  INTERNAL: exitCodes.failed,
  MAILBOX_UNSTABLE: exitCodes.failed,
  PLACE_UNREACHABLE: exitCodes.failed,
  PROGRAM_FAILED: exitCodes.failed,
  PROGRAM_MISSING: exitCodes.failed,
  PROGRAM_STALLED: exitCodes.failed,
  RESTORE_FAILED: exitCodes.failed,
  STATE_INVALID: exitCodes.failed,

  PARTIAL: exitCodes.partial,

  CHECK_FAILED: exitCodes.verification,
  DECRYPTION_FAILED: exitCodes.verification,
  FORMAT_UNSUPPORTED: exitCodes.verification,
  MANIFEST_INVALID: exitCodes.verification,
  OBJECT_CORRUPT: exitCodes.verification,
  OBJECT_MISSING: exitCodes.verification,
  SIGNATURE_INVALID: exitCodes.verification,
  SIGNER_UNTRUSTED: exitCodes.verification,

  LOCKED: exitCodes.locked,

  STORE_BUSY: exitCodes.unreachable,
  STORE_FORBIDDEN: exitCodes.unreachable,
  STORE_UNREACHABLE: exitCodes.unreachable,
  UPLOAD_MISMATCH: exitCodes.unreachable,

  CLOCK_DOUBTFUL: exitCodes.refused,
  OBJECT_EXISTS: exitCodes.refused,
  PATH_UNSAFE: exitCodes.refused,
  TARGET_NOT_EMPTY: exitCodes.refused,

  INTERRUPTED: exitCodes.interrupted,
} as const;

export type ErrorCode = keyof typeof exitCodeOf;

export interface ErrorOptions {
  /** What the operator can do about it, as one sentence. */
  readonly hint?: string;
  /** The same call may succeed when it is made again. Default: false. */
  readonly retryable?: boolean;
  /**
   * What the failure was about in the host's own words: a path, an address, the last lines of a tool. It is shown to the
   * operator and **never stored**, because it may name a person.
   */
  readonly detail?: string;
  readonly cause?: unknown;
}

/**
 * The only error that mailark throws on purpose.
 *
 * `message` is lower case, without a full stop, and names nobody: it may be stored and sent. Whatever may name a mailbox,
 * a path or a person stands in `detail`.
 */
export class MailarkError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MailarkError";
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
    this.detail = options.detail;
  }

  get exitCode(): number {
    return exitCodeOf[this.code];
  }
}

/** The same failure under another code, with the same `retryable`, unless that is given; it is the cause of what is returned. */
export function toldAs(error: MailarkError, code: ErrorCode, retryable = error.retryable): MailarkError {
  const { message, hint, detail } = error;
  const words = { ...(hint !== undefined && { hint }), ...(detail !== undefined && { detail }) };
  return new MailarkError(code, message, { ...words, retryable, cause: error });
}

/** Any thrown value as a {@link MailarkError}: itself, an interruption, or `INTERNAL` with the original as the cause. */
export function asMailarkError(thrown: unknown): MailarkError {
  if (thrown instanceof MailarkError) return thrown;
  if (thrown instanceof Error && thrown.name === "AbortError") {
    if (thrown.cause instanceof MailarkError) return thrown.cause;
    return new MailarkError("INTERRUPTED", "interrupted", { cause: thrown });
  }
  const errno = thrown as NodeJS.ErrnoException;
  if (errno instanceof Error && typeof errno.code === "string" && typeof errno.syscall === "string") {
    return fileError(errno);
  }
  return new MailarkError("INTERNAL", "unexpected error", {
    detail: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
    hint: "this is a defect in mailark: please report it with the text above",
    cause: thrown,
  });
}

/** A failed system call as an error that says what to do about it; the path stays in `detail`. */
export function fileError(errno: NodeJS.ErrnoException): MailarkError {
  const hints: Record<string, string> = {
    EACCES: "run mailark as a user that may use this path (usually root)",
    EPERM: "run mailark as a user that may use this path (usually root)",
    ENOSPC: "free space on this file system, then run again: nothing that was stored before is lost",
    EDQUOT: "raise the quota on this file system, then run again",
    EROFS: "this file system is mounted read-only",
    EIO: "the disk reports an error: check it before anything else",
    EMFILE: "raise the limit of open files (ulimit -n)",
  };
  const code = errno.code ?? "unknown error";
  return new MailarkError("FILE_FAILED", `${errno.syscall ?? "file access"} failed: ${code}`, {
    detail: errno.message,
    ...(hints[code] === undefined ? {} : { hint: hints[code] }),
    cause: errno,
  });
}
