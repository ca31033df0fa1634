/** A staged tree as the host's own programs would see it: by the paths of the host, through its links. */
import { dirname, resolve } from "node:path/posix";
import type { Files } from "../../../core/ports/files.ts";
import { bytePath } from "../byte-path.ts";
import type { StagedTree } from "./staged-tree.ts";
import type { TreeEntry } from "./tree-facts.ts";
import { parentsOf } from "./vet.ts";

/** Nothing larger is a configuration, a key or a certificate. */
const largestRead = 4 * 1024 * 1024;

/** All paths are absolute paths of the host, in latin1. */
export class TreeView {
  readonly #staged: StagedTree;
  readonly #files: Files;
  readonly #entries: Map<string, TreeEntry>;

  constructor(staged: StagedTree, files: Files) {
    this.#staged = staged;
    this.#files = files;
    const present = staged.facts.entries.filter(({ path }) => staged.where(`/${path}`) !== undefined);
    this.#entries = new Map(present.map((entry) => [`/${entry.path}`, entry]));
  }

  /** Every path that came back, of the regular files their first names and their others. */
  get paths(): string[] {
    return [...this.#entries.keys()];
  }

  /** Whether a path is one that was captured whole, or below one: then what is not there was not there. */
  holds(path: string): boolean {
    return this.#staged.facts.roots.some((root) => path === `/${root}` || path.startsWith(`/${root}/`));
  }

  /** What is exactly at a path; `undefined`: nothing of it came back. */
  entry(path: string): TreeEntry | undefined {
    const entry = this.#entries.get(path);
    return entry?.kind === "hardlink" ? this.#entries.get(`/${entry.target}`) : entry;
  }

  /** Where a path leads through the links of the tree; `undefined`: to nothing that came back. */
  resolve(path: string): string | undefined {
    let at = resolve("/", path);
    for (let links = 0; links < 40; links += 1) {
      const link = [...parentsOf(at.slice(1)).map((parent) => `/${parent}`), at].find(
        (each) => this.#entries.get(each)?.kind === "symlink",
      );
      if (link === undefined) return this.#entries.has(at) ? at : undefined;
      at = resolve(dirname(link), this.#entries.get(link)!.target, `.${at.slice(link.length)}`);
    }
    return undefined;
  }

  /** The content of a regular file, through links; `undefined`: there is none, or it is too large for what this is used for. */
  read(path: string): Buffer | undefined {
    const real = this.resolve(path);
    const entry = real === undefined ? undefined : this.entry(real);
    if (real === undefined || entry?.kind !== "file" || entry.size > largestRead) return undefined;
    const descriptor = this.#files.openSync(bytePath(this.#staged.where(real)!), "r");
    try {
      const content = Buffer.alloc(entry.size);
      let filled = 0;
      for (let read = 1; read > 0 && filled < content.length; filled += read) {
        read = this.#files.readSync(descriptor, content, filled, content.length - filled, null);
      }
      return content.subarray(0, filled);
    } finally {
      this.#files.closeSync(descriptor);
    }
  }

  /** The directories above a path that came back with it, the highest first. */
  parents(path: string): TreeEntry[] {
    return parentsOf(path.slice(1)).flatMap((parent) => this.entry(`/${parent}`) ?? []);
  }
}
