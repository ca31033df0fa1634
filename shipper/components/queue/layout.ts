/**
 * What a Postfix queue directory may hold (Postfix 2.x and 3.x: QSHAPE_README, postsuper(1), src/global/mail_queue.h). A queue file is named by its
 * id, below the directory of its queue, which may be hashed: `deferred/A/B/ABC123`. Its mode says whether it is complete.
 */

/** In the direction in which messages move, so that one walk meets most of them. */
export const movingQueues = ["hold", "deferred", "incoming", "active"] as const;
/** Not delivered from, but kept: what Postfix could not read, and what somebody saved. */
export const restingQueues = ["corrupt", "saved"] as const;
/** Where a restore puts what was in `maildrop`: Postfix does not look there, and it waits for somebody to release it. */
export const heldMaildrop = "maildrop.held";
/** What was said of a message's recipients, named by its id. */
export const logQueues = ["bounce", "defer", "trace"] as const;

export type MessageQueue =
  | (typeof movingQueues)[number]
  | "maildrop"
  | typeof heldMaildrop
  | (typeof restingQueues)[number];
export type LogQueue = (typeof logQueues)[number];
export type Queue = MessageQueue | LogQueue;

export const messageQueues: readonly MessageQueue[] = [...movingQueues, ...restingQueues, "maildrop", heldMaildrop];
/** Whose messages Postfix would deliver. */
export const deliverableQueues: readonly MessageQueue[] = [...movingQueues, "maildrop"];
export const queues: readonly Queue[] = [...messageQueues, ...logQueues];

/** A queue file by its place. */
export interface QueuePath {
  readonly queue: Queue;
  readonly id: string;
}

/**
 * What Postfix takes for an id (mail_queue_id_ok()): short ones are hex digits of the microsecond and the inode, long ones are digits and letters of time and
 * inode with a `z` between.
 */
const idPattern = /^[0-9A-Za-z]{5,100}$/;

/** `undefined`: not the path of a queue file. Hash directories are the id's first characters, one each. */
export function parseQueuePath(path: string): QueuePath | undefined {
  const [queue, ...rest] = path.split("/");
  const id = rest.pop();
  if (id === undefined || !idPattern.test(id) || !(queues as readonly string[]).includes(queue!)) return undefined;
  if (rest.length > 4 || !rest.every((element) => /^[0-9A-Za-z]$/.test(element))) return undefined;
  return { queue: queue as Queue, id };
}

/** What its owner may do with a message that was written to its end (MAIL_QUEUE_STAT_READY). */
const complete = 0o700;
/** In `maildrop` others may read it, too (0744). */
const allowed = 0o744;
const logMode = 0o600;

/** Whether a file of that mode, in that queue, is one that Postfix would read as whole, with no right that Postfix does not give. */
export function isComplete(queue: Queue, mode: number): boolean {
  if ((logQueues as readonly string[]).includes(queue)) return mode === logMode;
  if ((mode & ~allowed) !== 0) return false;
  return (restingQueues as readonly string[]).includes(queue) || (mode & complete) === complete;
}
