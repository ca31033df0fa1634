/** What is said of one thing that a backup or a restore needs. */

import { printable } from "../terminal/printable.ts";
import { shellWord } from "../terminal/shell-word.ts";

/** Every code that can be found, and whether a backup or a restore fails for it (`problem`) or is worth less (`warning`). */
export const findingCodes = {
  CONFIG_MISSING: "problem",
  CONFIG_INVALID: "problem",
  CONFIG_OPEN: "problem",
  SECRET_OPEN: "problem",
  SECRET_MISSING: "problem",
  SIGNING_KEY_MISSING: "problem",
  SIGNING_KEY_INVALID: "problem",
  STATE_UNWRITABLE: "problem",
  STATE_OPEN: "problem",
  STATE_DAMAGED: "problem",
  LOCK_LEFT: "warning",
  RESTORE_UNFINISHED: "problem",
  STORE_MISSING: "problem",
  STORE_FAILED: "problem",
  NOT_ENROLLED: "problem",
  ENROLMENT_DIFFERS: "problem",
  STORE_REPLACES: "warning",
  STORE_CHECKSUM_MISSING: "warning",
  STORE_READABLE: "warning",
  STORE_ERASABLE: "warning",
  STORE_SPACE_LOW: "problem",
  STORE_INODES_LOW: "problem",
  CLOCK_DIFFERS: "problem",
  CLOCK_NOT_SYNCHRONISED: "warning",
  STORE_BEHIND: "warning",
  SNAPSHOT_OLD: "warning",
  SNAPSHOT_OF_FUTURE: "warning",
  NOT_ROOT: "warning",
  OPEN_FILES_FEW: "warning",
  MEMORY_LOW: "warning",
  UMASK_STRANGE: "problem",
  TEMPORARY_UNUSABLE: "problem",
  SCRATCH_UNUSABLE: "warning",
  SCRATCH_SPACE_LOW: "warning",
  ISOLATION_MISSING: "warning",
  TOOL_MISSING: "problem",
  RESTORE_TOOL_MISSING: "warning",
  TOOL_UNFIT: "problem",
  TOOL_OLD: "warning",
  PLACE_UNREACHABLE: "problem",
  SERVER_UNREACHABLE: "problem",
  CREDENTIALS_REFUSED: "problem",
  PRIVILEGE_MISSING: "problem",
  PRIVILEGE_LACKING: "warning",
  CAPTURE_IMPOSSIBLE: "problem",
  PATH_MISSING: "problem",
} as const;

export type FindingCode = keyof typeof findingCodes;

/** What clears a finding: one command for `sh`, as it stands, or one sentence for a person. */
export type Fix = { readonly command: string } | { readonly advice: string };

export interface Finding {
  /** What was looked at, in a few words. */
  readonly check: string;
  readonly outcome: "problem" | "warning";
  readonly code: FindingCode;
  /** May name a path or a database; never a secret. */
  readonly detail: string;
  readonly fix: Fix;
}

/** A finding, or that there is none. What could not be looked at is `unproven`, with the reason, and never `fine`. */
export type Observation =
  | Finding
  | { readonly check: string; readonly outcome: "fine" | "unproven"; readonly detail: string };

export const fine = (check: string, detail = ""): Observation => ({ check, outcome: "fine", detail });
export const unproven = (check: string, detail: string): Observation => ({ check, outcome: "unproven", detail });

export function found(code: FindingCode, check: string, detail: string, fix: Fix): Finding {
  return { check, outcome: findingCodes[code], code, detail, fix };
}

/** A command line for `sh`, in which every word stays what it is; a sentence where a word can not be shown as it is. */
export function commandOf(...words: readonly string[]): Fix {
  const command = words.map(shellWord).join(" ");
  if (printable(command) === command) return { command };
  return {
    advice: `a name in it can not be printed, so write this yourself, with the name as it is: ${printable(command)}`,
  };
}

/** Words of mailark itself, with the configuration that this run was given. */
export type OwnCommand = (...words: readonly string[]) => Fix;
