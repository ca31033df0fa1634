/**
 * Whether a store still holds what the manifests say: everything that can be judged without a key.
 */
import { createHash } from "node:crypto";
import { breakGlassVersion } from "./break-glass.ts";
import { parseClosure } from "./closure.ts";
import { asMailarkError, type ErrorCode, exitCodes, MailarkError } from "./errors.ts";
import {
  breakGlassKey,
  closureKey,
  keyringKey,
  manifestKey,
  packKey,
  runKey,
  runsPrefix,
  type SnapshotAddress,
  snapshotPrefix,
} from "./keys.ts";
import { type Manifest, parseDocument, type RunRecord } from "./manifest.ts";
import { checkSignature, maximumDocumentBytes, splitDocument, type Verifier } from "./signed-document.ts";
import { readWhole } from "./stores/read-whole.ts";
import type { ObjectReader } from "./stores/store.ts";

/** One thing that is wrong, and the object that it is wrong with. */
export interface Finding {
  readonly key: string;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface VerificationOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes that were read, as they are. */
  readonly read?: (bytes: number) => void;
  /**
   * What the store itself measured of an object, `undefined` when it is certainly absent. A pack whose CRC-64 it says is then compared by that, and not
   * read; one without is read. Default: everything is read.
   */
  readonly measure?: (key: string, signal?: AbortSignal) => Promise<Measured | undefined>;
  /**
   * Sizes of packs of earlier snapshots as the store lists them, by key. Their bytes were judged with their own snapshot; here they must be there, in
   * full length. Default: they are judged like this snapshot's own.
   */
  readonly earlier?: () => Promise<ReadonlyMap<string, number>>;
}

export interface Measured {
  readonly bytes: number;
  /** CRC-64/NVME of the whole object, 16 lower-case hex digits. */
  readonly crc64nvme: string | undefined;
}

interface Expected {
  readonly bytes?: number;
  readonly sha256: string;
  readonly crc64nvme?: string;
}

const smallObject = 4 * 1024 * 1024;

/**
 * Compares every object that snapshots need with what was signed: presence, size, checksums. Objects that several snapshots need
 * are read once in the life of a verifier.
 */
export class SnapshotVerifier {
  readonly #reader: ObjectReader;
  readonly #options: VerificationOptions;
  readonly #judged = new Map<string, Promise<Finding | undefined>>();

  constructor(reader: ObjectReader, options: VerificationOptions = {}) {
    this.#reader = reader;
    this.#options = options;
  }

