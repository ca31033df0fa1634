import type { Stats } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath, pathText } from "../byte-path.ts";
import { removeTree } from "../remove-tree.ts";
import type { Owner } from "./build-mailbox.ts";
import { parentOf } from "./index-rows.ts";

/** Below the target while mailboxes are built; what remains of it shows a restore that did not end. */
export const workshop = ".mailark-partial";

/** A directory that mailboxes are put into, each at a path of its own that neither holds another nor lies in one. */
export class MailRoot {
  readonly #files: Files;
  readonly #root: string;
  readonly #taken = new Set([workshop]);
  /** The directories between the mail root and the mailboxes, with the owners of all that lies below. */
  readonly #between = new Map<string, Set<string>>();
  readonly #made: string[] = [];

  /** @param root absolute path in latin1; it exists when {@link put} is called. */
  constructor(files: Files, root: string) {
    this.#files = files;
    this.#root = root;
  }

  /** @throws MailarkError `PATH_UNSAFE` for the root itself, and for what is, holds or lies in a mailbox that was put there. */
  refuseUnlessFree(path: string): void {
    const reached = [path, ...directoriesAbove(path)].some((each) => this.#taken.has(each));
    if (path !== "." && !reached && !this.#between.has(path)) return;
    throw new MailarkError("PATH_UNSAFE", "a mailbox would lie in another one, or hold it", { detail: pathText(path) });
  }

  /**
   * Moves a mailbox to its path. The directories above it are made for nobody else, until {@link settle}.
   *
   * @throws MailarkError `PATH_UNSAFE` as {@link refuseUnlessFree}, and where something above it is no directory, a link above all.
   */
  put(built: string, path: string, owner: Owner | undefined): void {
    this.refuseUnlessFree(path);
    for (const above of directoriesAbove(path)) {
      const status = this.#statusOf(above);
      if (status === undefined) {
        this.#files.mkdirSync(this.#at(above), { mode: 0o700 });
        this.#made.push(above);
      } else if (!status.isDirectory()) {
        throw new MailarkError("PATH_UNSAFE", "what lies above a mailbox is not a directory", {
          detail: pathText(above),
        });
      }
    }
    this.#files.renameSync(bytePath(built), this.#at(path));
    this.#made.push(path);
    this.#taken.add(path);
    for (const above of directoriesAbove(path)) {
      const owners = this.#between.get(above) ?? new Set();
      this.#between.set(above, owners.add(owner ? `${owner.uid}:${owner.gid}` : ""));
    }
  }

  /**
   * Lets every owner through to what is theirs: the directories that were made above mailboxes can be passed by all and listed by
   * their owner, who is that of all mailboxes below or, where they have several, who runs this.
   */
  settle(): void {
    // The deepest first: what is above belongs to nobody else yet.
    for (const above of this.#made.filter((path) => this.#between.has(path)).reverse()) {
      const [only = "", ...others] = this.#between.get(above)!;
      const [uid, gid] = only.split(":").map(Number);
      this.#files.chmodSync(this.#at(above), 0o711);
      if (others.length === 0 && gid !== undefined) this.#files.chownSync(this.#at(above), uid!, gid);
    }
  }

  /** Removes all that was put there. */
  takeBack(): void {
    for (const path of this.#made) removeTree(this.#files, `${this.#root}/${path}`);
  }

  #at(path: string): Buffer {
    return bytePath(`${this.#root}/${path}`);
  }

  /** Of the thing itself, also of a link. */
  #statusOf(path: string): Stats | undefined {
    try {
      return this.#files.lstatSync(this.#at(path));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }
}

/** The uppermost first; the top itself is not among them. */
function directoriesAbove(path: string): string[] {
  const above: string[] = [];
  for (let parent = parentOf(path); parent !== "."; parent = parentOf(parent)) above.unshift(parent);
  return above;
}
