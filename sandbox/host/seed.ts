import { type Cipheriv, createCipheriv, createHash } from "node:crypto";

/** A source of bytes and choices that is the same every time for the same seed. */
export interface Seed {
  bytes(count: number): Buffer;
  /** Evenly spread, 0 ≤ value < `below`, for `below` up to 2^32. */
  integer(below: number): number;
  /** 0 ≤ value < 1. */
  fraction(): number;
  /** Normal distribution with mean 0 and deviation 1. */
  normal(): number;
  pick<T>(values: readonly T[]): T;
  /** An independent source, which this one does not depend on. */
  branch(name: string): Seed;
}

/** Bytes of a cipher's key stream: as fast as it gets, and nothing that compresses. */
export function seedOf(text: string): Seed {
  const key = createHash("sha256").update(text).digest();
  const stream: Cipheriv = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(64 * 1024);
  let pool: Buffer = Buffer.alloc(0);
  let position = 0;

  function bytes(count: number): Buffer {
    if (count > 16 * 1024) return stream.update(Buffer.alloc(count));
    if (position + count > pool.length) {
      pool = stream.update(zeros);
      position = 0;
    }
    position += count;
    return pool.subarray(position - count, position);
  }

  const fraction = () => bytes(4).readUInt32LE() / 2 ** 32;
  const integer = (below: number) => Math.floor(fraction() * below);
  return {
    bytes,
    integer,
    fraction,
    normal: () => Math.sqrt(-2 * Math.log(1 - fraction())) * Math.cos(2 * Math.PI * fraction()),
    pick: (values) => values[integer(values.length)]!,
    branch: (name) => seedOf(`${text}/${name}`),
  };
}
