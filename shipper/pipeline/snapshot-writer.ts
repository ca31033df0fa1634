import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Seal } from "../../core/age/age.ts";
import { asMailarkError } from "../../core/errors.ts";
import { giveBack } from "../../core/give-back.ts";
import { manifestKey, packKey, packName, type SnapshotAddress } from "../../core/keys.ts";
import { checkReferences, type Extent, type Manifest, type Pack, type Part } from "../../core/manifest.ts";
import { compressSegment } from "../../core/segment.ts";
import { type Signer, signDocument } from "../../core/signed-document.ts";
import { putWhole } from "../../core/stores/put-whole.ts";
import type { ObjectWriter } from "../../core/stores/store.ts";
import { cut } from "./cut.ts";
import { PackLane, type SegmentLocation } from "./pack-lane.ts";

/** What a segment is sealed with. Its private half is in the keyring already. */
export interface SealingKey {
  readonly ownerId: string;
  readonly keyId: string;
  /** Of the keyring object. */
  readonly sha256: string;
  readonly seal: Seal;
}

/** Which packs a segment goes to: indexes are small and read often, content is large and seldom read. */
export type Lane = "index" | "content";

/** What only the component can say of a snapshot. */
export interface Description
  extends Pick<
    Manifest,
    "cutAt" | "completeness" | "tools" | "server" | "position" | "facts" | "warnings" | "startedAt" | "finishedAt"
  > {}

export interface SnapshotWriterOptions {
  readonly address: SnapshotAddress;
  readonly runId: string;
  readonly store: ObjectWriter;
  readonly signer: Signer;
  readonly breakGlass: string;
  readonly signal: AbortSignal;
  /** Called with the bytes that were sealed, as they are: plain, and as stored. */
  readonly sealed?: (bytes: { readonly plain: number; readonly stored: number }) => void;
  /** Zstandard's level. */
  readonly level?: number;
}

/** Node's thread pool has so many threads, and each segment in work takes some 20 MiB of memory. */
const compressors = 4;

/**
 * Writes one snapshot: compress → encrypt → measure → store, and the manifest last. Segments are compressed in parallel, appended
 * in the order in which they were submitted, and never more than a few are in memory.
 */
