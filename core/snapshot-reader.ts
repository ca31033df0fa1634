import { createHash } from "node:crypto";
import { MailarkError } from "./errors.ts";
import type { Keyring } from "./keyring.ts";
import { hostOwner, packKey } from "./keys.ts";
import type { Extent, Manifest, Part } from "./manifest.ts";
import { maximumSealedBytes, openSegment } from "./segment.ts";
import type { ObjectReader } from "./stores/store.ts";

/** Where one segment is, and whose key opens it. */
export interface SegmentReference {
  readonly pack: Extent["pack"];
  readonly offset: number;
  readonly bytes: number;
  readonly ownerId: string;
  readonly keyId: string;
}

/** Reads what a snapshot holds: the way back of the pipeline. */
export class SnapshotReader {
  readonly manifest: Manifest;
  readonly keyring: Keyring;
  readonly #store: ObjectReader;
  readonly #signal: AbortSignal | undefined;

  /**
   * @param manifest must have been read with `readManifest`, so that what it says can be believed.
   */
  constructor(manifest: Manifest, store: ObjectReader, keyring: Keyring, signal?: AbortSignal) {
    this.manifest = manifest;
    this.keyring = keyring;
    this.#store = store;
    this.#signal = signal;
  }

  /**
   * @throws MailarkError `MANIFEST_INVALID` when the snapshot has no such part.
   */
  part(name: string): Part {
    const part = this.manifest.parts.find((candidate) => candidate.name === name);
    if (part !== undefined) return part;
    throw new MailarkError("MANIFEST_INVALID", `the snapshot ${this.manifest.snapshotId} has no part ${name}`);
  }

  /**
   * The plain bytes of a part. It throws after the last of them unless they are what was captured, so nothing may be believed
   * before the stream has ended.
   *
   * @throws MailarkError `OBJECT_CORRUPT`, or as {@link segments}.
   */
  async *readPart(part: Part): AsyncGenerator<Buffer> {
    const sha256 = createHash("sha256");
    let bytes = 0;
    for await (const plain of this.segments(referencesOf(part))) {
      sha256.update(plain);
      bytes += plain.length;
      yield plain;
    }
    if (bytes !== part.bytes || sha256.digest("hex") !== part.sha256) {
      throw new MailarkError(
        "OBJECT_CORRUPT",
        `part ${part.name} of ${this.manifest.snapshotId} is not what was captured`,
      );
    }
  }

  /**
   * The plain bytes of segments, one after the other; the next is read while the last is consumed.
   *
   * @throws MailarkError `OBJECT_MISSING`, `OBJECT_CORRUPT` or `DECRYPTION_FAILED`, naming the object.
   */
  async *segments(references: Iterable<SegmentReference>): AsyncGenerator<Buffer> {
    const ahead: Promise<Buffer>[] = [];
    try {
      for (const reference of references) {
        const reading = this.segment(reference);
        reading.catch(() => {});
        ahead.push(reading);
        if (ahead.length > 2) yield await ahead.shift()!;
      }
      while (ahead.length > 0) yield await ahead.shift()!;
    } finally {
      await Promise.allSettled(ahead);
    }
  }

  /** The plain bytes of one segment. Throws as {@link segments} does. */
  async segment({ pack, offset, bytes, ownerId, keyId }: SegmentReference): Promise<Buffer> {
    const { hostId, component } = this.manifest;
    const key = packKey(hostId, component, pack);
    if (bytes > maximumSealedBytes) {
      throw new MailarkError("OBJECT_CORRUPT", `a segment of ${bytes} bytes is larger than the format allows: ${key}`);
    }
    const file = Buffer.allocUnsafeSlow(bytes);
    let filled = 0;
    const range = { start: offset, end: offset + bytes };
    for await (const chunk of this.#store.get(key, { range, ...(this.#signal && { signal: this.#signal }) })) {
      file.set(chunk, filled);
      filled += chunk.length;
    }
    const open = await this.keyring.opener(ownerId, keyId);
    try {
      return await openSegment(file, open);
    } catch (error) {
      if (!(error instanceof MailarkError)) throw error;
      throw new MailarkError(error.code, `${error.message}: ${key} at ${offset}`, {
        ...(error.hint !== undefined && { hint: error.hint }),
        cause: error,
      });
    }
  }
}

function* referencesOf({ extents }: Part): Generator<SegmentReference> {
  for (const { pack, keyId, offset, segments } of extents) {
    let start = offset;
    for (const bytes of segments) {
      yield { pack, offset: start, bytes, ownerId: hostOwner, keyId };
      start += bytes;
    }
  }
}
