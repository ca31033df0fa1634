/**
 * CRC-64/NVME, the checksum that S3 calls CRC64NVME: polynomial ad93d23594c93659, reflected, start and final XOR all ones
 * (the check value, of `123456789`, is ae8b14860a799888).
 *
 * Sixteen bytes a step: every byte of a step has a table of its own, which says what that byte does to the checksum by
 * the end of the step ("slicing"). JavaScript has no fast 64-bit integer, so a checksum is two halves of 32 bits, side by
 * side in the tables.
 */

/** Measures bytes as they pass. */
export interface Crc64Nvme {
  /** Counts these bytes in; how a stream is cut into calls does not matter. */
  update(bytes: Uint8Array): void;
  /** The checksum of everything so far as 16 lower-case hex digits; more may follow. */
  digest(): string;
}

/** A checksum of nothing yet. */
export function crc64nvme(): Crc64Nvme {
  const state = { low: -1, high: -1 };
  return {
    update(bytes) {
      const misaligned = Math.min(bytes.length, -bytes.byteOffset & 3);
      const steps = Math.floor((bytes.length - misaligned) / stepBytes);
      const words = new Int32Array(bytes.buffer, bytes.byteOffset + misaligned, (steps * stepBytes) / 4);
      countBytes(state, bytes.subarray(0, misaligned));
      countWords(state, words);
      countBytes(state, bytes.subarray(misaligned + steps * stepBytes));
    },
    digest: () => hex(~state.high) + hex(~state.low),
  };
}

interface State {
  low: number;
  high: number;
}

const stepBytes = 16;
/** The polynomial, bits reversed. */
const polynomial = { low: 0xac4bc9b5 | 0, high: 0x9a6c9329 | 0 };
/** Numbers in one table: a low and a high half for each value of a byte. */
const stride = 2 * 256;
const tables = makeTables();

/** Table n says what a byte does after n more bytes: at `n * stride + 2 * byte`, low half then high half. */
function makeTables(): Int32Array {
  const made = new Int32Array(stepBytes * stride);
  for (let byte = 0; byte < 256; byte++) {
    let low = byte;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const carry = -(low & 1);
      low = ((low >>> 1) | (high << 31)) ^ (polynomial.low & carry);
      high = (high >>> 1) ^ (polynomial.high & carry);
    }
    made[2 * byte] = low;
    made[2 * byte + 1] = high;
  }
  for (let at = stride; at < made.length; at += 2) {
    const low = made[at - stride]!;
    const high = made[at - stride + 1]!;
    const next = 2 * (low & 255);
    made[at] = ((low >>> 8) | (high << 24)) ^ made[next]!;
    made[at + 1] = (high >>> 8) ^ made[next + 1]!;
  }
  return made;
}

function countBytes(state: State, bytes: Uint8Array): void {
  let { low, high } = state;
  for (const byte of bytes) {
    const at = 2 * ((low ^ byte) & 255);
    low = ((low >>> 8) | (high << 24)) ^ tables[at]!;
    high = (high >>> 8) ^ tables[at + 1]!;
  }
  state.low = low;
  state.high = high;
}

/** Words in the machine's byte order, which is little endian wherever Node runs; four at a time. */
function countWords(state: State, words: Int32Array): void {
  const t = tables;
  let { low, high } = state;
  for (let i = 0; i < words.length; i += 4) {
    const a = words[i]! ^ low;
    const b = words[i + 1]! ^ high;
    const c = words[i + 2]!;
    const d = words[i + 3]!;
    const a0 = 15 * stride + ((a << 1) & 510);
    const a1 = 14 * stride + ((a >>> 7) & 510);
    const a2 = 13 * stride + ((a >>> 15) & 510);
    const a3 = 12 * stride + ((a >>> 23) & 510);
    const b0 = 11 * stride + ((b << 1) & 510);
    const b1 = 10 * stride + ((b >>> 7) & 510);
    const b2 = 9 * stride + ((b >>> 15) & 510);
    const b3 = 8 * stride + ((b >>> 23) & 510);
    const c0 = 7 * stride + ((c << 1) & 510);
    const c1 = 6 * stride + ((c >>> 7) & 510);
    const c2 = 5 * stride + ((c >>> 15) & 510);
    const c3 = 4 * stride + ((c >>> 23) & 510);
    const d0 = 3 * stride + ((d << 1) & 510);
    const d1 = 2 * stride + ((d >>> 7) & 510);
    const d2 = stride + ((d >>> 15) & 510);
    const d3 = (d >>> 23) & 510;
    const lowEarly = t[a0]! ^ t[a1]! ^ t[a2]! ^ t[a3]! ^ t[b0]! ^ t[b1]! ^ t[b2]! ^ t[b3]!;
    const lowLate = t[c0]! ^ t[c1]! ^ t[c2]! ^ t[c3]! ^ t[d0]! ^ t[d1]! ^ t[d2]! ^ t[d3]!;
    const highEarly =
      t[a0 + 1]! ^ t[a1 + 1]! ^ t[a2 + 1]! ^ t[a3 + 1]! ^ t[b0 + 1]! ^ t[b1 + 1]! ^ t[b2 + 1]! ^ t[b3 + 1]!;
    const highLate =
      t[c0 + 1]! ^ t[c1 + 1]! ^ t[c2 + 1]! ^ t[c3 + 1]! ^ t[d0 + 1]! ^ t[d1 + 1]! ^ t[d2 + 1]! ^ t[d3 + 1]!;
    low = lowEarly ^ lowLate;
    high = highEarly ^ highLate;
  }
  state.low = low;
  state.high = high;
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, "0");
}
