/**
 * One mailbox: list it whole, read every message by its base name, write its index.
 */
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import type { SegmentLocation } from "../../pipeline/pack-lane.ts";
import type { SealingKey, SnapshotWriter } from "../../pipeline/snapshot-writer.ts";
import { bytePath } from "../byte-path.ts";
import type { World } from "../component.ts";
import { ArchiveWriter } from "./archive-writer.ts";
import { type MessageRow, rowOf } from "./index-rows.ts";
import { type Listing, listMailbox } from "./listing.ts";
import { parseMessageName } from "./message-name.ts";
import { type ListedMessage, listNames, messageStates } from "./tree.ts";

export interface CapturedMailbox {
  readonly messages: number;
  readonly messageBytes: number;
  readonly folders: number;
  readonly files: number;
  /** Sockets, pipes, devices that were left out. */
  readonly others: number;
  /** The segments of its index, once they are stored. */
  readonly index: Promise<readonly SegmentLocation[]>;
}

/** How often a message that another program keeps renaming is looked for at once, and how often after a new listing. */
const looksAtOnce = 30;
const rounds = 20;

/**
 * @param mailbox absolute path; `path` is the same below the mail root. Both in latin1.
 * @throws MailarkError, or what the file system says; then nothing refers to what was stored of it.
 */
export async function captureMailbox(
  mailbox: string,
  path: string,
  key: SealingKey,
  writer: SnapshotWriter,
  world: World,
): Promise<CapturedMailbox> {
  const { files } = world;
  const archives = new ArchiveWriter(writer, key, files);
  const listing = await listMailbox(mailbox, world);
  const messages = await readMessages(mailbox, listing, archives, world);
  const rows = [ownRow(mailbox, path, world), ...treeRows(mailbox, listing, world)];
  const others = await fileRows(mailbox, listing, archives, rows, world);
  for (const message of messages) rows.push(rowOf.put(message));

  const index = archives.finish().then(async (segments) => {
    const archiveRows = segments.map(({ archive, segment }) => rowOf.archive(archive, segment));
    return writer.segments(encode([rows[0]!, ...archiveRows, ...rows.slice(1)]), key, "index");
  });
  index.catch(() => {});
  return {
    messages: messages.length,
    messageBytes: messages.reduce((sum, { bytes }) => sum + bytes, 0),
    folders: listing.folders.size,
    files: listing.files.length - others,
    others: listing.others.length,
    index,
  };
}

/** Reads every listed message; one that was renamed or moved meanwhile is found again by its base name. */
async function readMessages(
  mailbox: string,
  listing: Listing,
  archives: ArchiveWriter,
  world: World,
): Promise<MessageRow[]> {
  const rows: MessageRow[] = [];
  const done = new Map<string, string>();
  let pending: readonly ListedMessage[] = listing.messages;
  for (let round = 1; pending.length > 0; round += 1) {
    const vanished: ListedMessage[] = [];
    for (const message of pending) {
      world.signal.throwIfAborted();
      const row = await readMessage(mailbox, message, archives, world);
      if (row === "special") listing.others.push(message.base);
      else if (row === undefined) vanished.push(message);
      else keep(row);
    }
    if (vanished.length === 0 || round === rounds) break;
    // Expunged, or moved to another folder: whatever now bears one of these names and was not read is the same message.
    const wanted = new Set(vanished.map(({ base }) => base));
    const again = await listMailbox(mailbox, world);
    pending = again.messages.filter((message) => wanted.has(message.base) && !done.has(keyOf(message)));
    for (const [folder, { mode }] of again.folders) {
      if (!listing.folders.has(folder) && pending.some((message) => message.folder === folder)) {
        addFolder(listing, again, folder, mode);
      }
    }
  }
  return rows;

  /** Two files with one base name are two messages, unless they are the same content: then one was seen twice, under two flags. */
  function keep(row: MessageRow) {
    for (let copy = 1; ; copy += 1) {
      const base = copy === 1 ? row.base : `${row.base}.copy${copy}`;
      const known = done.get(keyOf({ ...row, base }));
      if (known === row.sha256) return;
      if (known !== undefined) continue;
      done.set(keyOf({ ...row, base }), row.sha256);
      rows.push({ ...row, base });
      return;
    }
  }
}

