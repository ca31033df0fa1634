import type { Stats } from "node:fs";
import { constants } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath } from "../byte-path.ts";

export interface OpenFile {
  readonly descriptor: number;
  readonly stats: Stats;
}

/**
 * Opens a regular file, never through a link at its end and never blocking on a pipe. The caller closes it.
 *
 * @param within the real path of a directory that the file must be below, in latin1: a directory above it may have become a link meanwhile.
 * @throws MailarkError `CAPTURE_FAILED` for what is no regular file, or is elsewhere.
 */
export function openFile(files: Files, path: string, within?: string): OpenFile {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const descriptor = files.openSync(bytePath(path), flags);
  try {
    const stats = files.fstatSync(descriptor);
    if (!stats.isFile()) throw new MailarkError("CAPTURE_FAILED", "not a regular file", { detail: path });
    if (within !== undefined && !pathOf(files, descriptor)?.startsWith(`${within}/`)) {
      throw new MailarkError("CAPTURE_FAILED", "a directory became a link to somewhere else", {
        detail: path,
        hint: "somebody who may write to this mailbox did that: find out why",
      });
    }
    return { descriptor, stats };
  } catch (error) {
    files.closeSync(descriptor);
    throw error;
  }
}

/** The real path of a directory, in latin1; `undefined` where the system does not tell paths of open files. */
export function realPath(files: Files, directory: string): string | undefined {
  const descriptor = files.openSync(bytePath(directory), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return pathOf(files, descriptor);
  } finally {
    files.closeSync(descriptor);
  }
}

/** Linux tells the path of an open file, without links (proc_pid_fd(5)). */
function pathOf(files: Files, descriptor: number): string | undefined {
  try {
    return files.readlinkSync(`/proc/self/fd/${descriptor}`, "latin1") as unknown as string;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** A whole file, and its status from the same open file. `within` as for {@link openFile}. */
export function readFile(files: Files, path: string, within?: string): { content: Buffer; stats: Stats } {
  const { descriptor, stats } = openFile(files, path, within);
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
