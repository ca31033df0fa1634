/**
 * Listing a mailbox that is in use, so that no message escapes.
 *
 * One pass is not enough: a file that is renamed during readdir may be shown under neither name, and a message that is moved from
 * a folder not yet listed to one already listed escapes both. Two things prove a listing whole:
 *
 * - **quiet**: no directory of the mailbox changed from before the pass to after it, by its times, and none had changed so shortly
 *   before that a change in the pass could bear the same time. Then this one pass is the truth.
 * - **agreed**: where the mailbox never keeps still. POSIX promises that readdir shows every entry that is neither added nor removed
 *   meanwhile, so only what is renamed in *each* pass can be missing from the union of passes; and what Dovecot renames stands in
 *   its `dovecot-uidlist`. Passes go on until their union has every name of every uidlist.
 */
import { MailarkError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { readFile } from "./read-file.ts";
import { type ListedMessage, listTree, type Stamp, stampOf, type Tree } from "./tree.ts";
import { parseUidlist } from "./uidlist.ts";

export interface Listing extends Tree {
  readonly proof: "quiet" | "agreed";
}

/** A directory that changed this long ago, in milliseconds, would show another change by another time. */
const fineGrain = 40;
/** The same for file systems that keep whole seconds. */
const coarseGrain = 2000;
const fewestPasses = 4;
/** A uidlist is pruned lazily: what so many passes did not find is not there. */
const mostPasses = 40;

export async function listMailbox(
  mailbox: string,
  { files, clock, signal }: { files: Files; clock: Clock; signal: AbortSignal },
): Promise<Listing> {
  let union: Tree | undefined;
  for (let pass = 1; ; pass += 1) {
    signal.throwIfAborted();
    const { tree, wait } = lookOnce(files, clock, mailbox);
    if (wait === 0) return { ...tree, proof: "quiet" };
    if (union === undefined) union = tree;
    else unite(union, tree);
    if (pass >= mostPasses || (pass >= fewestPasses && missing(files, mailbox, union) === 0)) {
      return { ...union, proof: "agreed" };
    }
    await clock.sleep(wait, signal);
  }
}

/** One pass, and how long to wait before the next, in milliseconds: 0 when this one is proven whole. */
export function lookOnce(files: Files, clock: Clock, mailbox: string): { readonly tree: Tree; readonly wait: number } {
  const startedAt = clock.now();
  const tree = listTree(files, mailbox);
  return { tree, wait: untilQuiet(files, mailbox, tree, startedAt) };
}

/** Adds to `union` what `later` shows: of a message that both show, the later name. What only one of them shows stays. */
export function unite(union: Tree, later: Tree): void {
  for (const [path, folder] of later.folders) union.folders.set(path, folder);
  for (const [path, directory] of later.directories) union.directories.set(path, directory);
  for (const name of ["files", "links", "others"] as const) {
    const known = new Set(union[name]);
    for (const path of later[name]) if (!known.has(path)) union[name].push(path);
  }
  const messages = new Map(union.messages.map((message) => [nameOf(message), message]));
  for (const message of later.messages) messages.set(nameOf(message), message);
  union.messages.splice(0, union.messages.length);
  for (const message of messages.values()) union.messages.push(message);
}

const nameOf = ({ folder, base }: ListedMessage) => `${folder}\0${base}`;

/** 0 when the pass is proven whole; otherwise how long to wait before the next, in milliseconds. */
function untilQuiet(files: Files, mailbox: string, { stamps }: Tree, startedAt: number): number {
  let wait = 0;
  for (const [path, before] of stamps) {
    const after = stampOf(files, `${mailbox}/${path}`);
    if (after === undefined || after.modified !== before.modified || after.changed !== before.changed) {
      wait = Math.max(wait, fineGrain / 4);
      continue;
    }
    const age = startedAt - ageStart(before);
    const grain = before.modified % 1_000_000_000n === 0n ? coarseGrain : fineGrain;
    if (age < grain) wait = Math.max(wait, Math.min(grain, grain - age));
  }
  return wait;
}

const ageStart = ({ modified, changed }: Stamp) => Number((modified > changed ? modified : changed) / 1_000_000n);

/** How many names stand in a uidlist and in no pass. */
function missing(files: Files, mailbox: string, { folders, messages }: Tree): number {
  const seen = new Set(messages.map(nameOf));
  let count = 0;
  for (const folder of folders.keys()) {
    const names = uidlistNames(files, `${mailbox}/${folder}/dovecot-uidlist`);
    if (names === undefined) count += 1;
    else for (const base of names) if (!seen.has(`${folder}\0${base}`)) count += 1;
  }
  return count;
}

/** `undefined`: it could not be read whole just now. */
function uidlistNames(files: Files, path: string): Iterable<string> | undefined {
  try {
    return parseUidlist(readFile(files, path).content)?.uids.keys();
  } catch (error) {
    if (isAbsent(error)) return [];
    if (error instanceof MailarkError && error.code === "CAPTURE_FAILED") return undefined;
    throw error;
  }
}