/** A folder that appeared after the first listing, with the directories above it. */
function addFolder(listing: Listing, again: Listing, folder: string, mode: number): void {
  listing.folders.set(folder, { mode });
  for (let end = folder.lastIndexOf("/"); end > 0; end = folder.lastIndexOf("/", end - 1)) {
    const parent = folder.slice(0, end);
    if (listing.folders.has(parent) || listing.directories.has(parent)) return;
    const asFolder = again.folders.get(parent);
    if (asFolder) listing.folders.set(parent, asFolder);
    else listing.directories.set(parent, again.directories.get(parent) ?? { mode });
  }
}

const keyOf = ({ folder, base }: { folder: string; base: string }) => `${folder}\0${base}`;

/**
 * A message by its listed name or, where that is gone, by its base name in the same folder. `undefined`: not in this folder;
 * `special`: there, but a directory, a link or a device.
 */
async function readMessage(
  mailbox: string,
  listed: ListedMessage,
  archives: ArchiveWriter,
  { files, clock, signal }: World,
): Promise<MessageRow | "special" | undefined> {
  let message: ListedMessage | undefined = listed;
  for (let look = 1; ; look += 1) {
    if (message !== undefined) {
      const { folder, state, base, info } = message;
      const path = `${mailbox}/${folder}/${state}/${base}${info}`;
      try {
        return { folder, state, base, info, ...(await archives.add(path)) };
      } catch (error) {
        if (isSpecial(files, path)) return "special";
        if (!isAbsent(error)) throw error;
      }
    }
    if (look === looksAtOnce) return undefined;
    message = undefined;
    for (const state of messageStates) {
      for (const name of listNames(files, `${mailbox}/${listed.folder}/${state}`)) {
        const { base, info } = parseMessageName(name);
        if (base === listed.base) message = { folder: listed.folder, state, base, info };
      }
    }
    // Not found in one listing proves little while it is being renamed; a few of them prove that it is not here.
    if (message === undefined) {
      if (look >= looksAtOnce / 3) return undefined;
      await clock.sleep(look, signal);
    }
  }
}

function isSpecial(files: Files, path: string): boolean {
  try {
    return !files.lstatSync(bytePath(path)).isFile();
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

function ownRow(mailbox: string, path: string, { files }: World): string {
  const { uid, gid } = files.statSync(bytePath(mailbox));
  return rowOf.mailbox(path, uid, gid);
}

function* treeRows(mailbox: string, { folders, directories, links }: Listing, { files }: World): Generator<string> {
  for (const [path, { mode }] of directories) yield rowOf.directory(path, mode);
  for (const [path, { mode }] of folders) yield rowOf.folder(path, mode);
  for (const path of links) {
    try {
      yield rowOf.link(path, files.readlinkSync(bytePath(`${mailbox}/${path}`), "latin1"));
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
}

/**
 * Everything that is not a message: `dovecot-uidlist` above all. It is read after the messages, so that it knows at least
 * those; a UID that it gives to a later one is then only skipped. Returns how many files were gone.
 */
async function fileRows(
  mailbox: string,
  listing: Listing,
  archives: ArchiveWriter,
  rows: string[],
  world: World,
): Promise<number> {
  let gone = 0;
  for (const path of listing.files) {
    world.signal.throwIfAborted();
    const row = await captureFile(`${mailbox}/${path}`, archives, world);
    if (row === undefined) gone += 1;
    else rows.push(rowOf.file(path, row));
  }
  return gone;
}

async function captureFile(path: string, archives: ArchiveWriter, { clock, signal }: World) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await archives.add(path);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      // Dovecot rewrites these files in place or by rename: a change while one is read is no failure, the next read is whole.
      if (!(error instanceof MailarkError) || error.code !== "CAPTURE_FAILED" || attempt === 10) throw error;
      await clock.sleep(attempt * 5, signal);
    }
  }
}

async function* encode(rows: readonly string[]): AsyncGenerator<Buffer> {
  for (let start = 0; start < rows.length; start += 1000) {
    yield Buffer.from(rows.slice(start, start + 1000).join(""), "latin1");
  }
}
