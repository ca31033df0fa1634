import { mkdirSync } from "node:fs";
import type { SnapshotReader } from "../../../../core/snapshot-reader.ts";
import type { Captured, Component, Staged } from "../../../../shipper/components/component.ts";
import { captureTree } from "../../../../shipper/components/tree/capture-tree.ts";
import { gate } from "../../../../shipper/components/tree/gate.ts";
import { type RestoredTree, restoreTree } from "../../../../shipper/components/tree/restore-tree.ts";
import type { TreeSource } from "../../../../shipper/components/tree/tar-command.ts";
import { headRows, measured, rowsOf } from "../../../../shipper/components/tree/tree-facts.ts";
import { Vetting } from "../../../../shipper/components/tree/vet.ts";
import { memoryStore } from "../../../fixtures/memory-store.ts";
import { description, snapshotReader, snapshotWriter, storedKey } from "../../../fixtures/snapshot.ts";
import type { Vault } from "../../../fixtures/vault.ts";

/** A component that is a tree and nothing else. */
export function treeComponent(source: Partial<TreeSource> & Pick<TreeSource, "paths">): Component {
  const refuse = async (): Promise<never> => {
    throw new Error("not here");
  };
  return {
    name: "configs",
    diagnose: async () => [],
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

/**
 * A snapshot that a host with all of its keys made up: this archive, and a list of `listed`, as far as that can be read, as a capture would have made it.
 */
export async function forged(
  archive: Buffer,
  listed = archive,
  roots: readonly string[] = ["etc"],
): Promise<SnapshotReader> {
  const rows: string[] = [];
  const list = gate([pieces(listed)], {
    vetting: new Vetting(),
    found: () => {},
    watch: (entry) => measured(entry, (found) => rows.push(rowsOf(found))),
  });
  try {
    for await (const _ of list);
  } catch {
    // What is after it would not have been captured.
  }
  const store = memoryStore();
  const writer = snapshotWriter(store);
  const key = await storedKey(store);
  await writer.part("files", pieces(archive), key);
  await writer.part("facts", pieces(Buffer.from(headRows(roots, false) + rows.join(""), "latin1")), key);
  await writer.finish(description);
  return snapshotReader(store);
}

/** Bytes as a stream that was cut at these places. */
export async function* pieces(bytes: Buffer, cuts: readonly number[] = []): AsyncGenerator<Buffer> {
  const places = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (const [index, start] of places.slice(0, -1).entries()) yield bytes.subarray(start, places[index + 1]);
}
