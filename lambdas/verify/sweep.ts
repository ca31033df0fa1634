import { listComponents, listHosts } from "../../core/catalog.ts";
import { addressOfManifest, componentPrefix, type SnapshotAddress, verdictKey } from "../../core/keys.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import type { ControlStore } from "../control/control-store.ts";
import { readLatest } from "./latest.ts";

export interface SweepPorts {
  readonly vault: ObjectReader;
  readonly control: ControlStore;
  /** Asks for the verification of snapshots, each by itself. */
  readonly request: (addresses: readonly SnapshotAddress[], deep: boolean) => Promise<void>;
}

/**
 * Asks for what no event brought about: a verdict of every snapshot that has none yet, or, `deep`, another look at the newest good snapshot of every
 * component, with every byte of it read.
 *
 * @returns how many verifications it asked for.
 */
export async function sweep(ports: SweepPorts, deep: boolean, signal?: AbortSignal): Promise<number> {
  let asked = 0;
  for (const hostId of await listHosts(ports.vault)) {
    for (const component of await listComponents(ports.vault, hostId)) {
      signal?.throwIfAborted();
      const place = { hostId, component };
      const addresses = deep ? await newestGood(ports, place) : await unjudged(ports, place, signal);
      await ports.request(addresses, deep);
      asked += addresses.length;
    }
  }
  return asked;
}

type Place = Pick<SnapshotAddress, "hostId" | "component">;

async function newestGood({ control }: SweepPorts, place: Place): Promise<SnapshotAddress[]> {
  const [newest] = await readLatest(control, place);
  return newest ? [{ ...place, snapshotId: newest.snapshotId }] : [];
}

async function unjudged({ vault, control }: SweepPorts, { hostId, component }: Place, signal?: AbortSignal) {
  const judged = new Set<string>();
  const prefix = verdictKey({ hostId, component, snapshotId: "_" }).replace(/_\.json$/, "");
  for await (const key of control.list(prefix, { ...(signal && { signal }) })) judged.add(key);
  const addresses: SnapshotAddress[] = [];
  for await (const row of vault.list(componentPrefix(hostId, component), { ...(signal && { signal }) })) {
    const address = "key" in row ? addressOfManifest(row.key) : undefined;
    if (address && !judged.has(verdictKey(address))) addresses.push(address);
  }
  return addresses;
}
