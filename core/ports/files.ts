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
