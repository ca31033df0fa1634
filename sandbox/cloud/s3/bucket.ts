import { randomBytes } from "node:crypto";
import type { Content } from "./content.ts";
import type { LockConfiguration } from "./object-lock.ts";
import type { Upload } from "./upload.ts";

/** One version of a key. */
export interface Version {
  readonly key: string;
  /** `null` when it was made while versioning was off. */
  readonly versionId: string;
  /** In whole seconds, as S3 keeps it; milliseconds since 1970. */
  readonly receivedAt: number;
  /** Absent: a delete marker. */
  readonly content: Content | undefined;
}

/** A bucket's objects, in memory; their bytes are files. */
export class Bucket {
  readonly name: string;
  readonly createdAt: number;
  readonly uploads = new Map<string, Upload>();
  versioning: "Enabled" | "Suspended" | undefined;
  /** A bucket once made with Object Lock has it for ever. */
  lock: LockConfiguration | undefined;
  /** What an object is encrypted with when its PUT says nothing; without: the keys of S3. */
  readonly kmsKeyId: string | undefined;
  readonly #versions = new Map<string, Version[]>();
  readonly #revisions = new Map<string, number>();
  /** Keys as one character a byte, so that their order is that of their UTF-8. */
  readonly #sorted: string[] = [];

  constructor({ name, createdAt, kmsKeyId }: { name: string; createdAt: number; kmsKeyId?: string | undefined }) {
    this.name = name;
    this.createdAt = createdAt;
    this.kmsKeyId = kmsKeyId;
  }

  get empty(): boolean {
    return this.#sorted.length === 0;
  }

  /** The newest version, which may be a delete marker. */
  newest(key: string): Version | undefined {
    return this.#versions.get(key)?.[0];
  }

  version(key: string, versionId: string): Version | undefined {
    return this.#versions.get(key)?.find((each) => each.versionId === versionId);
  }

  /** Newest first. */
  versions(key: string): readonly Version[] {
    return this.#versions.get(key) ?? [];
  }

  /** A number that is another one after every change of the key's versions. */
  revision(key: string): number {
    return this.#revisions.get(key) ?? 0;
  }

  /**
   * Adds the newest version: an object, or without `content` a delete marker.
   *
   * @param keeping - whether versions are kept; otherwise it takes the place of the one that is called `null`.
   */
  add(
    key: string,
    content: Content | undefined,
    now: number,
    keeping = this.versioning === "Enabled",
  ): { readonly version: Version; readonly replaced: readonly Version[] } {
    const versionId = keeping ? randomBytes(24).toString("base64url") : "null";
    const version = { key, versionId, receivedAt: Math.floor(now / 1000) * 1000, content };
    const before = this.versions(key);
    const replaced = keeping ? [] : before.filter((each) => each.versionId === "null");
    this.#set(key, [version, ...before.filter((each) => !replaced.includes(each))]);
    return { version, replaced };
  }

  remove({ key, versionId }: Version): void {
    this.#set(
      key,
      this.versions(key).filter((each) => each.versionId !== versionId),
    );
  }

  /** Keys from `position` on, in order; to go on behind all keys with a prefix, hand in {@link endOf} it. */
  *keysFrom(position: Position): Generator<string> {
    for (let at = this.#find(position); at < this.#sorted.length; at++) {
      yield Buffer.from(this.#sorted[at]!, "latin1").toString();
    }
  }

  #set(key: string, versions: Version[]): void {
    this.#revisions.set(key, this.revision(key) + 1);
    const order = byteOrder(key);
    const at = this.#find({ text: order, after: false });
    const known = this.#sorted[at] === order;
    if (versions.length > 0 && !known) this.#sorted.splice(at, 0, order);
    if (versions.length === 0 && known) this.#sorted.splice(at, 1);
    if (versions.length > 0) this.#versions.set(key, versions);
    else this.#versions.delete(key);
  }

  #find({ text, after }: Position): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const each = this.#sorted[middle]!;
      if (each < text || (after && each.startsWith(text))) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A place in the order of keys. */
export interface Position {
  /** In {@link byteOrder}. */
  readonly text: string;
  /** Behind every key that begins with the text. */
  readonly after: boolean;
}

/** The UTF-8 bytes of a key, a character each: what is smaller as text sorts first. */
export function byteOrder(key: string): string {
  return Buffer.from(key).toString("latin1");
}
