/**
 * The index of a mailbox: its rows, and what they add up to (docs/format.md §8.1).
 */
import { MailarkError } from "../../../core/errors.ts";
import { escapeName, formatRow, safePath, unescapeName } from "../../../core/rows.ts";
import type { SegmentLocation } from "../../pipeline/pack-lane.ts";
import type { Counters } from "./dovecot-counters.ts";
import { isKeyword } from "./dovecot-keywords.ts";
import type { ListedMessage, MessageState } from "./tree.ts";
import { formatUidSet, parseUidSet } from "./uid-set.ts";

/** A content: what a file holds, found by its hash in an archive. */
export interface Content {
  readonly bytes: number;
  /** Seconds since 1970, with up to three decimals. */
  readonly modified: string;
  readonly sha256: string;
  readonly archive: number;
}

export interface MessageRow extends ListedMessage, FileRow {}
export interface FileRow extends Content {
  readonly mode: number;
}
export interface ArchiveSegment extends SegmentLocation {
  readonly keyId: string;
}

export const rowOf = {
  mailbox: (path: string, uid: number, gid: number) => formatRow("mailbox", escapeName(path), uid, gid),
  archive: (number: number, { keyId, pack, offset, bytes }: ArchiveSegment) =>
    formatRow("archive", number, keyId, pack, offset, bytes),
  folder: (path: string, mode: number) => formatRow("folder", escapeName(path), octal(mode)),
  directory: (path: string, mode: number) => formatRow("directory", escapeName(path), octal(mode)),
  put: ({ folder, state, info, base, mode, bytes, modified, sha256, archive }: MessageRow) => {
    const names = [escapeName(folder), state, escapeName(info), escapeName(base)];
    return formatRow("put", ...names, octal(mode), bytes, modified, sha256, archive);
  },
  delete: (folder: string, base: string) => formatRow("delete", escapeName(folder), escapeName(base)),
  file: (path: string, { mode, bytes, modified, sha256, archive }: FileRow) =>
    formatRow("file", escapeName(path), octal(mode), bytes, modified, sha256, archive),
  link: (path: string, target: string) => formatRow("link", escapeName(path), escapeName(target)),
  remove: (path: string) => formatRow("remove", escapeName(path)),
  status: (folder: string, { uidValidity, nextUid, highestModseq }: Counters) =>
    formatRow("status", escapeName(folder), uidValidity, nextUid, `${highestModseq}`),
  keyword: (folder: string, keyword: string, uids: readonly number[]) =>
    formatRow("keyword", escapeName(folder), escapeName(keyword), formatUidSet(uids)),
} as const;

/** What an index adds up to. */
export interface Index {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly archives: Map<number, ArchiveSegment[]>;
  readonly folders: Map<string, { mode: number }>;
  readonly directories: Map<string, { mode: number }>;
  /** By folder and base name, with a zero byte between. */
  readonly messages: Map<string, MessageRow>;
  readonly files: Map<string, FileRow>;
  readonly links: Map<string, string>;
  /** By folder, where Dovecot was asked. */
  readonly counters: Map<string, Counters>;
  /** By folder: keywords that no file holds → the UIDs of the messages that have them. */
  readonly keywords: Map<string, Map<string, ReadonlySet<number>>>;
}

/**
 * Adds up the rows of an index in their order. Every path in the result stays below the mailbox, and has its parents among the
 * folders and directories.
 *
 * @throws MailarkError `OBJECT_CORRUPT` for a row that is not as the format says, `PATH_UNSAFE` for a path that would leave.
 */
export async function replayIndex(rows: AsyncIterable<string[]>): Promise<Index> {
  let index: Index | undefined;
  for await (const [word, ...fields] of rows) {
    if (word === "mailbox") index = emptyIndex(fields);
    else if (index === undefined) throw corrupt("does not begin with a mailbox row");
    else apply(index, word!, fields);
  }
  if (index === undefined) throw corrupt("is empty");
  return checkParents(index);
}

function emptyIndex([path, uid, gid]: string[]): Index {
  return {
    path: pathField(path),
    uid: numberField(uid),
    gid: numberField(gid),
    archives: new Map(),
    folders: new Map(),
    directories: new Map(),
    messages: new Map(),
    files: new Map(),
    links: new Map(),
    counters: new Map(),
    keywords: new Map(),
  };
}

