/**
 * One mailbox: list it whole, read every message, write its index.
 */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import { isAbsent } from "../../../core/ports/files.ts";
import { readRows } from "../../../core/rows.ts";
import type { SegmentLocation } from "../../pipeline/pack-lane.ts";
import type { SealingKey, SnapshotWriter } from "../../pipeline/snapshot-writer.ts";
import { bytePath } from "../byte-path.ts";
import type { World } from "../component.ts";
import { ArchiveWriter } from "./archive-writer.ts";
import type { DovecotCounters } from "./dovecot-counters.ts";
import { parseKeywords } from "./dovecot-keywords.ts";
import { parentOf, replayIndex, rowOf } from "./index-rows.ts";
import { listMailbox } from "./listing.ts";
import { readFile, realPath } from "./read-file.ts";
import { readMessages } from "./read-messages.ts";
import type { Tree } from "./tree.ts";
import { parseUidlist, type Uidlist } from "./uidlist.ts";

export interface CapturedMailbox {
  readonly messages: number;
  readonly messageBytes: number;
  readonly folders: number;
  readonly files: number;
  /** Messages that are there and can not be read: path → why. */
  readonly unreadable: ReadonlyMap<string, unknown>;
  /** Sockets, pipes, devices that were left out. */
  readonly others: number;
  /** Links to directories: they are captured, what is behind them is not. */
  readonly linkedDirectories: number;
  /** The segments of its index, once they are stored. */
  readonly index: Promise<readonly SegmentLocation[]>;
}

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
  dovecot: DovecotCounters,
): Promise<CapturedMailbox> {
  const { files } = world;
  const root = realPath(files, mailbox.slice(0, -path.length));
  const within = root && `${root === "/" ? "" : root}/${path}`;
  const archives = new ArchiveWriter(writer, key, files, within);
  const tree: Tree = await listMailbox(mailbox, world);
  const { rows: messages, unreadable } = await readMessages(mailbox, tree, archives, world);
  settle(tree);
  const links = linkRows(mailbox, tree, world);
  const { rows: fileRows, dovecotFiles } = await readFiles(mailbox, tree, archives, world, within);
  const { uid, gid } = files.statSync(bytePath(mailbox));
  const rows = [
    rowOf.mailbox(path, uid, gid),
    ...[...tree.directories].map(([directory, { mode }]) => rowOf.directory(directory, mode)),
    ...[...tree.folders].map(([folder, { mode }]) => rowOf.folder(folder, mode)),
    ...links.rows,
    ...fileRows,
    ...messages.map(rowOf.put),
    ...(await indexedRows(dovecotFiles, dovecot)),
  ];
  await proveReadable(rows);

  const index = archives.finish().then(async (segments) => {
    for (const { archive, segment } of segments) rows.push(rowOf.archive(archive, segment));
    return writer.segments(encode(rows), key, "index");
  });
  index.catch(() => {});
  return {
    messages: messages.length,
    messageBytes: messages.reduce((sum, { bytes }) => sum + bytes, 0),
    folders: tree.folders.size,
    files: fileRows.length,
    unreadable,
    others: tree.others.length,
    linkedDirectories: links.directories,
    index,
  };
}

/**
 * What several listings of a mailbox in use add up to need not fit together: a path may have been two things, or have lost its
 * parent. Each path becomes one thing, the one that can hold most, and gets its parents.
 */
function settle(tree: Tree): void {
  const { folders, directories } = tree;
  for (const path of folders.keys()) directories.delete(path);
  const isDirectory = (path: string) => folders.has(path) || directories.has(path);
  const inFolder = (path: string) => folders.has(parentOf(path)) && /(^|\/)(cur|new|tmp)$/.test(path);
  for (const path of [...directories.keys()]) if (inFolder(path)) directories.delete(path);
  for (const path of [...folders.keys(), ...directories.keys(), ...tree.files, ...tree.links]) {
    for (let parent = parentOf(path); !isDirectory(parent); parent = parentOf(parent)) {
      directories.set(parent, { mode: 0o700 });
    }
  }
  const known = new Set<string>();
  for (const paths of [tree.files, tree.links]) {
    const kept = paths.filter((path) => !isDirectory(path) && !inFolder(path) && !known.has(path));
    for (const path of kept) known.add(path);
    paths.splice(0, paths.length);
    for (const path of kept) paths.push(path);
  }
}

