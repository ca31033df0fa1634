/**
 * Reads every message of a mailbox in use. What was renamed or moved between its listing and its reading is found by listing again; and once
 * anything was missed, everything that is there and was not read yet is read, for a mail server may also give a message a new name.
 */
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath } from "../byte-path.ts";
import type { World } from "../component.ts";
import type { ArchiveWriter } from "./archive-writer.ts";
import type { MessageRow } from "./index-rows.ts";
import { lookOnce, unite } from "./listing.ts";
import type { ListedMessage, Tree } from "./tree.ts";

export interface MessagesRead {
  readonly rows: readonly MessageRow[];
  /** Paths of messages that are there and can not be read, each with why. */
  readonly unreadable: ReadonlyMap<string, unknown>;
}

/** A file that is renamed during each of so many listings would have been shown by one of them; what none showed is gone. */
const proofsOfAbsence = 8;
const mostRounds = 500;

/** What says that a file is there and sick, as against: gone, or the store is in trouble. */
const sick = new Set(["EIO", "EACCES", "EPERM", "ESTALE", "EBADMSG", "EUCLEAN"]);

/**
 * @param tree what a listing found; folders, files and links that appear meanwhile are added to it.
 * @throws MailarkError `MAILBOX_UNSTABLE` when a message is there and can not be caught; what the store throws.
 */
export async function readMessages(
  mailbox: string,
  tree: Tree,
  archives: ArchiveWriter,
  { files, clock, signal }: World,
): Promise<MessagesRead> {
  const done = new Map<string, MessageRow>();
  const passedOver = new Set<string>();
  const unreadable = new Map<string, unknown>();
  /** Listed and then not there → how many listings since have not shown it. */
  const missing = new Map<string, number>();
  let pending: readonly ListedMessage[] = tree.messages;
  for (let round = 1; ; round += 1) {
    for (const message of pending) {
      signal.throwIfAborted();
      if (await read(message)) missing.delete(keyOf(message));
      else if (!done.has(keyOf(message))) missing.set(keyOf(message), 0);
    }
    if (missing.size === 0) break;
    if (round === mostRounds) {
      throw new MailarkError("MAILBOX_UNSTABLE", `${missing.size} messages were moved faster than they could be read`, {
        hint: "see what keeps renaming messages in this mailbox; the next backup tries again",
        retryable: true,
      });
    }
    const look = lookOnce(files, clock, mailbox);
    unite(tree, look.tree);
    const listed = new Set(look.tree.messages.map(keyOf));
    for (const [key, misses] of missing) {
      if (listed.has(key)) continue;
      if (look.wait === 0 || misses + 1 === proofsOfAbsence) missing.delete(key);
      else missing.set(key, misses + 1);
    }
    followMoves(look.tree.messages, listed);
    pending = look.tree.messages.filter((message) => !done.has(keyOf(message)) && !passedOver.has(keyOf(message)));
    if (pending.length === 0 && missing.size > 0) await clock.sleep(look.wait, signal);
  }
  return { rows: [...done.values()], unreadable };

  /** Whether nothing is left to do for this name. */
  async function read(message: ListedMessage): Promise<boolean> {
    const { folder, state, base, info } = message;
    const path = `${mailbox}/${folder}/${state}/${base}${info}`;
    try {
      if (base === "") throw notAMessage();
      keep({ folder, state, base, info, ...(await archives.add(path)) });
    } catch (error) {
      if (isAbsent(error)) return false;
      if (isSpecial(files, path) || base === "") tree.others.push(`${folder}/${state}/${base}${info}`);
      else if (isSick(error)) unreadable.set(path, error);
      else throw error;
      passedOver.add(keyOf(message));
    }
    return true;
  }

  /** Two files with one base name are two messages, unless they are the same content: then one was seen twice, under two flags. */
  function keep(row: MessageRow): void {
    for (let copy = 1; ; copy += 1) {
      const suffix = copy === 1 ? "" : `.copy${copy}`;
      const base = row.base.slice(0, longestName - row.info.length - suffix.length) + suffix;
      const known = done.get(keyOf({ folder: row.folder, base }));
      if (known?.sha256 === row.sha256) return;
      if (known !== undefined) continue;
      done.set(keyOf({ folder: row.folder, base }), { ...row, base });
      return;
    }
  }

  /** A message that was read and has moved since is the same message in another folder: it is not to come back in both. */
  function followMoves(messages: readonly ListedMessage[], listed: ReadonlySet<string>): void {
    const moved = new Map<string, MessageRow>();
    for (const row of done.values()) if (!listed.has(keyOf(row))) moved.set(row.base, row);
    for (const message of messages) {
      const row = moved.get(message.base);
      if (row === undefined || done.has(keyOf(message))) continue;
      done.delete(keyOf(row));
      done.set(keyOf(message), { ...row, ...message });
      moved.delete(message.base);
    }
  }
}

/** Of a file name, in bytes. */
const longestName = 255;

const keyOf = ({ folder, base }: { folder: string; base: string }) => `${folder}\0${base}`;
const notAMessage = () => new MailarkError("CAPTURE_FAILED", "a file in a folder has no name of a message");

const isSick = (error: unknown): boolean =>
  sick.has((error as NodeJS.ErrnoException).code ?? "") ||
  (error instanceof MailarkError && error.code === "CAPTURE_FAILED");

function isSpecial(files: Files, path: string): boolean {
  try {
    return !files.lstatSync(bytePath(path)).isFile();
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}
