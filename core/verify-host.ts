import { type CatalogEntry, listSnapshots } from "./catalog.ts";
import type { Trust } from "./enrolment.ts";
import type { Manifest, RunRecord } from "./manifest.ts";
import type { ObjectReader } from "./stores/store.ts";
import {
  type Finding,
  findingOfManifest,
  SnapshotVerifier,
  type VerificationOptions,
  verifyRuns,
} from "./verification.ts";

export interface VerifiedSnapshot {
  readonly entry: CatalogEntry;
  readonly findings: readonly Finding[];
}

export interface HostVerification {
  readonly snapshots: readonly VerifiedSnapshot[];
  /** What is wrong and belongs to no snapshot that is listed: enrolments, run records, snapshots that are gone. */
  readonly others: readonly Finding[];
  /** Run records that are sound. */
  readonly runs: readonly RunRecord[];
}

export interface HostVerificationOptions extends VerificationOptions {
  /** Only these snapshots. Then nothing is said of runs, for what they stored may be among the others. Default: all. */
  readonly entries?: readonly CatalogEntry[];
  /** More to find out about a snapshot, with keys. */
  readonly examine?: (manifest: Manifest) => Promise<readonly Finding[]>;
  /** Called before each snapshot. */
  readonly judging?: (entry: CatalogEntry) => void;
}

/** Compares what a host stored with what it signed. Needs no key. Throws what reading the store throws. */
export async function verifyHost(
  reader: ObjectReader,
  hostId: string,
  { keys, refused }: Trust,
  { entries, examine, judging, ...options }: HostVerificationOptions = {},
): Promise<HostVerification> {
  const trusted = keys.map(({ verifier }) => verifier);
  const verifier = new SnapshotVerifier(reader, options);
  const snapshots: VerifiedSnapshot[] = [];
  for await (const entry of entries ?? listSnapshots(reader, hostId, trusted)) {
    options.signal?.throwIfAborted();
    judging?.(entry);
    const findings = entry.error
      ? [findingOfManifest(entry.address, entry.error)]
      : [...(await verifier.verify(entry.manifest)), ...((await examine?.(entry.manifest)) ?? [])];
    snapshots.push({ entry, findings });
  }
  const { runs, findings } = entries ? { runs: [], findings: [] } : await verifyRuns(reader, hostId, trusted);
  const introduced = refused.map(({ key, error: { code, message } }): Finding => ({ key, code, message }));
  return { snapshots, others: [...findings, ...introduced], runs };
}
