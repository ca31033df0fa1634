/**
 * A mailbox once more, for Dovecot to open: its folders and Dovecot's own files are copies, its messages are links to the real ones. Whatever
 * Dovecot renames, writes or removes there, the mailbox stays as it is.
 */
import { constants } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent, writeWhole } from "../../../core/ports/files.ts";
import { bytePath } from "../byte-path.ts";
import type { Owner } from "./build-mailbox.ts";
import { imapNames, topFolder } from "./imap-folder-name.ts";
import { readFile } from "./read-file.ts";
import { messageStates, type Tree } from "./tree.ts";

export interface CopyPlan {
  /** The directory that is the Maildir. */
  readonly home: string;
  readonly name: string;
  /** Of the copy; `undefined`: who runs this. */
  readonly owner: Owner | undefined;
  /** Gives folders numbers for names. */
  readonly numbered: boolean;
}

/** What tells UIDs, keywords and counters. */
const ownFiles = ["dovecot-uidlist", "dovecot-keywords", "dovecot.index", "dovecot.index.log"];

/**
 * Puts a mailbox into a Maildir of copies: as the folder `name` and those below it.
 *
 * @param mailbox absolute path in latin1, and `tree` what is there.
 * @returns folder of the mailbox → its IMAP name in the copy.
 */
export function copyMailbox(
  files: Files,
  { mailbox, tree }: { readonly mailbox: string; readonly tree: Tree },
  { home, name, owner, numbered }: CopyPlan,
): ReadonlyMap<string, string> {
  const names = imapNames(tree.folders.keys(), topFolder(tree.folders.keys()) ?? ".", name, numbered);
  const placeOf = (folder: string) => `${home}/.${names.get(folder)}`;
  for (const folder of names.keys()) {
    makeDirectory(placeOf(folder));
    for (const state of [...messageStates, "tmp"]) makeDirectory(`${placeOf(folder)}/${state}`);
    for (const file of ownFiles) {
      copyFile(files, `${mailbox}/${folder}/${file}`, `${placeOf(folder)}/${file}`, { owner });
    }
  }
  for (const { folder, state, base, info } of tree.messages) {
    const target = bytePath(`${mailbox}/${folder}/${state}/${base}${info}`);
    files.symlinkSync(target, bytePath(`${placeOf(folder)}/${state}/${base}${info}`));
  }
  return names;

  function makeDirectory(path: string) {
    files.mkdirSync(bytePath(path), { mode: 0o700 });
    if (owner) files.chownSync(bytePath(path), owner.uid, owner.gid);
  }
}

/**
 * Copies a regular file to where nothing is yet; without one it does nothing.
 *
 * @param from absolute path in latin1, and `to` likewise.
 * @param as of the copy; without a mode it is its owner's alone.
 */
export function copyFile(
  files: Files,
  from: string,
  to: string,
  { owner, mode }: { readonly owner: Owner | undefined; readonly mode?: number },
): void {
  const content = contentOf(files, from);
  if (content === undefined) return;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const descriptor = files.openSync(bytePath(to), flags, 0o600);
  try {
    writeWhole(files, descriptor, content);
  } finally {
    files.closeSync(descriptor);
  }
  if (owner) files.chownSync(bytePath(to), owner.uid, owner.gid);
  if (mode !== undefined) files.chmodSync(bytePath(to), mode);
}

/** `undefined` where there is no such regular file. */
export function contentOf(files: Files, path: string): Buffer | undefined {
  try {
    return readFile(files, path).content;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (isAbsent(error) || code === "ELOOP" || (error instanceof MailarkError && error.code === "CAPTURE_FAILED"))
      return undefined;
    throw error;
  }
}
