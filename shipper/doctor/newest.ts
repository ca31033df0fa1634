import { type ComponentName, componentPrefix, manifestKey, patterns, snapshotPrefix } from "../../core/keys.ts";
import type { ObjectReader } from "../../core/stores/store.ts";

/** The newest snapshot of a component that has its manifest, and the size of what it stored itself. */
export interface Newest {
  readonly snapshotId: string;
  readonly bytes: number;
  readonly objects: number;
}

/** A run that died leaves a snapshot without a manifest; so many in a row are passed over. */
const passedOver = 10;

/** `undefined`: there is none. Throws what the store throws. */
export async function newestSnapshot(
  reader: ObjectReader,
  hostId: string,
  component: ComponentName,
  signal: AbortSignal,
): Promise<Newest | undefined> {
  const prefix = componentPrefix(hostId, component);
  const ids: string[] = [];
  for await (const row of reader.list(prefix, { delimiter: "/", signal })) {
    const id = "prefix" in row ? row.prefix.slice(prefix.length, -1) : "";
    if (patterns.snapshotId.test(id)) ids.push(id);
  }
  for (const snapshotId of ids.slice(-passedOver).reverse()) {
    const address = { hostId, component, snapshotId };
    if ((await reader.head(manifestKey(address), { signal })) === undefined) continue;
    let bytes = 0;
    let objects = 0;
    for await (const row of reader.list(snapshotPrefix(address), { signal })) {
      if (!("key" in row)) continue;
      bytes += row.bytes;
      objects += 1;
    }
    return { snapshotId, bytes, objects };
  }
  return undefined;
}
