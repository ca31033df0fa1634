import { asMailarkError, type ErrorCode, type MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { formatRow } from "../../../core/rows.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { CaptureContext, Captured } from "../component.ts";
import { type CapturedMailbox, captureMailbox } from "./capture-mailbox.ts";
import { type MailboxPlace, type MailConfig, rootOf } from "./config.ts";
import { discover, noMailboxes } from "./discover.ts";
import { askDovecot } from "./dovecot-counters.ts";

/** Mailboxes whose index is not stored yet, at the most: it waits for the store while the next mailboxes are read. */
const unfinished = 4;

/** What is wrong with one mailbox and not with the store or the run. */
const ofOneMailbox = new Set<ErrorCode>(["FILE_FAILED", "CAPTURE_FAILED", "MAILBOX_UNSTABLE"]);

/**
 * Captures all mailboxes. One that can not be read does not stop the others: the snapshot is then `partial` and says how many.
 *
 * @throws MailarkError when no mailbox could be captured, or the store failed.
 */
export async function captureMail(config: MailConfig, context: CaptureContext): Promise<Captured> {
  const { writer, keys, clock, files, progress, signal } = context;
  const warn = context.warn ?? (() => {});
  const cutAt = clock.now();
  const { mailboxes, strays } = discover(files, config);
  if (strays.length > 0) {
    const shown = strays.slice(0, 5).map(pathText);
    const more = strays.length > shown.length ? [`and ${strays.length - shown.length} more`] : [];
    warn(
      "below the mail root is something that the layout does not explain: it is not captured",
      [...shown, ...more].join("\n"),
    );
  }
  if (mailboxes.length === 0) throw noMailboxes(config);
  const sealingKeys = await keys.mailboxes(
    mailboxes.map(({ path, address }) => ({ path, ...(address !== undefined && { address: pathText(address) }) })),
  );
  const dovecot = await askDovecot(config, context);
  const totals = { mailboxes: 0, messages: 0, messageBytes: 0, folders: 0, files: 0 };
  const table: string[] = [];
  const running = new Set<Promise<void>>();
  const failures: MailarkError[] = [];
  const left = { unreadable: 0, others: 0, linkedDirectories: 0 };

  for (const [number, place] of mailboxes.entries()) {
    signal.throwIfAborted();
    progress(`mailbox ${number + 1} of ${mailboxes.length}`);
    const key = sealingKeys[number]!;
    const captured = await attempt(place);
    if (captured === undefined) continue;
    totals.mailboxes += 1;
    for (const name of ["messages", "messageBytes", "folders", "files"] as const) totals[name] += captured[name];
    left.others += captured.others;
    left.linkedDirectories += captured.linkedDirectories;
    left.unreadable += captured.unreadable.size;
    for (const [path, reason] of captured.unreadable) {
      const error = asMailarkError(reason);
      warn(`a message could not be read: ${error.message}`, pathText(path));
    }
    const rows = captured.index.then((segments) => {
      table[number] =
        formatRow("mailbox", key.ownerId) +
        segments
          .map(({ pack, offset, bytes }) => formatRow("index", key.ownerId, key.keyId, pack, offset, bytes))
          .join("");
    });
    rows.catch(() => {});
    running.add(rows);
    rows.finally(() => running.delete(rows)).catch(() => {});
    if (running.size >= unfinished) await Promise.race(running);

    async function attempt({ path }: MailboxPlace): Promise<CapturedMailbox | undefined> {
      try {
        return await captureMailbox(`${rootOf(config)}/${path}`, path, key, writer, context, dovecot);
      } catch (thrown) {
        signal.throwIfAborted();
        if (isAbsent(thrown) && !exists(files, `${rootOf(config)}/${path}`)) return undefined;
        const error = asMailarkError(thrown);
        if (!ofOneMailbox.has(error.code)) throw error;
        failures.push(error);
        warn(`a mailbox could not be captured: ${error.message}`, `${pathText(path)}\n${error.detail ?? ""}`);
        return undefined;
      }
    }
  }
  await Promise.all(running);
  if (failures.length > 0 && totals.mailboxes === 0) throw failures[0]!;
  await writer.part("mailboxes", encode(table), await keys.host(), "index");

  const warnings = [
    { code: "MAILBOX_NOT_CAPTURED", count: failures.length },
    { code: "OUTSIDE_THE_LAYOUT", count: strays.length },
    { code: "MESSAGE_NOT_CAPTURED", count: left.unreadable },
    { code: "SPECIAL_FILE_LEFT_OUT", count: left.others },
    { code: "DOVECOT_NOT_ASKED", count: dovecot.unanswered },
    { code: "LINKED_DIRECTORY", count: left.linkedDirectories },
  ].filter(({ count }) => count > 0);
  const completeness = failures.length + left.unreadable > 0 ? "partial" : "complete";
  return { cutAt, completeness, tools: {}, facts: totals, warnings };
}

/** A mailbox that is removed while the host is captured is not there any more; it did not fail. */
function exists(files: Files, path: string): boolean {
  return files.lstatSync(bytePath(path), { throwIfNoEntry: false }) !== undefined;
}

async function* encode(rows: readonly string[]): AsyncGenerator<Buffer> {
  for (const row of rows) if (row !== undefined) yield Buffer.from(row, "latin1");
}
