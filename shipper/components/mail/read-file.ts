import type { Stats } from "node:fs";
import { constants } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import { bytePath } from "../byte-path.ts";

export interface OpenFile {
  readonly descriptor: number;
  readonly stats: Stats;
}

/** Opens a regular file, never through a link at its end and never blocking on a pipe. The caller closes it. */
export function openFile(files: Files, path: string): OpenFile {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const descriptor = files.openSync(bytePath(path), flags);
  try {
    const stats = files.fstatSync(descriptor);
    if (stats.isFile()) return { descriptor, stats };
    throw new MailarkError("CAPTURE_FAILED", "not a regular file", { detail: path });
  } catch (error) {
    files.closeSync(descriptor);
    throw error;
  }
}

/** A whole file, and its status from the same open file. */
export function readFile(files: Files, path: string): { content: Buffer; stats: Stats } {
  const { descriptor, stats } = openFile(files, path);
  try {
    const content = Buffer.allocUnsafe(stats.size);
    readInto(files, descriptor, content, path);
    return { content, stats };
  } finally {
    files.closeSync(descriptor);
  }
}

/**
 * Fills `target` from a file.
 *
 * @throws MailarkError `CAPTURE_FAILED` when the file is shorter than its status said.
 */
export function readInto(files: Files, descriptor: number, target: Buffer, path: string, position = 0): void {
  for (let filled = 0; filled < target.length; ) {
    const read = files.readSync(descriptor, target, filled, target.length - filled, position + filled);
    if (read === 0)
      throw new MailarkError("CAPTURE_FAILED", "a file became shorter while it was read", { detail: path });
    filled += read;
  }
}