  /** What is wrong with a snapshot whose manifest was read; nothing, when it is whole. Throws when the store can not be read. */
  async verify(manifest: Manifest): Promise<readonly Finding[]> {
    const { hostId, component } = manifest;
    const findings: (Finding | undefined)[] = [];
    for (const { name, ...expected } of manifest.packs) {
      findings.push(await this.#object(packKey(hostId, component, `${manifest.snapshotId}/${name}`), expected));
    }
    for (const { ownerId, keyId, sha256 } of manifest.keys) {
      findings.push(await this.#object(keyringKey(hostId, ownerId, keyId), { sha256 }));
    }
    findings.push(await this.#breakGlass(hostId, manifest.breakGlass));
    const ofClosure = manifest.closure ? await this.#closure(manifest, manifest.closure) : [];
    const all = [...findings, ...ofClosure, ...(await this.#unlisted(manifest))];
    // A closure lists the snapshot's own packs once more.
    return [...new Set(all.filter((finding) => finding !== undefined))];
  }

  async #closure(manifest: Manifest, expected: NonNullable<Manifest["closure"]>): Promise<(Finding | undefined)[]> {
    const { hostId, component } = manifest;
    const key = closureKey({ hostId, component, snapshotId: expected.snapshotId });
    const damaged = await this.#object(key, expected);
    if (damaged) return [damaged];
    const findings: (Finding | undefined)[] = [];
    try {
      const packs = parseClosure(await readWhole(this.#reader, key, expected.bytes, this.#options.signal));
      const listed = new Set(packs.map(({ pack }) => pack));
      if (packs.length !== expected.packs) {
        throw new MailarkError("OBJECT_CORRUPT", `the closure lists ${packs.length} packs, not ${expected.packs}`);
      }
      const earlier = await this.#options.earlier?.();
      for (const { pack, ...checksums } of packs) {
        const packed = packKey(hostId, component, pack);
        const own = pack.startsWith(`${manifest.snapshotId}/`);
        findings.push(
          await (earlier && !own ? this.#listed(packed, checksums, earlier) : this.#object(packed, checksums)),
        );
      }
      for (const { extents } of manifest.parts) {
        for (const { pack } of extents) {
          const own = pack.startsWith(`${manifest.snapshotId}/`);
          if (!own && !listed.has(pack))
            throw new MailarkError("OBJECT_CORRUPT", `the closure leaves out pack ${pack}`);
        }
      }
    } catch (error) {
      findings.push(findingOf(key, error));
    }
    return findings;
  }

  async #breakGlass(hostId: string, version: string): Promise<Finding | undefined> {
    const key = breakGlassKey(hostId, version, "restore.sh");
    return this.#once(key, async () => {
      const [script, description] = await Promise.all([
        readWhole(this.#reader, key, smallObject),
        readWhole(this.#reader, breakGlassKey(hostId, version, "format.md"), smallObject),
      ]);
      if (breakGlassVersion({ "restore.sh": script, "format.md": description }) !== version) {
        throw new MailarkError("OBJECT_CORRUPT", "restore.sh or format.md beside it was changed");
      }
    });
  }

  /** Packs that the manifest does not name have no business below it. */
  async #unlisted({ packs, ...address }: Manifest): Promise<Finding[]> {
    const prefix = snapshotPrefix(address);
    const known = new Set(packs.map(({ name }) => `${prefix}${name}.pack`));
    const findings: Finding[] = [];
    for await (const row of this.#reader.list(prefix)) {
      if (!("key" in row) || !row.key.endsWith(".pack") || known.has(row.key)) continue;
      findings.push({ key: row.key, code: "OBJECT_CORRUPT", message: "the manifest does not name this pack" });
    }
    return findings;
  }

  #listed(key: string, { bytes }: Expected, earlier: ReadonlyMap<string, number>) {
    return this.#once(`${key} listed`, async () => expectSize(earlier.get(key), bytes));
  }

  #object(key: string, expected: Expected): Promise<Finding | undefined> {
    return this.#once(`${key} ${expected.sha256}`, async () => {
      const { signal, read, measure } = this.#options;
      const measured = expected.crc64nvme === undefined ? undefined : await measure?.(key, signal);
      if (measured?.crc64nvme !== undefined) {
        expectSize(measured.bytes, expected.bytes);
        if (measured.crc64nvme === expected.crc64nvme) return;
        throw new MailarkError("OBJECT_CORRUPT", "the object is not what was stored: its CRC-64 differs");
      }
      const head = await this.#reader.head(key, { ...(signal && { signal }) });
      expectSize(head?.bytes, expected.bytes);
      const sha256 = createHash("sha256");
      for await (const chunk of this.#reader.get(key, { ...(signal && { signal }) })) {
        sha256.update(chunk);
        read?.(chunk.length);
      }
      if (sha256.digest("hex") !== expected.sha256) {
        throw new MailarkError("OBJECT_CORRUPT", "the object is not what was stored: its SHA-256 differs");
      }
    });
  }

  #once(name: string, judge: () => Promise<void>): Promise<Finding | undefined> {
    let judged = this.#judged.get(name);
    if (judged === undefined) {
      const key = name.split(" ")[0]!;
      judged = judge().then(
        () => undefined,
        (error) => findingOf(key, error),
      );
      this.#judged.set(name, judged);
    }
    return judged;
  }
}

/** What a host said of its runs, and what of it does not hold: a snapshot that a run finished and that is not there. */
export async function verifyRuns(
  reader: ObjectReader,
  hostId: string,
  trusted: readonly Verifier[],
): Promise<{ readonly runs: readonly RunRecord[]; readonly findings: readonly Finding[] }> {
  const runs: RunRecord[] = [];
  const findings: Finding[] = [];
  for await (const row of reader.list(runsPrefix(hostId))) {
    if (!("key" in row)) continue;
    try {
      const document = splitDocument(await readWhole(reader, row.key, maximumDocumentBytes));
      const run = parseDocument("run", checkSignature(document, trusted));
      if (run.hostId !== hostId || runKey(hostId, run.runId) !== row.key) {
        throw new MailarkError("MANIFEST_INVALID", "the record is of another run");
      }
      runs.push(run);
      for (const { component, snapshotId } of run.components) {
        if (snapshotId === undefined) continue;
        const key = manifestKey({ hostId, component, snapshotId });
        if ((await reader.head(key)) !== undefined) continue;
        findings.push({
          key,
          code: "OBJECT_MISSING",
          message: `run ${run.runId} stored this snapshot, and it is gone`,
        });
      }
    } catch (error) {
      findings.push(findingOf(row.key, error));
    }
  }
  return { runs, findings };
}

function expectSize(bytes: number | undefined, expected: number | undefined) {
  if (bytes === undefined) throw new MailarkError("OBJECT_MISSING", "the object is not in the store");
  if (expected === undefined || bytes === expected) return;
  throw new MailarkError("OBJECT_CORRUPT", `the object has ${bytes} bytes, not ${expected}`);
}

/** The manifest of an entry that could not be believed, as a finding. */
export const findingOfManifest = (address: SnapshotAddress, thrown: unknown): Finding =>
  findingOf(manifestKey(address), thrown);

/** Only what is wrong with the object is a finding; what is wrong with the way to it throws. */
function findingOf(key: string, thrown: unknown): Finding {
  const error = asMailarkError(thrown);
  const { code, message } = error;
  if (error.exitCode !== exitCodes.verification) throw error;
  return { key, code, message };
}
