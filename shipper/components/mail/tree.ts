/**
 * One pass over a mailbox's directories: what is there, by name, and the stamps by which a change during the pass shows.
 */
import type { Dirent } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath } from "../byte-path.ts";
import { parseMessageName } from "./message-name.ts";

/** The two directories of a folder that hold messages; `tmp` holds what is not delivered yet. */
export const messageStates = ["new", "cur"] as const;
export type MessageState = (typeof messageStates)[number];

export interface ListedMessage {
  /** Path of the folder below the mailbox; `.` for the mailbox itself. */
  readonly folder: string;
  readonly state: MessageState;
  readonly base: string;
  readonly info: string;
}

/** Names below a mailbox, all paths relative to it. */
export interface Tree {
  readonly folders: Map<string, { readonly mode: number }>;
  readonly directories: Map<string, { readonly mode: number }>;
  /** Regular files outside `new`, `cur` and `tmp`. */
  readonly files: string[];
  readonly links: string[];
  readonly messages: ListedMessage[];
  /** Sockets, pipes, devices: they can not be captured. */
  readonly others: string[];
  /** Every directory that was listed, with its stamp from **before** it was. */
  readonly stamps: Map<string, Stamp>;
}

export interface Stamp {
  readonly modified: bigint;
  readonly changed: bigint;
}

/** Dovecot makes these again; or they mean nothing on another day. */
const leftOut = /^(dovecot\.index.*|dovecot\.list\.index.*|.*\.lock|dovecot-uidlist\.tmp.*|\.nfs.*|\.temp\..*)$/s;

/** Made by Dovecot in mailboxes of its own formats. */
const otherLayouts = /^(dbox-Mails|dovecot\.map\.index|mdbox)$/;
const inFolder = new Set(["cur", "new", "tmp"]);

/** Lists a mailbox once. What vanishes meanwhile is left out; any other failure throws as it is, and what is no Maildir `CAPTURE_FAILED`. */
export function listTree(files: Files, mailbox: string): Tree {
  const tree: Tree = {
    folders: new Map(),
    directories: new Map(),
    files: [],
    links: [],
    messages: [],
    others: [],
    stamps: new Map(),
  };
  visit(".");
  return tree;

  function visit(path: string) {
    const stamp = stampOf(files, `${mailbox}/${path}`);
    if (stamp === undefined) return;
    tree.stamps.set(path, stamp);
    const entries = readDirectory(files, `${mailbox}/${path}`) ?? [];
    const isFolder = entries.some((entry) => entry.name === "cur" && entry.isDirectory());
    refuseUnlessMaildir(path, entries);
    (isFolder ? tree.folders : tree.directories).set(path, { mode: stamp.mode });
    for (const entry of entries) {
      const child = path === "." ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) {
        if (isFolder && (entry.name === "new" || entry.name === "cur")) visitMessages(path, entry.name);
        else if (!(isFolder && entry.name === "tmp")) visit(child);
      } else if (isFolder && inFolder.has(entry.name)) tree.others.push(child);
      else if (leftOut.test(entry.name)) continue;
      else if (entry.isFile()) tree.files.push(child);
      else if (entry.isSymbolicLink()) tree.links.push(child);
      else tree.others.push(child);
    }
  }

  /** What is not there by name would be left out, and nobody would know. */
  function refuseUnlessMaildir(path: string, entries: readonly Dirent[]) {
    for (const entry of entries) {
      const linked = entry.isSymbolicLink() && (entry.name === "cur" || entry.name === "new");
      if (!linked && !otherLayouts.test(entry.name)) continue;
      throw new MailarkError("CAPTURE_FAILED", linked ? "the messages are behind a link" : "not a Maildir", {
        detail: `${mailbox}/${path}/${entry.name}`,
        hint: linked
          ? "give the mailbox directories of its own"
          : "only Maildir is supported, not mdbox, sdbox or mbox",
      });
    }
  }

  function visitMessages(folder: string, state: MessageState) {
    const path = `${folder}/${state}`;
    const stamp = stampOf(files, `${mailbox}/${path}`);
    if (stamp === undefined) return;
    tree.stamps.set(path, stamp);
    for (const name of listNames(files, `${mailbox}/${path}`)) {
      if (!name.startsWith(".")) tree.messages.push({ folder, state, ...parseMessageName(name) });
    }
  }
}

/** Names in a directory, unsorted; none where it is gone. */
export function listNames(files: Files, path: string): string[] {
  try {
    return files.readdirSync(bytePath(path), { encoding: "latin1" }) as string[];
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** The times by which a change of a directory's entries shows, or `undefined` where it is gone. */
export function stampOf(files: Files, path: string): (Stamp & { mode: number }) | undefined {
  try {
    const { mtimeNs, ctimeNs, mode } = files.statSync(bytePath(path), { bigint: true });
    return { modified: mtimeNs, changed: ctimeNs, mode: Number(mode) & 0o7777 };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

function readDirectory(files: Files, path: string): Dirent[] | undefined {
  try {
    return files.readdirSync(bytePath(path), { withFileTypes: true, encoding: "latin1" }) as Dirent[];
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
