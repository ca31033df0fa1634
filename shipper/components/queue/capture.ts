/**
 * Captures a queue in use. A message moves between the queues by rename, and a walk that it moves through may not meet it; its file is the same
 * one all the time, and complete from the moment that it may be executed. So whatever a walk meets is read, once; walks are put together until one
 * of them is proven to have met everything, or several in a row found nothing that was there before.
 *
 * `maildrop` is read last, and only what waited there all the time: a message that is taken from there gets another id.
 */
import { MailarkError } from "../../../core/errors.ts";
import type { Manifest } from "../../../core/manifest.ts";
import type { CaptureContext, Captured } from "../component.ts";
import { endOfArchive } from "../tree/write-tar.ts";
import type { QueueConfig } from "./config.ts";
import { formatIndex } from "./index-rows.ts";
import { deliverableQueues, heldMaildrop, type LogQueue, logQueues, movingQueues, type Queue } from "./layout.ts";
import { isProof, type ListedFile, type Listing, listSpool } from "./listing.ts";
import { versionOf } from "./programs.ts";
import { findSpool } from "./spool.ts";
import { SpoolWriter } from "./spool-writer.ts";

/** So many walks in a row must find nothing old, where the queue never keeps still. */
const quietWalks = 8;
const mostWalks = 60;

/** @throws MailarkError as `Component.capture` says. */
export async function captureQueue(config: QueueConfig, context: CaptureContext): Promise<Captured> {
  const spool = await findSpool(config, context);
  const tar = await versionOf(config, "tar", context);
  const cutAt = context.clock.now();
  const writer = new SpoolWriter(config, spool.directory, context);
  let last: Listing | undefined;
  let uncaught = 0;
  const archive = async function* () {
    const written = yield* writeMessages(config, spool.directory, writer, context);
    last = written.listing;
    uncaught = written.uncaught;
    const known = last.files.filter(({ queue, id }) => isLog(queue) && writer.has(id));
    // After the messages: whoever was given up is in the log before he is struck from the message.
    yield* writer.add(known);
    yield* writeHeld(writer, last);
    yield endOfArchive;
  };
  const key = await context.keys.host();
  await context.writer.part("spool", archive(), key);
  await context.writer.part("index", formatIndex(writer), key, "index");
  const { messages, logs, damaged } = writer;
  const among = (queue: string) => messages.filter(({ path }) => path.startsWith(`${queue}/`));
  const waiting = [...deliverableQueues, heldMaildrop].flatMap(among);
  const aside = last?.aside ?? 0;
  if (aside > 0) {
    context.warn?.(
      `${aside} messages that a restore moved aside are not captured`,
      `look through the directories *.before-restore-* in ${spool.directory}, and move what is wanted back or remove it`,
    );
  }
  return {
    cutAt,
    completeness: uncaught > 0 ? "partial" : "complete",
    tools: { tar },
    ...(spool.version !== undefined && { server: { flavour: "postfix", version: spool.version } }),
    facts: {
      messages: waiting.length,
      messageBytes: waiting.reduce((sum, { size }) => sum + size, 0),
      ...Object.fromEntries(
        [...movingQueues, "maildrop", "corrupt", "saved"].map((queue) => [queue, among(queue).length]),
      ),
      maildropHeld: among(heldMaildrop).length,
      logs: logs.length,
      unfinished: last?.unfinished ?? 0,
    },
    warnings: [
      ...warn("MESSAGE_NOT_CAUGHT", uncaught),
      ...warn("MESSAGE_DAMAGED", damaged),
      ...warn("STRANGE_FILE_LEFT_OUT", last?.strange.length ?? 0),
      ...warn("MESSAGE_ASIDE_LEFT_OUT", aside),
    ],
  };
}

/** Nothing takes it from there but a person. */
async function* writeHeld(writer: SpoolWriter, { files }: Listing): AsyncGenerator<Buffer> {
  const held = files.filter(({ queue }) => queue === heldMaildrop);
  const before = writer.messages.length;
  yield* writer.add(held);
  if (writer.messages.length - before === held.length) return;
  throw new MailarkError("CAPTURE_FAILED", `messages were taken from ${heldMaildrop} while it was read`, {
    hint: "somebody is releasing them: run the backup again",
    retryable: true,
  });
}

const isLog = (queue: string): queue is LogQueue => (logQueues as readonly string[]).includes(queue);
const warn = (code: string, count: number): Manifest["warnings"] => (count > 0 ? [{ code, count }] : []);

