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
  const union = new Map<string, ListedMessage>();
  for (let pass = 1; ; pass += 1) {
    signal.throwIfAborted();
    const startedAt = clock.now();
    const tree = listTree(files, mailbox);
    const wait = untilQuiet(files, mailbox, tree, startedAt);
    if (wait === 0) return { ...tree, proof: "quiet" };
    for (const message of tree.messages) union.set(`${message.folder}\0${message.base}`, message);
    if (pass >= mostPasses || (pass >= fewestPasses && missing(files, mailbox, tree, union) === 0)) {
      return { ...tree, messages: [...union.values()], proof: "agreed" };
    }
    await clock.sleep(wait, signal);
  }
}

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
function missing(files: Files, mailbox: string, { folders }: Tree, union: ReadonlyMap<string, ListedMessage>): number {
  let count = 0;
  for (const folder of folders.keys()) {
    for (const base of uidlistNames(files, `${mailbox}/${folder}/dovecot-uidlist`)) {
      if (!union.has(`${folder}\0${base}`)) count += 1;
    }
  }
  return count;
}

function uidlistNames(files: Files, path: string): Iterable<string> {
  try {
    return parseUidlist(readFile(files, path).content)?.uids.keys() ?? [];
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
