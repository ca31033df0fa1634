/** One walk over a queue, by `find`. A file that is renamed meanwhile may be met twice or not at all: see capture.ts. */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { QueueConfig } from "./config.ts";
import { isComplete, logQueues, parseQueuePath, type Queue, queues } from "./layout.ts";
import { textOf } from "./programs.ts";

export interface ListedFile {
  readonly queue: Queue;
  readonly id: string;
  /** Below the queue directory. */
  readonly path: string;
  readonly size: number;
  readonly inode: string;
}

export interface Listing {
  readonly files: readonly ListedFile[];
  /** Messages that somebody is writing: not accepted yet, so nobody was promised anything. */
  readonly unfinished: number;
  /** What is neither a queue file nor a directory for them, with what it is: for people. */
  readonly strange: readonly string[];
  /** Messages that a restore moved aside, in whole directories, and that nobody has looked after since. */
  readonly aside: number;
  /** The times of every directory, as they were before it was read. */
  readonly stamps: ReadonlyMap<string, string>;
  /** Milliseconds since 1970: the last change of any directory, by the clock of that place. */
  readonly changedAt: number;
}

/** Printed last, so that a walk that was cut off is no walk. */
const mark = "/dev/null";
/** Kind, mode, size, inode, times of modification and change, path. */
const form = "%y %m %s %i %T@ %C@ %p\\0";

/**
 * @throws MailarkError `CAPTURE_FAILED` when the directory is not that of a queue, or the walk did not come to its end; otherwise as `textOf`.
 */
export async function listSpool(config: QueueConfig, directory: string, world: World): Promise<Listing> {
  const top = directory.replace(/[\\*?[]/g, "\\$&");
  const others = [...queues, "*.before-restore-*"].flatMap((queue) => ["-not", "-name", queue]);
  // Of the directories at the top only the queues; a path pattern's star takes slashes, too.
  const prune = ["-path", `${top}/*`, "-not", "-path", `${top}/*/*`, ...others, "-prune"];
  const words = ["find", "-H", directory, mark, "-ignore_readdir_race", ...prune, "-o", "-printf", form];
  const rows = (await textOf(config, words as [string, ...string[]], world)).split("\0");
  const [last = "", rest] = rows.splice(-2);
  if (rest !== "" || !last.endsWith(` ${mark}`)) {
    throw new MailarkError("CAPTURE_FAILED", "find ended without its last line", {
      hint: "look for a full disk or a killed process",
      retryable: true,
    });
  }
  const files: ListedFile[] = [];
  const strange: string[] = [];
  const stamps = new Map<string, string>();
  let unfinished = 0;
  let aside = 0;
  let changedAt = 0;
  for (const row of rows) {
    const [whole, kind, mode, size, inode, modified, changed] = /^(\w) (\d+) (\d+) (\d+) (\S+) (\S+) /.exec(row) ?? [];
    if (whole === undefined)
      throw new MailarkError("CAPTURE_FAILED", "find printed what it was not asked for", { detail: row });
    const path = row.slice(whole.length + directory.length + 1);
    if (path === "") continue;
    if (kind === "d") {
      stamps.set(path, `${inode} ${modified} ${changed}`);
      changedAt = Math.max(changedAt, Number(modified) * 1000, Number(changed) * 1000);
      continue;
    }
    if (/^[^/]*\.before-restore-/.test(path)) {
      if (kind === "f" && !logQueues.some((queue) => path.startsWith(`${queue}.`))) aside += 1;
      continue;
    }
    const parsed = parseQueuePath(path);
    if (kind !== "f" || parsed === undefined) strange.push(path);
    else if (isComplete(parsed.queue, Number.parseInt(mode!, 8)))
      files.push({ ...parsed, path, size: Number(size), inode: inode! });
    else unfinished += 1;
  }
  for (const queue of ["incoming", "active", "deferred", "maildrop"]) {
    if (stamps.has(queue)) continue;
    throw new MailarkError("CAPTURE_FAILED", "the directory is not that of a Postfix queue", {
      detail: `${directory} has no ${queue}`,
      hint: "is it mounted, and is it what `postconf queue_directory` says?",
    });
  }
  return { files, unfinished, strange, aside, stamps, changedAt };
}

/** Whether nothing came, went or moved between two walks, so that the first one has met everything; it was begun at `startedAt`. */
export function isProof(first: Listing, second: Listing, startedAt: number): boolean {
  if (first.stamps.size !== second.stamps.size) return false;
  for (const [path, stamp] of first.stamps) if (second.stamps.get(path) !== stamp) return false;
  return startedAt - first.changedAt > grain;
}

/** Milliseconds in which a second change of a directory may bear the time of the first: some kernels' clock ticks a hundred times a second. */
const grain = 50;
