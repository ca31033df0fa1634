import * as fs from "node:fs";

/**
 * The only way to the disk: the synchronous calls of `node:fs` that mailark uses, with their own meaning and errors.
 *
 * Synchronous, because a mailbox is tens of thousands of small files and a promise for each costs more than the read.
 * A test wraps this object to make any single call fail.
 */
export type Files = Pick<
  typeof fs,
  | "chmodSync"
  | "chownSync"
  | "closeSync"
  | "copyFileSync"
  | "fstatSync"
  | "fsyncSync"
  | "lchownSync"
  | "linkSync"
  | "lstatSync"
  | "mkdirSync"
  | "openSync"
  | "readSync"
  | "readdirSync"
  | "readlinkSync"
  | "renameSync"
  | "rmdirSync"
  | "statSync"
  | "statfsSync"
  | "symlinkSync"
  | "unlinkSync"
  | "utimesSync"
  | "writeSync"
>;

/** The machine's own disk. */
export const nodeFiles: Files = fs;

/** Whether a call failed because there is nothing of that name. */
export function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Writes all of `bytes` where the descriptor stands, in as many calls as the system wants. */
export function writeWhole(files: Files, descriptor: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) {
    written += files.writeSync(descriptor, bytes, written, bytes.length - written);
  }
}

/** Makes the names in a directory durable. */
export function flushDirectory(files: Files, path: string): void {
  const descriptor = files.openSync(path, "r");
  try {
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
}