export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  readonly #packs: Pack[] = [];
  readonly #parts: Part[] = [];
  readonly #keys = new Map<string, SealingKey>();
  readonly #lanes: Record<Lane, { readonly packs: PackLane; tail: Promise<unknown> }>;
  readonly #waiting: (() => void)[] = [];
  #free = Math.min(availableParallelism(), compressors) + 1;
  #packCount = 0;
  #order: ((name: string, other: string) => number) | undefined;
  #failure: { readonly reason: unknown } | undefined;

  constructor(options: SnapshotWriterOptions) {
    this.#options = options;
    const lane = () => ({
      packs: new PackLane({
        store: options.store,
        signal: options.signal,
        next: () => this.#nextPack(),
        stored: (pack) => this.#packs.push(pack),
      }),
      tail: Promise.resolve(),
    });
    this.#lanes = { index: lane(), content: lane() };
  }

  get address(): SnapshotAddress {
    return this.#options.address;
  }

  /**
   * Accepts a segment as soon as there is room for it; `location` settles when it was appended. The memory of `plain` is the writer's
   * from the call on: it must not be used any more.
   *
   * @throws what any earlier segment failed with.
   */
  async submit(
    plain: Buffer,
    key: SealingKey,
    lane: Lane = "content",
  ): Promise<{ location: Promise<SegmentLocation> }> {
    await this.#acquire();
    if (this.#failure || this.#options.signal.aborted) {
      this.#release();
      throw this.#failure ? this.#failure.reason : this.#options.signal.reason;
    }
    this.#keys.set(key.keyId, key);
    const target = this.#lanes[lane];
    const plainBytes = plain.length;
    const compressing = compressSegment(plain, this.#options.level).finally(() => giveBack(plain));
    compressing.catch(() => {});
    const location = target.tail.then(async () => {
      try {
        const frame = await compressing;
        if (this.#failure) throw this.#failure.reason;
        const placed = await target.packs.add((room) => key.seal(frame, room));
        giveBack(Buffer.from(frame.buffer));
        this.#options.sealed?.({ plain: plainBytes, stored: placed.bytes });
        return placed;
      } catch (reason) {
        this.#failure ??= { reason };
        throw reason;
      } finally {
        this.#release();
      }
    });
    target.tail = location.catch(() => {});
    return { location };
  }

  /** Cuts a stream into segments and waits until all of them were appended. */
  async segments(
    source: AsyncIterable<Uint8Array>,
    key: SealingKey,
    lane: Lane = "content",
  ): Promise<SegmentLocation[]> {
    const locations: Promise<SegmentLocation>[] = [];
    for await (const plain of cut(source)) {
      locations.push((await this.submit(plain, key, lane)).location);
    }
    return Promise.all(locations);
  }

  /** Stores a stream as a part of the manifest. */
  async part(name: string, source: AsyncIterable<Uint8Array>, key: SealingKey, lane: Lane = "content"): Promise<Part> {
    const sha256 = createHash("sha256");
    let bytes = 0;
    const measured = async function* () {
      for await (const chunk of source) {
        sha256.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    };
    const extents = joinExtents(await this.segments(measured(), key, lane), key.keyId);
    const part = { name, bytes, sha256: sha256.digest("hex"), extents };
    this.#parts.push(part);
    return part;
  }

  /** How the manifest orders the parts, by their names. Default: as they were completed, which differs from run to run where several are under way. */
  arrange(order: (name: string, other: string) => number): void {
    this.#order = order;
  }

  /**
   * Waits for everything to be stored, then stores the manifest: from then on the snapshot exists.
   *
   * @throws what storing failed with; the snapshot then does not exist, and {@link abandon} must be called.
   */
  async finish(description: Description): Promise<Manifest> {
    const { address, runId, signer, breakGlass, store, signal } = this.#options;
    for (const lane of Object.values(this.#lanes)) {
      await lane.tail;
      if (this.#failure) throw this.#failure.reason;
      await lane.packs.close();
    }
    const manifest = checkReferences({
      format: "mailark-manifest/1",
      ...address,
      runId,
      kind: "full",
      ...description,
      keys: [...this.#keys.values()].map(({ ownerId, keyId, sha256 }) => ({ ownerId, keyId, sha256 })),
      packs: this.#packs.toSorted((a, b) => Number(a.name) - Number(b.name)),
      parts: this.#order === undefined ? this.#parts : this.#parts.toSorted((a, b) => this.#order!(a.name, b.name)),
      breakGlass,
    });
    await putWhole(store, manifestKey(address), signDocument(manifest, signer), { signal });
    return manifest;
  }

  /** Gives up: nothing more is stored, and no manifest ever. Resolves when nothing of it runs any more. */
  async abandon(reason: unknown): Promise<void> {
    this.#failure ??= { reason: asMailarkError(reason) };
    await Promise.all(Object.values(this.#lanes).map(({ packs }) => packs.abandon(reason)));
    await Promise.all(Object.values(this.#lanes).map(({ tail }) => tail));
  }

  #nextPack() {
    const { address } = this.#options;
    this.#packCount += 1;
    const name = packName(this.#packCount);
    const reference = `${address.snapshotId}/${name}`;
    return { name, reference, key: packKey(address.hostId, address.component, reference) };
  }

  async #acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

/** Neighbouring segments under one key as runs: docs/format.md §4. */
export function joinExtents(locations: readonly SegmentLocation[], keyId: string): Extent[] {
  const extents: Extent[] = [];
  let end = -1;
  for (const { pack, offset, bytes } of locations) {
    const last = extents.at(-1);
    if (last?.pack === pack && end === offset) last.segments.push(bytes);
    else extents.push({ pack, keyId, offset, segments: [bytes] });
    end = offset + bytes;
  }
  return extents;
}