/** Nothing is stored that a restore would refuse: its own reader goes over the rows first. */
async function proveReadable(rows: readonly string[]): Promise<void> {
  try {
    await replayIndex(readRows(encode(rows)));
  } catch (cause) {
    throw new MailarkError(
      "CAPTURE_FAILED",
      `what was listed does not fit together: ${asMailarkError(cause).message}`,
      {
        hint: "the mailbox was being rebuilt; the next backup tries again",
        retryable: true,
        cause,
      },
    );
  }
}

function linkRows(mailbox: string, { links }: Tree, { files }: World): { rows: string[]; directories: number } {
  const rows: string[] = [];
  let directories = 0;
  for (const path of links) {
    const full = bytePath(`${mailbox}/${path}`);
    try {
      rows.push(rowOf.link(path, files.readlinkSync(full, "latin1")));
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
    if (files.statSync(full, { throwIfNoEntry: false })?.isDirectory()) directories += 1;
  }
  return { rows, directories };
}

/**
 * Everything that is not a message: `dovecot-uidlist` above all. It is read after the messages, so that it knows at least
 * those; a UID that it gives to a later one is then only skipped. What is gone by now is left out.
 */
async function readFiles(mailbox: string, tree: Tree, archives: ArchiveWriter, world: World, within?: string) {
  const rows: string[] = [];
  const dovecotFiles: DovecotFiles = { uidlists: new Map(), keywords: new Map() };
  for (const path of tree.files) {
    world.signal.throwIfAborted();
    const row = await captureFile(mailbox, path, archives, world, dovecotFiles, within);
    if (row !== undefined) rows.push(rowOf.file(path, row));
  }
  return { rows, dovecotFiles };
}

/** By folder, as they were stored. */
interface DovecotFiles {
  readonly uidlists: Map<string, Uidlist>;
  readonly keywords: Map<string, ReadonlyMap<string, string>>;
}

async function captureFile(
  mailbox: string,
  path: string,
  archives: ArchiveWriter,
  { files, clock, signal }: World,
  { uidlists, keywords }: DovecotFiles,
  within: string | undefined,
) {
  const [, folder = ".", name = path] = /^(?:(.*)\/)?([^/]*)$/s.exec(path) ?? [];
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (name !== "dovecot-uidlist" && name !== "dovecot-keywords") return await archives.add(`${mailbox}/${path}`);
      const { content, stats } = readFile(files, `${mailbox}/${path}`, within);
      // Dovecot adds lines to it without a lock that others could see: what does not parse is half a line.
      const uidlist = name === "dovecot-uidlist" ? parseUidlist(content) : undefined;
      if (uidlist !== undefined) uidlists.set(folder, uidlist);
      if (name === "dovecot-keywords") keywords.set(folder, parseKeywords(content));
      if (uidlist !== undefined || name === "dovecot-keywords" || attempt === 10) {
        return stats.size > mostInMemory
          ? await archives.add(`${mailbox}/${path}`)
          : await archives.addContent(content, stats);
      }
    } catch (error) {
      if (isAbsent(error)) return undefined;
      // These files are rewritten in place or by rename: a change while one is read is no failure, the next read is whole.
      if (!(error instanceof MailarkError) || error.code !== "CAPTURE_FAILED" || attempt === 10) throw error;
    }
    await clock.sleep(attempt * 5, signal);
  }
}

/** What is larger has an archive of its own. In bytes. */
const mostInMemory = 4 * 1024 * 1024;
/** As many as a Maildir has letters for: there may be more, in Dovecot's index only. */
const allLetters = 26;

/** What Dovecot keeps of these folders in its index only. */
async function indexedRows({ uidlists, keywords }: DovecotFiles, dovecot: DovecotCounters): Promise<string[]> {
  const rows: string[] = [];
  for (const [folder, { folderGuid, uidValidity }] of uidlists) {
    const counters = folderGuid === undefined ? undefined : dovecot.counters(folderGuid);
    if (counters?.uidValidity !== uidValidity) continue;
    rows.push(rowOf.status(folder, counters));
    const known = new Set(keywords.get(folder)?.values());
    if (known.size < allLetters) continue;
    for (const [keyword, uids] of await dovecot.keywords(folderGuid!, known)) {
      for (let start = 0; start < uids.length; start += 1000)
        rows.push(rowOf.keyword(folder, keyword, uids.slice(start, start + 1000)));
    }
  }
  return rows;
}

async function* encode(rows: readonly string[]): AsyncGenerator<Buffer> {
  for (let start = 0; start < rows.length; start += 1000) {
    yield Buffer.from(rows.slice(start, start + 1000).join(""), "latin1");
  }
}
