/**
 * What a store holds of one host, as far as retention must know it: read from the store itself, and believed where it is signed.
 */
import { createHash } from "node:crypto";
import { listSnapshots } from "./catalog.ts";
import { parseClosure } from "./closure.ts";
import { asMailarkError, exitCodes, MailarkError } from "./errors.ts";
import { closureKey, hostPrefix, packKey, runsPrefix, type SnapshotAddress } from "./keys.ts";
import { type Manifest, parseDocument } from "./manifest.ts";
import type { RetentionSnapshot } from "./retention-rules.ts";
import { checkSignature, maximumDocumentBytes, splitDocument, type Verifier } from "./signed-document.ts";
import { readWhole } from "./stores/read-whole.ts";
import type { ObjectHead, ObjectReader } from "./stores/store.ts";

/** A snapshot that is whole, as far as can be seen without reading its packs. */
export interface KnownSnapshot extends RetentionSnapshot {
  /** Version of the restore script that it names. */
  readonly breakGlass: string;
  /** Of the run that stored it. */
  readonly runId: string;
}

/** A snapshot whose manifest, closure or packs are not what was signed. */
export interface UnusableSnapshot extends SnapshotAddress {
  readonly error: MailarkError;
}

/** A run's record that can be believed. */
export interface KnownRun {
  readonly key: string;
  readonly receivedAt: number;
  readonly snapshots: readonly Pick<SnapshotAddress, "component" | "snapshotId">[];
}

export interface HostInventory {
  readonly hostId: string;
  readonly snapshots: readonly KnownSnapshot[];
  readonly unusable: readonly UnusableSnapshot[];
  readonly runs: readonly KnownRun[];
  /** Everything below the host's prefix, listed **before** its manifests. The keyring is not there, and never pruned. */
  readonly objects: readonly ObjectHead[];
}

/**
 * Reads what a store holds of a host. Of a pack only its presence and size are looked at: `verify` reads the bytes.
 *
 * @throws what the store throws where it can not be read, which says nothing of the snapshots.
 */
export async function readInventory(
  reader: ObjectReader,
  hostId: string,
  trusted: readonly Verifier[],
  { signal, judging }: { readonly signal: AbortSignal; readonly judging?: (address: SnapshotAddress) => void },
): Promise<HostInventory> {
  const objects: ObjectHead[] = [];
  for await (const row of reader.list(hostPrefix(hostId), { signal })) if ("key" in row) objects.push(row);
  const listed = new Map(objects.map((object) => [object.key, object]));

  const snapshots: KnownSnapshot[] = [];
  const unusable: UnusableSnapshot[] = [];
  for await (const { address, manifest, error, receivedAt } of listSnapshots(reader, hostId, trusted)) {
    signal.throwIfAborted();
    judging?.(address);
    try {
      if (error) throw error;
      const needed = await neededObjects(reader, manifest, signal);
      for (const [key, bytes] of needed) await expectObject(key, bytes);
      const { completeness, breakGlass, runId } = manifest;
      const state = completeness === "complete" ? "good" : "partial";
      snapshots.push({ ...address, receivedAt, state, needs: [...needed.keys()], breakGlass, runId });
    } catch (thrown) {
      unusable.push({ ...address, error: damage(thrown) });
    }
  }
  const runs = await readRuns(reader, hostId, trusted, objects, signal);
  return { hostId, snapshots, unusable, runs, objects };

  /** What is not in the listing may have come after it. */
  async function expectObject(key: string, bytes: number) {
    const head = listed.get(key) ?? (await reader.head(key, { signal }));
    if (head === undefined) throw new MailarkError("OBJECT_MISSING", `an object that it needs is gone: ${key}`);
    if (head.bytes !== bytes) {
      throw new MailarkError("OBJECT_CORRUPT", `an object that it needs has ${head.bytes} bytes, not ${bytes}: ${key}`);
    }
  }
}

/** Keys and sizes of everything that a snapshot lies in. */
async function neededObjects(
  reader: ObjectReader,
  { hostId, component, snapshotId, packs, closure }: Manifest,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const needed = new Map(packs.map(({ name, bytes }) => [packKey(hostId, component, `${snapshotId}/${name}`), bytes]));
  if (closure === undefined) return needed;
  const key = closureKey({ hostId, component, snapshotId: closure.snapshotId });
  const content = await readWhole(reader, key, closure.bytes, signal);
  if (createHash("sha256").update(content).digest("hex") !== closure.sha256) {
    throw new MailarkError("OBJECT_CORRUPT", `the closure is not what was stored: ${key}`);
  }
  needed.set(key, closure.bytes);
  for (const { pack, bytes } of parseClosure(content)) needed.set(packKey(hostId, component, pack), bytes);
  return needed;
}

/** A record that can not be believed is left to `verify`, until what its run stored goes. */
async function readRuns(
  reader: ObjectReader,
  hostId: string,
  trusted: readonly Verifier[],
  objects: readonly ObjectHead[],
  signal: AbortSignal,
): Promise<KnownRun[]> {
  const runs: KnownRun[] = [];
  for (const { key, receivedAt } of objects.filter(({ key }) => key.startsWith(runsPrefix(hostId)))) {
    try {
      const document = splitDocument(await readWhole(reader, key, maximumDocumentBytes, signal));
      const { components } = parseDocument("run", checkSignature(document, trusted));
      const snapshots = components.flatMap(({ component, snapshotId }) =>
        snapshotId === undefined ? [] : [{ component, snapshotId }],
      );
      runs.push({ key, receivedAt, snapshots });
    } catch (thrown) {
      damage(thrown);
    }
  }
  return runs;
}

/** Only what is wrong with an object says something of it; what is wrong with the way to it throws. */
function damage(thrown: unknown): MailarkError {
  const error = asMailarkError(thrown);
  if (error.exitCode === exitCodes.verification) return error;
  throw error;
}