interface Written {
  /** The last walk. */
  readonly listing: Listing;
  /** Messages that were met and moved away each time; the others are no less worth for it. */
  readonly uncaught: number;
}

/** Writes every message once. */
async function* writeMessages(
  config: QueueConfig,
  directory: string,
  writer: SpoolWriter,
  context: CaptureContext,
): AsyncGenerator<Buffer, Written> {
  const begun = context.clock.now();
  /** Met, but not where it was met any more: how many walks in a row did not meet it again. */
  const missed = new Map<string, number>();
  let first: Listing | undefined;
  let before: { readonly listing: Listing; readonly startedAt: number } | undefined;
  let quiet = 0;
  for (let walk = 1; ; walk += 1) {
    context.signal.throwIfAborted();
    const startedAt = context.clock.now();
    const listing = await listSpool(config, directory, context);
    first ??= listing;
    writer.compare(listing.files);
    const proven = before !== undefined && isProof(before.listing, listing, before.startedAt);
    const moves = (queue: Queue) => queue !== "maildrop" && queue !== heldMaildrop && !isLog(queue);
    const unread = listing.files.filter(({ queue, id }) => moves(queue) && !writer.has(id));
    const met = new Set(unread.map(({ id }) => id));
    for (const [id, walks] of missed) {
      if (met.has(id) || writer.has(id)) missed.delete(id);
      else if (proven || walks + 1 >= quietWalks) missed.delete(id);
      else missed.set(id, walks + 1);
    }
    const old = unread.length > 0 ? yield* writeUnread(writer, unread, begun, missed) : false;
    quiet = old ? 0 : quiet + 1;
    const whole = (proven && unread.length === 0) || quiet >= quietWalks;
    if (whole && missed.size === 0 && (yield* writeMaildrop(writer, first, listing))) {
      return { listing, uncaught: 0 };
    }
    if (walk >= mostWalks && writer.messages.length > 0) {
      yield* writeMaildrop(writer, first, listing);
      return { listing, uncaught: Math.max(missed.size, 1) };
    }
    if (walk >= mostWalks) {
      throw new MailarkError("CAPTURE_FAILED", `messages could not be caught in ${walk} walks over the queue`, {
        detail: [...missed.keys()].slice(0, 20).join(", "),
        hint: "run the backup again, apart from a run of the whole queue; or look for files that root may not read",
        retryable: true,
      });
    }
    context.progress(`read ${writer.messages.length} messages of the queue`);
    before = { listing, startedAt };
  }
}

/** Returns whether one of them is so old that an earlier walk should have met it, or could not be read. */
async function* writeUnread(
  writer: SpoolWriter,
  unread: readonly ListedFile[],
  begun: number,
  missed: Map<string, number>,
): AsyncGenerator<Buffer, boolean> {
  const retried = unread.filter(({ id }) => writer.sought(id));
  const known = writer.messages.length;
  yield* writer.add(unread.flatMap((file) => (retried.includes(file) ? everyPlace(file) : [file])));
  let old = false;
  for (const { id } of unread) {
    if (writer.has(id)) continue;
    missed.set(id, 0);
    old = true;
  }
  // Arrivals are in whole seconds.
  return old || writer.arrivals.slice(known).some((seconds) => seconds === undefined || seconds * 1000 <= begun);
}

/** Where a message can be that was in one of these queues just now. */
function everyPlace(file: ListedFile): ListedFile[] {
  const [, ...rest] = file.path.split("/");
  const places = new Set([file.path]);
  for (const queue of movingQueues) {
    places.add(`${queue}/${file.id}`);
    places.add([queue, ...rest].join("/"));
    places.add(`${queue}/${file.id[0]}/${file.id}`);
  }
  return [...places].map((path) => ({ ...file, path }));
}

/** What waited in `maildrop` all the time. Returns false when something was taken from there just now: then it has to be looked for again. */
async function* writeMaildrop(writer: SpoolWriter, first: Listing, last: Listing): AsyncGenerator<Buffer, boolean> {
  const waiting = new Set(first.files.filter(({ queue }) => queue === "maildrop").map(({ id }) => id));
  const files = last.files.filter(({ queue, id }) => queue === "maildrop" && waiting.has(id) && !writer.has(id));
  if (files.length === 0) return true;
  yield* writer.add(files);
  const gone = files.filter(({ id }) => !writer.has(id)).length;
  if (gone === 0) return true;
  if (gone === files.length) return false;
  throw new MailarkError("CAPTURE_FAILED", "messages were taken from maildrop while it was read", { retryable: true });
}
