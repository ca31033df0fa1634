import { type Manifest, storedBytes } from "../../core/manifest.ts";
import type { GoodSnapshot } from "../control/records.ts";

/** Below so few bytes, rows or messages half of it may go without anybody being told. */
const noticeable = 20;

/**
 * What of a snapshot that is whole should be looked at: of what a full one stored, or of something that it counts, more than half is gone since the good one before it.
 * A host in hostile hands can sign a snapshot that leaves out what should be in it.
 *
 * @param receivedAt when the store received it; only what was received before it is compared.
 */
export function anomaliesOf(manifest: Manifest, receivedAt: string, known: readonly GoodSnapshot[]): string[] {
  const before = known.find((each) => each.snapshotId !== manifest.snapshotId && each.receivedAt <= receivedAt);
  if (before === undefined) return [];
  const bytes = storedBytes(manifest);
  // An incremental stores no more than what has changed.
  const areFull = before.kind === "full" && manifest.kind === "full";
  const isSmall = areFull && hasDropped(before.bytesStored, bytes);
  const anomalies = isSmall ? [`bytesStored: ${bytes}, after ${before.bytesStored}`] : [];
  for (const [fact, count] of Object.entries(before.facts)) {
    const now = manifest.facts[fact] ?? 0;
    if (hasDropped(count, now)) anomalies.push(`${fact}: ${now}, after ${count}`);
  }
  return anomalies;
}

const hasDropped = (before: number, now: number) => before >= noticeable && now < before / 2;
