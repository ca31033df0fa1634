/**
 * Gives a mailbox that is built the indexes without which Dovecot would begin to count anew: HIGHESTMODSEQ above what clients have seen, UIDs that
 * were never given out, and the keywords that no file holds.
 */
import { asMailarkError, type MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { Owner } from "./build-mailbox.ts";
import type { Index } from "./index-rows.ts";
import { type Change, openPrivateDovecot, type PrivateDovecot } from "./private-dovecot.ts";
import { copyFile } from "./private-maildir.ts";
import { listTree } from "./tree.ts";
import { formatUidSet } from "./uid-set.ts";

/** What the host may have given out after the snapshot, plenty for a day of mail. */
const uidsSince = 1000;
const changesSince = 100_000n;

/** What Dovecot counts in. Its other index files are caches. */
const indexFiles = ["dovecot.index", "dovecot.index.log"];

export class RaiseCounters {
  readonly #world: World;
  #dovecot: PrivateDovecot | undefined;
  #failure: MailarkError | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** Why counters that were captured are not in what was restored; `undefined` where they are. */
  get failure(): MailarkError | undefined {
    return this.#failure;
  }

  /**
   * Puts Dovecot's index files into the folders of a mailbox; nothing else there is changed. Without Dovecot that is not done, and told by {@link failure}.
   *
   * @param mailbox absolute path in latin1.
   * @throws only what would meet every mailbox: an interruption, a full disk.
   */
  async raise(mailbox: string, index: Index, owner: Owner | undefined): Promise<void> {
    if (index.counters.size === 0 || this.#failure) return;
    const { files, signal } = this.#world;
    try {
      this.#dovecot ??= await openPrivateDovecot(this.#world, { probe: "/dev/null" });
      const copy = this.#dovecot.copy([{ mailbox, tree: listTree(files, mailbox) }], true);
      try {
        const [names = new Map<string, string>()] = copy.names;
        await this.#dovecot.change(copy, changesOf(index, names));
        for (const folder of index.counters.keys()) {
          const name = names.get(folder);
          if (name === undefined) continue;
          const mode = (index.folders.get(folder)?.mode ?? 0o700) & 0o666;
          for (const file of indexFiles) {
            copyFile(files, `${copy.home}/.${name}/${file}`, `${mailbox}/${folder}/${file}`, { owner, mode });
          }
        }
      } finally {
        await this.#dovecot.discard(copy);
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asMailarkError(thrown);
      if (error.code !== "PROGRAM_FAILED" && error.code !== "PROGRAM_MISSING") throw thrown;
      this.#failure = error;
    }
  }

  async end(): Promise<void> {
    await this.#dovecot?.remove();
  }
}

function changesOf({ counters, keywords }: Index, names: ReadonlyMap<string, string>): Change[] {
  const changes: Change[] = [];
  for (const [path, { nextUid, highestModseq }] of counters) {
    const folder = names.get(path);
    if (folder === undefined) continue;
    for (const [keyword, uids] of keywords.get(path) ?? []) {
      const all = [...uids];
      for (let start = 0; start < all.length; start += 1000)
        changes.push({ folder, keyword, uids: formatUidSet(all.slice(start, start + 1000)) });
    }
    changes.push({ folder, nextUid: nextUid + uidsSince, highestModseq: highestModseq + changesSince });
  }
  return changes;
}
