import { mkdirSync } from "node:fs";
import type { SnapshotReader } from "../../../../core/snapshot-reader.ts";
import type { Captured, Component, Staged } from "../../../../shipper/components/component.ts";
import { captureTree } from "../../../../shipper/components/tree/capture-tree.ts";
import { type RestoredTree, restoreTree } from "../../../../shipper/components/tree/restore-tree.ts";
import type { TreeSource } from "../../../../shipper/components/tree/tar-command.ts";
import type { Vault } from "../../../fixtures/vault.ts";

/** A component that is a tree and nothing else. */
export function treeComponent(source: Partial<TreeSource> & Pick<TreeSource, "paths">): Component {
  const refuse = async (): Promise<never> => {
    throw new Error("not here");
  };
  return {
    name: "configs",
    estimate: async () => [],
    capture: (context): Promise<Captured> => captureTree({ command: [], stallSeconds: 60, ...source }, context),
    plan: async () => [],
    stage: refuse as () => Promise<Staged>,
    check: refuse,
  };
}

/** Extracts the newest snapshot into a new directory. */
export async function extract(vault: Vault, root: string, snapshot?: SnapshotReader): Promise<RestoredTree> {
  mkdirSync(root, { recursive: true });
  return restoreTree(snapshot ?? (await vault.open("configs")), root, vault.world());
}