function apply(index: Index, word: string, fields: string[]): void {
  const [first, second, third, fourth, fifth] = fields;
  switch (word) {
    case "archive": {
      const number = numberField(first);
      const segments = index.archives.get(number) ?? [];
      segments.push({ keyId: second!, pack: third!, offset: numberField(fourth), bytes: numberField(fifth) });
      index.archives.set(number, segments);
      return;
    }
    case "folder":
    case "directory": {
      const path = pathField(first);
      (word === "folder" ? index.folders : index.directories).set(path, { mode: octalField(second) });
      return;
    }
    case "put": {
      const message = {
        folder: pathField(first),
        state: stateField(second),
        info: nameField(third, true),
        base: nameField(fourth),
        ...fileFields(fields.slice(4)),
      };
      if (message.info !== "" && !message.info.startsWith(":")) throw corrupt("has flags without a colon");
      if (message.base.includes(":")) throw corrupt("has a colon in the base name of a message");
      index.messages.set(`${message.folder}\0${message.base}`, message);
      return;
    }
    case "delete":
      index.messages.delete(`${pathField(first)}\0${nameField(second)}`);
      return;
    case "file": {
      const path = pathField(first);
      index.files.set(path, fileFields(fields.slice(1)));
      return;
    }
    case "link":
      index.links.set(pathField(first), unescapeName(second ?? ""));
      return;
    case "status":
      index.keywords.delete(pathField(first));
      index.counters.set(pathField(first), {
        uidValidity: numberField(second),
        nextUid: numberField(third),
        highestModseq: modseqField(fourth),
      });
      return;
    case "keyword": {
      const path = pathField(first);
      const keywords = index.keywords.get(path) ?? new Map<string, ReadonlySet<number>>();
      const name = keywordField(second);
      const uids = parseUidSet(third ?? "");
      if (uids === undefined) throw corrupt("has UIDs that are none");
      index.keywords.set(path, keywords.set(name, new Set([...(keywords.get(name) ?? []), ...uids])));
      return;
    }
    case "remove":
      remove(index, pathField(first));
  }
}

/** Whatever the path was is gone, and with a folder its messages. */
function remove({ folders, directories, messages, files, links, counters, keywords }: Index, path: string): void {
  for (const paths of [directories, files, links, counters, keywords]) paths.delete(path);
  if (!folders.delete(path)) return;
  for (const [key, { folder }] of messages) if (folder === path) messages.delete(key);
}

function checkParents(index: Index): Index {
  const { folders, directories, messages, files, links } = index;
  const isDirectory = (path: string) => folders.has(path) || directories.has(path);
  const inFolder = (path: string) => folders.has(parentOf(path)) && /(^|\/)(cur|new|tmp)$/.test(path);
  if (!isDirectory(".")) throw corrupt("has no row for the mailbox's own directory");
  const seen = new Set<string>();
  for (const paths of [folders, directories, files, links]) {
    for (const path of paths.keys()) {
      if (seen.has(path)) throw corrupt("says of one path that it is two things");
      seen.add(path);
      if (path !== "." && (!isDirectory(parentOf(path)) || inFolder(path)))
        throw corrupt("has a path without its parent");
    }
  }
  for (const { folder } of messages.values())
    if (!folders.has(folder)) throw corrupt("has a message without its folder");
  return index;
}

export const parentOf = (path: string): string => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".");

const octal = (mode: number) => mode.toString(8).padStart(4, "0");
const corrupt = (why: string) => new MailarkError("OBJECT_CORRUPT", `the index of a mailbox ${why}`);

function pathField(field: string | undefined): string {
  if (!field) throw corrupt("has a row without its path");
  return safePath(unescapeName(field));
}

function nameField(field: string | undefined, mayBeEmpty = false): string {
  const name = unescapeName(field ?? "");
  if (name.includes("/") || name.includes("\0") || name === "." || name === "..") {
    throw new MailarkError("PATH_UNSAFE", "a stored name would leave its folder", { detail: JSON.stringify(name) });
  }
  if (name === "" && !mayBeEmpty) throw corrupt("has a message without a name");
  return name;
}

function numberField(field: string | undefined): number {
  if (!/^(0|[1-9]\d{0,15})$/.test(field ?? "")) throw corrupt("has a number that is none");
  return Number(field);
}

function modseqField(field: string | undefined): bigint {
  if (!/^(0|[1-9]\d{0,18})$/.test(field ?? "")) throw corrupt("has a number that is none");
  return BigInt(field!);
}

function keywordField(field: string | undefined): string {
  const name = unescapeName(field ?? "");
  if (!isKeyword(name)) throw corrupt("has a keyword that is none");
  return name;
}

function octalField(field: string | undefined): number {
  if (!/^[0-7]{4}$/.test(field ?? "")) throw corrupt("has a mode that is none");
  return Number.parseInt(field!, 8);
}

function stateField(field: string | undefined): MessageState {
  if (field === "cur" || field === "new") return field;
  throw corrupt("has a message that is neither in cur nor in new");
}

function fileFields([mode, bytes, modified = "", sha256 = "", archive]: string[]): FileRow {
  if (!/^-?\d{1,13}(\.\d{1,3})?$/.test(modified) || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw corrupt("has a time or a hash that is none");
  }
  return { mode: octalField(mode), bytes: numberField(bytes), modified, sha256, archive: numberField(archive) };
}
