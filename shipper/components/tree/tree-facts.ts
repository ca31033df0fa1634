/** What was in a tree when it was captured: the part `facts` (docs/format.md §8.6). */
import { createHash } from "node:crypto";
import { MailarkError } from "../../../core/errors.ts";
import { escapeName, formatRow, readRows, unescapeName } from "../../../core/rows.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Entry, Member } from "./member.ts";

/** A member as it was captured. */
export interface TreeEntry
  extends Pick<
    Member,
    "path" | "kind" | "mode" | "uid" | "gid" | "user" | "group" | "modified" | "size" | "target" | "attributes" | "acl"
  > {
  /** SHA-256 of a file's content, holes as zeros; `undefined`: no file, or too large a hole to count it. */
  readonly sha256: string | undefined;
}

export interface TreeFacts {
  /** The paths that were asked for and were there, in latin1, without the slash at the beginning. */
  readonly roots: readonly string[];
  /** In the order of the archive. */
  readonly entries: readonly TreeEntry[];
  /** The tree was captured in another place, such as a container: names of owners mean nothing on this machine. */
  readonly elsewhere: boolean;
}

/** A larger sparse file is not read through its holes. */
const largestCounted = 16 * 1024 ** 3;

/** Hashes a member's bytes on their way; `done` gets what it adds up to. */
export async function* measured(
  { member, chunks }: Entry,
  done: (entry: TreeEntry) => unknown,
): AsyncGenerator<Buffer> {
  const hash = new ContentHash(member);
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  await done({ ...member, sha256: hash.digest() });
}

/** Of a file's content as a program reads it: with its holes. */
class ContentHash {
  readonly #sha256 = createHash("sha256");
  readonly #member: Member;
  #at = 0;
  #extent = 0;
  #inExtent = 0;

  constructor(member: Member) {
    this.#member = member;
  }

  get #counted(): boolean {
    return this.#member.kind === "file" && !(this.#member.extents && this.#member.size > largestCounted);
  }

  update(chunk: Buffer): void {
    if (!this.#counted) return;
    const { extents } = this.#member;
    if (extents === undefined) {
      this.#sha256.update(chunk);
      return;
    }
    for (let rest = chunk; rest.length > 0; ) {
      const { offset, bytes } = extents[this.#extent]!;
      this.#zerosUntil(offset);
      const taken = rest.subarray(0, bytes - this.#inExtent);
      this.#sha256.update(taken);
      this.#at += taken.length;
      this.#inExtent += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#inExtent === bytes) {
        this.#extent += 1;
        this.#inExtent = 0;
      }
    }
  }

  digest(): string | undefined {
    if (!this.#counted) return undefined;
    if (this.#member.extents) this.#zerosUntil(this.#member.size);
    return this.#sha256.digest("hex");
  }

  #zerosUntil(offset: number): void {
    if (this.#inExtent > 0) return;
    for (let left = offset - this.#at; left > 0; left -= zeros.length) this.#sha256.update(zeros.subarray(0, left));
    this.#at = Math.max(this.#at, offset);
  }
}

const zeros = Buffer.alloc(1024 * 1024);

/** The rows of one entry. */
export function rowsOf(entry: TreeEntry): string {
  const { path, kind, mode, uid, gid, user, group, modified, size, sha256, target, attributes, acl } = entry;
  const at = escapeName(path);
  const owner = [uid, gid, escapeName(user), escapeName(group)];
  const permissions = mode.toString(8).padStart(4, "0");
  const more = [...attributes].map(([name, value]) => formatRow("xattr", at, escapeName(name), escapeName(value)));
  for (const [which, text] of Object.entries(acl)) more.push(formatRow("acl", at, which, escapeName(text)));
  if (kind === "hardlink") return formatRow(kind, at, escapeName(target));
  const own = kind === "file" ? [size, sha256 ?? "-"] : kind === "symlink" ? [escapeName(target)] : [];
  return formatRow(kind, at, permissions, ...owner, modified, ...own) + more.join("");
}

/** The head of the part: what was asked for. */
export const headRows = (roots: readonly string[], elsewhere: boolean): string =>
  roots.map((root) => formatRow("root", escapeName(root))).join("") + (elsewhere ? formatRow("elsewhere") : "");

/**
 * All of it, in memory: about half a kilobyte an entry.
 *
 * @throws MailarkError `OBJECT_CORRUPT` for rows that the format does not allow.
 */
export async function readTreeFacts(snapshot: SnapshotReader, part = "facts"): Promise<TreeFacts> {
  const roots: string[] = [];
  const entries: TreeEntry[] = [];
  let elsewhere = false;
  for await (const one of readTreeRows(snapshot, part)) {
    if (typeof one === "string") roots.push(one);
    else if (one === undefined) elsewhere = true;
    else entries.push(one);
  }
  return { roots, entries, elsewhere };
}

/** One after the other: a root as its path, an entry with its attributes, `undefined` for another place. Throws as {@link readTreeFacts}. */
export async function* readTreeRows(
  snapshot: SnapshotReader,
  part = "facts",
): AsyncGenerator<string | TreeEntry | undefined> {
  let last: TreeEntry | undefined;
  for await (const [word, path = "", ...fields] of readRows(snapshot.readPart(snapshot.part(part)))) {
    const at = unescapeName(path);
    if (word === "xattr" || word === "acl") {
      const [name = "", value = ""] = fields.map(unescapeName);
      if (last === undefined || last.path !== at) throw corruptFacts();
      if (word === "xattr") last = { ...last, attributes: new Map([...last.attributes, [name, value]]) };
      else last = { ...last, acl: { ...last.acl, [name]: value } };
      continue;
    }
    if (word === "elsewhere") yield undefined;
    else if (word === "root") yield at;
    else if (word === "hardlink" || word === "file" || word === "directory" || word === "symlink") {
      if (last !== undefined) yield last;
      last =
        word === "hardlink"
          ? { ...nothing, path: at, kind: word, target: unescapeName(fields[0] ?? "") }
          : entryOf(word, at, fields);
    }
  }
  if (last !== undefined) yield last;
}

const nothing: Omit<TreeEntry, "path" | "kind"> = {
  mode: 0,
  uid: 0,
  gid: 0,
  user: "",
  group: "",
  modified: "0",
  size: 0,
  target: "",
  attributes: new Map(),
  acl: {},
  sha256: undefined,
};

function entryOf(kind: "file" | "directory" | "symlink", path: string, fields: readonly string[]): TreeEntry {
  const [mode = "", uid = "", gid = "", user = "", group = "", modified = "", first = "", sha256 = ""] = fields;
  const numbers = [uid, gid, ...(kind === "file" ? [first] : [])];
  const isWhole =
    /^[0-7]{4}$/.test(mode) &&
    numbers.every((field) => /^(0|[1-9][0-9]{0,15})$/.test(field)) &&
    /^-?[0-9]{1,15}(\.[0-9]{1,9})?$/.test(modified) &&
    (kind !== "file" || /^([0-9a-f]{64}|-)$/.test(sha256));
  if (!isWhole) throw corruptFacts();
  return {
    ...nothing,
    path,
    kind,
    mode: Number.parseInt(mode, 8),
    uid: Number(uid),
    gid: Number(gid),
    user: unescapeName(user),
    group: unescapeName(group),
    modified,
    ...(kind === "file" && { size: Number(first), sha256: sha256 === "-" ? undefined : sha256 }),
    ...(kind === "symlink" && { target: unescapeName(first) }),
  };
}

const corruptFacts = () => new MailarkError("OBJECT_CORRUPT", "the list of captured files is not as the format says");
