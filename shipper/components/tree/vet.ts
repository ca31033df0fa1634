/**
 * Judges the members of an archive before anything acts on them. Whatever could leave its tree, stand in the way of another member, or come
 * back with more rights than a file has, is a finding; the others pass.
 */
import type { Member } from "./member.ts";

/** Why a member, or something of it, does not pass. */
export type Problem =
  | "name" // absolute, with `..`, `.` or an empty element, or longer than any can be
  | "below" // below what is no directory
  | "duplicate" // a second thing at one path
  | "hardlink" // to anything but a file before it
  | "special" // a device or a FIFO
  | "size" // more than there is room for
  | "unknown" // a kind that mailark does not know
  | "rights" // set-user-ID or set-group-ID on a file: passes without
  | "attribute"; // an attribute other than `user.…`, or a list that is none: passes without

export interface Finding {
  readonly path: string;
  readonly problem: Problem;
}

export interface Verdict {
  /** What passes, possibly less than what came; `undefined`: nothing. */
  readonly member: Member | undefined;
  readonly problems: readonly Problem[];
}

/** What tells a whole member from one that passes without something. */
export const takesWhole = (problem: Problem): boolean => problem !== "rights" && problem !== "attribute";

export interface Room {
  /** Bytes that files may take in all. */
  readonly free: number;
  /** Bytes that one file may have with its holes. */
  readonly capacity: number;
}

const unlimited: Room = { free: Number.MAX_SAFE_INTEGER, capacity: Number.MAX_SAFE_INTEGER };
const setIdBits = 0o6000;

/** The members of one archive, in their order. */
export class Vetting {
  readonly #room: Room;
  /** What is at each path; `implied` for a directory that no member was, yet. */
  readonly #seen = new Map<string, Member["kind"] | "implied">();
  #used = 0;

  constructor(room: Room = unlimited) {
    this.#room = room;
  }

  judge(member: Member): Verdict {
    const problem = this.#problemOf(member);
    if (problem !== undefined) return { member: undefined, problems: [problem] };
    this.#seen.set(member.path, member.kind);
    for (const parent of parentsOf(member.path)) if (!this.#seen.has(parent)) this.#seen.set(parent, "implied");
    this.#used += member.stored;
    return strip(member);
  }

  #problemOf({ path, kind, target, stored, size }: Member): Problem | undefined {
    if (kind === "device" || kind === "fifo") return "special";
    if (kind === "unknown") return "unknown";
    if (!isSafe(path) || target.includes("\0") || target.length > maximumPath) return "name";
    if (kind === "symlink" && target === "") return "name";
    const before = this.#seen.get(path);
    if (before !== undefined && !(before === "implied" && kind === "directory")) return "duplicate";
    const isDirectory = (parent: string) => ["directory", "implied", undefined].includes(this.#seen.get(parent));
    if (!parentsOf(path).every(isDirectory)) return "below";
    if (kind === "hardlink" && !(isSafe(target) && ["file", "hardlink"].includes(this.#seen.get(target) ?? ""))) {
      return "hardlink";
    }
    if (this.#used + stored > this.#room.free || size > this.#room.capacity) return "size";
    return undefined;
  }
}

const maximumPath = 4095;

/** A path of names below the top, none of which can lead out of it. */
function isSafe(path: string): boolean {
  if (path.length > maximumPath || path.includes("\0")) return false;
  return path.split("/").every((name) => name !== "" && name !== "." && name !== ".." && name.length <= 255);
}

/** Every directory that a path is below, the nearest last. */
export function parentsOf(path: string): string[] {
  const names = path.split("/");
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join("/"));
}

/** A member without what would give it more than a file has. */
function strip(member: Member): Verdict {
  const problems: Problem[] = [];
  const carriesRights = member.kind === "file" || member.kind === "hardlink";
  const mode = carriesRights ? member.mode & ~setIdBits : member.mode;
  if (mode !== member.mode) problems.push("rights");
  const attributes = new Map([...member.attributes].filter(([name]) => /^user\../.test(name)));
  const acl = Object.fromEntries(Object.entries(member.acl).filter(([, text]) => isAcl(text)));
  const all = member.attributes.size + Object.keys(member.acl).length;
  if (attributes.size + Object.keys(acl).length < all) problems.push("attribute");
  return { member: { ...member, mode, attributes, acl }, problems };
}

/** Lines of `tag:qualifier:permissions`, as acl(5) writes them; an empty list is none. */
const isAcl = (text: string) =>
  text.length <= 65_536 && /^((user|group|mask|other):[^:\s,]*:[r-][w-][x-](\s*#[^\n]*)?\n?)*$/.test(text);
