/**
 * What of a tree is restored. Hard links in it may lead to files that are not: their content comes along, and the first of them is the file then.
 */
import type { TreeEntry, TreeFacts } from "./tree-facts.ts";

/** Whether a path is one of these, below one, or a directory that one is in. */
export function isWanted(path: string, only: readonly string[]): boolean {
  return only.some((one) => path === one || path.startsWith(`${one}/`) || one.startsWith(`${path}/`));
}

/** What a restore of only these paths makes of the facts. */
export function detached(facts: TreeFacts, only: readonly string[]): TreeFacts {
  const outer = outerLinks(facts, only);
  if (outer.length === 0) return facts;
  const first = new Map<string, string>();
  const own = new Map<string, TreeEntry>();
  for (const { link, chain } of outer) {
    const file = chain.at(-1)!;
    const target = first.get(file.path);
    own.set(link.path, target === undefined ? { ...file, path: link.path } : { ...link, target });
    if (target === undefined) first.set(file.path, link.path);
  }
  return { ...facts, entries: facts.entries.map((entry) => own.get(entry.path) ?? entry) };
}

/** The paths that links of these lead to, and that are not among them. */
export function outerTargets(facts: TreeFacts, only: readonly string[]): ReadonlySet<string> {
  return new Set(outerLinks(facts, only).flatMap(({ chain }) => chain.map(({ path }) => path)));
}

interface OuterLink {
  readonly link: TreeEntry;
  /** What it leads to, outside, to the file at the end. */
  readonly chain: readonly TreeEntry[];
}

function outerLinks({ entries }: TreeFacts, only: readonly string[]): OuterLink[] {
  const links = entries.filter(
    ({ kind, path, target }) => kind === "hardlink" && isWanted(path, only) && !isWanted(target, only),
  );
  if (links.length === 0) return [];
  const targets = new Map(entries.filter(({ kind }) => /^(file|hardlink)$/.test(kind)).map((one) => [one.path, one]));
  return links.flatMap((link) => {
    const chain: TreeEntry[] = [];
    // A link leads to what is before it, so a chain ends; one that does not is none.
    for (let at = targets.get(link.target); at && chain.length < 40; at = targets.get(at.target)) {
      chain.push(at);
      if (at.kind === "file") return [{ link, chain }];
    }
    return [];
  });
}
