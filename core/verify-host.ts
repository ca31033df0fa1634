import { type CatalogEntry, listSnapshots } from "./catalog.ts";
import { readTrust } from "./enrolment.ts";
import { type ComponentName, componentNames } from "./keys.ts";
import type { RunRecord } from "./manifest.ts";
import type { ObjectReader } from "./stores/store.ts";
import {
  type Finding,
  findingOfManifest,
  SnapshotVerifier,
  type VerificationOptions,
  verifyRuns,
} from "./verification.ts";

export interface HostVerification {
  /** Every snapshot that is listed, with what is wrong with it. */
  readonly snapshots: readonly { readonly entry: CatalogEntry; readonly findings: readonly Finding[] }[];
  /** What is wrong and belongs to no snapshot that is listed: enrolments, run records, snapshots that are gone. */
  readonly others: readonly Finding[];
  /** Run records that are sound. */
  readonly runs: readonly RunRecord[];
  /** Fingerprints of the keys whose signatures counted. */
  readonly fingerprints: readonly string[];
}

export interface HostVerificationOptions extends VerificationOptions {
  /** As in `readTrust`. */
  readonly fingerprints?: readonly string[] | undefined;
  /** Default: all. Run records and enrolments are judged in any case. */
  readonly components?: readonly ComponentName[];
  /** Only this snapshot. */
  readonly snapshotId?: string | undefined;
  /** More to find out about a snapshot whose objects are sound. */
  readonly examine?: (entry: CatalogEntry & { readonly error?: undefined }) => Promise<readonly Finding[]>;
  readonly judged?: (entry: CatalogEntry, findings: readonly Finding[]) => void;
}

/**
 * Compares everything that a host stored with what it signed. Needs no key.
 *
 * @throws MailarkError `SIGNER_UNTRUSTED` when no enrolment of the host counts; what reading the store throws.
 */
export async function verifyHost(
  reader: ObjectReader,
  hostId: string,
  { fingerprints, components = componentNames, snapshotId, examine, judged, ...options }: HostVerificationOptions = {},
): Promise<HostVerification> {
  const trust = await readTrust(reader, hostId, fingerprints);
  const trusted = trust.keys.map(({ verifier }) => verifier);
  const verifier = new SnapshotVerifier(reader, options);
  const snapshots: { entry: CatalogEntry; findings: readonly Finding[] }[] = [];
  for await (const entry of listSnapshots(reader, hostId, trusted, components)) {
    if (snapshotId !== undefined && entry.address.snapshotId !== snapshotId) continue;
    let findings: readonly Finding[];
    if (entry.error) findings = [findingOfManifest(entry.address, entry.error)];
    else {
      findings = await verifier.verify(entry.manifest);
      if (findings.length === 0 && examine) findings = await examine(entry);
    }
    snapshots.push({ entry, findings });
    judged?.(entry, findings);
  }
  const { runs, findings } = await verifyRuns(reader, hostId, trusted);
  const refused = trust.refused.map(({ key, error: { code, message } }) => ({ key, code, message }));
  return {
    snapshots,
    others: [...refused, ...findings],
    runs,
    fingerprints: trusted.map(({ fingerprint }) => fingerprint),
  };
}
