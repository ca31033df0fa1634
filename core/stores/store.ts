/**
 * Where objects live. Writing, reading and erasing are three interfaces, so that capture cannot read or erase and
 * verification cannot write, whatever credentials they run with.
 */

/**
 * The bytes of an object. It may be iterated again from its start, with the same result, until `put` has settled: that
 * is what lets a store or a retry send it a second time. From then on its memory may be used again, so a store must keep
 * copies. An array of buffers is one.
 */
export type Body = AsyncIterable<Uint8Array> | readonly Uint8Array[];

/** What a store says of the bytes it took, measured on its side of the wire. */
export interface Receipt {
  readonly bytes: number;
  /** CRC-64/NVME of the whole object, 16 lower-case hex digits. `undefined`: the store can not say, and whoever opened it knew. */
  readonly crc64nvme: string | undefined;
  /** What this version of the object is called, where the store keeps versions and said so. */
  readonly version?: string | undefined;
  /** The store did not say it: its answer was lost, and the key was taken when it was asked again. Absent: it did. */
  readonly assumed?: true;
}

/** All that capture ever receives. */
export interface ObjectWriter {
  /**
   * Creates an object, whole or not at all. It is durable when this resolves.
   *
   * @throws MailarkError `OBJECT_EXISTS` when the key is taken: nothing is ever overwritten. Any other failure
   *   has left no object. It may have left the whole object, never a part of one, where it is `STORE_UNREACHABLE` and
   *   `retryable`, or the signal was aborted; and whatever the store made of it where it is `UPLOAD_MISMATCH`.
   *   `STORE_BUSY` has certainly done nothing, and says nothing of whether the key is taken.
   */
  put(key: string, body: Body, options?: { readonly signal?: AbortSignal }): Promise<Receipt>;
}

/** What is known of an object without reading it. */
export interface ObjectHead {
  readonly key: string;
  readonly bytes: number;
  /** When the store received it, by the store's clock, in milliseconds since 1970. */
  readonly receivedAt: number;
}

export interface ListOptions {
  /** Only keys that sort after this one. */
  readonly startAfter?: string;
  /** Keys that contain it after the prefix are rolled up: see {@link ObjectReader.list}. */
  readonly delimiter?: "/";
  readonly signal?: AbortSignal;
}

/** One row of a listing: an object, or (with a delimiter) a common prefix that ends in the delimiter. */
export type Listed = ObjectHead | { readonly prefix: string };

export interface ObjectReader {
  /**
   * The bytes of an object, or of `range` (`start` inclusive, `end` exclusive, in bytes; not empty).
   *
   * @throws MailarkError `OBJECT_MISSING` when there is no such object, also while it is iterated; `OBJECT_CORRUPT`
   *   when the range reaches past its end or the object ends early.
   */
  get(
    key: string,
    options?: { readonly range?: { readonly start: number; readonly end: number }; readonly signal?: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** `undefined` means: certainly absent. Anything that is not known throws. */
  head(key: string, options?: { readonly signal?: AbortSignal }): Promise<ObjectHead | undefined>;
  /** Everything whose key starts with `prefix`, in the order of the keys' UTF-8 bytes. */
  list(prefix: string, options?: ListOptions): AsyncIterable<Listed>;
}

/** Used by the probe alone, on what it stored itself: what a thief would try, and nothing else here ever does. */
export interface ObjectReplacer {
  /** Stores an object without the condition that its key is free. @throws what `put` throws, but `OBJECT_EXISTS`. */
  replace(key: string, body: Body, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/** Used by `prune` alone, with credentials of its own. */
export interface ObjectEraser {
  /** Removes an object; one that is absent already counts as removed. */
  erase(key: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
}
