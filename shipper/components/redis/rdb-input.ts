/**
 * Reads the smallest pieces of an RDB file from chunks that end anywhere. A reading is a generator that yields when it needs the next
 * chunk, so that a value of any size passes through without being held.
 */
import { decompress } from "./lzf.ts";
import { UnknownStructure } from "./unknown-structure.ts";

/** A reading that gives T; it yields whenever it has used up what it was given. */
export type Reading<T> = Generator<undefined, T, undefined>;

/** Of a string, what fits into memory without a thought. */
export type Text = { readonly bytes: number; readonly value: Buffer | undefined };

export class RdbInput {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  #used = 0;
  #kept: Buffer[] | undefined;

  /** Gives the next bytes; only while the reading waits for them. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Bytes that were read so far. */
  get used(): number {
    return this.#used;
  }

  /** What is read from now on is kept as well, until `kept` is called. */
  keep(): void {
    this.#kept = [];
  }

  kept(): Buffer[] {
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    return kept;
  }

  *byte(): Reading<number> {
    while (this.#at === this.#chunk.length) yield;
    const start = this.#at;
    this.#took(1);
    return this.#chunk[start]!;
  }

  /** So many bytes, in one piece. */
  *take(count: number): Reading<Buffer> {
    const start = this.#at;
    if (this.#chunk.length - start >= count) {
      this.#took(count);
      return this.#chunk.subarray(start, start + count);
    }
    const pieces: Buffer[] = [];
    yield* this.#pass(count, (piece) => pieces.push(piece));
    return Buffer.concat(pieces);
  }

  *skip(count: number): Reading<void> {
    yield* this.#pass(count, () => {});
  }

  /** A length; an encoding of a string instead is none. */
  *length(): Reading<number> {
    const { length, encoding } = yield* this.#lengthOrEncoding();
    if (encoding !== undefined) throw new UnknownStructure("an encoding in place of a length");
    return length;
  }

  /**
   * A string. Its value is there where it has at most `limit` bytes.
   */
  *text(limit: number): Reading<Text> {
    const { length, encoding } = yield* this.#lengthOrEncoding();
    if (encoding === undefined) {
      if (length <= limit) return { bytes: length, value: yield* this.take(length) };
      yield* this.skip(length);
      return { bytes: length, value: undefined };
    }
    if (encoding < 3) {
      const number = yield* this.take(1 << encoding);
      const value = Buffer.from(String(number.readIntLE(0, number.length)));
      return { bytes: value.length, value };
    }
    const packed = yield* this.length();
    const bytes = yield* this.length();
    if (bytes > limit) {
      yield* this.skip(packed);
      return { bytes, value: undefined };
    }
    return { bytes, value: decompress(yield* this.take(packed), bytes) };
  }

  /** The first bytes of a string, fewer where it has no more; the rest is passed over. */
  *head(count: number): Reading<Buffer> {
    const { length, encoding } = yield* this.#lengthOrEncoding();
    if (encoding === undefined) {
      const head = Buffer.from(yield* this.take(Math.min(count, length)));
      yield* this.skip(length - head.length);
      return head;
    }
    if (encoding < 3) throw new UnknownStructure("a number in place of a packed value");
    const packed = yield* this.length();
    const bytes = yield* this.length();
    // A run of compressed bytes gives at least half as many: what is needed is among so many.
    const start = Buffer.from(yield* this.take(Math.min(packed, 2 * count + 64)));
    yield* this.skip(packed - start.length);
    return decompress(start, Math.min(count, bytes));
  }

  /** One of the two is undefined: encodings 0 to 2 are numbers of 1, 2 and 4 bytes, 3 is LZF. */
  *#lengthOrEncoding(): Reading<{ length: number; encoding?: number }> {
    const first = yield* this.byte();
    const kind = first >> 6;
    if (kind === 0) return { length: first & 63 };
    if (kind === 1) return { length: ((first & 63) << 8) | (yield* this.byte()) };
    if (kind === 3) {
      const encoding = first & 63;
      if (encoding > 3) throw new UnknownStructure(`string encoding ${encoding}`);
      return { length: 0, encoding };
    }
    if (first === 0x80) return { length: (yield* this.take(4)).readUInt32BE() };
    if (first === 0x81) return { length: Number((yield* this.take(8)).readBigUInt64BE()) };
    throw new UnknownStructure(`length ${first}`);
  }

  *#pass(count: number, see: (piece: Buffer) => void): Reading<void> {
    let left = count;
    while (left > 0) {
      while (this.#at === this.#chunk.length) yield;
      const start = this.#at;
      const length = Math.min(left, this.#chunk.length - start);
      this.#took(length);
      see(this.#chunk.subarray(start, start + length));
      left -= length;
    }
  }

  #took(count: number): void {
    this.#kept?.push(this.#chunk.subarray(this.#at, this.#at + count));
    this.#at += count;
    this.#used += count;
  }
}
