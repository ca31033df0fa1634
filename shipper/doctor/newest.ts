import { asMailarkError, exitCodes } from "../../core/errors.ts";
import { type ComponentName, componentPrefix, manifestKey, patterns } from "../../core/keys.ts";
import { readManifest } from "../../core/manifest.ts";
import { maximumSignedBytes, type Signer, verifierOf } from "../../core/signed-document.ts";
import { readWhole } from "../../core/stores/read-whole.ts";
import type { ObjectReader } from "../../core/stores/store.ts";

/** The newest snapshot of a component whose manifest this host signed. */
export interface Newest {
  /** `undefined`: there is none. */
  readonly snapshotId: string | undefined;
  /** Snapshots that are newer, whose manifest can not be believed. A run that died leaves one without a manifest, which does not count. */
  readonly doubtful: number;
}

/** Throws what the store throws. */
export async function newestSnapshot(
  reader: ObjectReader,
  hostId: string,
  component: ComponentName,
  signer: Signer,
  signal: AbortSignal,
): Promise<Newest> {
  const prefix = componentPrefix(hostId, component);
  const ids: string[] = [];
  for await (const row of reader.list(prefix, { delimiter: "/", signal })) {
    const id = "prefix" in row ? row.prefix.slice(prefix.length, -1) : "";
    if (patterns.snapshotId.test(id)) ids.push(id);
  }
  const trusted = [verifierOf(signer.publicKey)];
  let doubtful = 0;
  for (const snapshotId of ids.reverse()) {
    const address = { hostId, component, snapshotId };
    if ((await reader.head(manifestKey(address), { signal })) === undefined) continue;
    try {
      readManifest(await readWhole(reader, manifestKey(address), maximumSignedBytes, signal), address, trusted);
      return { snapshotId, doubtful };
    } catch (thrown) {
      if (asMailarkError(thrown).exitCode !== exitCodes.verification) throw thrown;
      doubtful += 1;
    }
  }
  return { snapshotId: undefined, doubtful };
}
