import type { Check, Staged } from "../component.ts";
import type { RestoredTree } from "./restore-tree.ts";
import type { Kept } from "./switch-tree.ts";
import type { TreeFacts } from "./tree-facts.ts";

/** A tree that stands beside everything live or, of a service, in its place. */
export interface StagedTree extends Staged {
  /** What stands before a path of the host: `ROOT/etc/postfix`. Empty where the tree is in its place. */
  readonly root: string;
  readonly trees: readonly RestoredTree[];
  readonly facts: TreeFacts;
  /** What was asked for, in latin1 below the top. */
  readonly wanted: readonly string[];
  /** Where a path of the host (absolute, in latin1) is staged; `undefined`: it was not brought back. */
  where(path: string): string | undefined;
  /** Of a service: what was found before it was switched, and what was there before. */
  readonly judged?: readonly Check[];
  readonly kept?: readonly Kept[];
}
