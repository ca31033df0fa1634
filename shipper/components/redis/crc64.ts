/**
 * The checksum of Redis' files and DUMP payloads: CRC-64 with Jones' polynomial, reflected, from 0 and without a final XOR
 * (crc64.c of Redis: `crc64("123456789")` is e9c6d914c4b8d9ca).
 */

/** Eight tables of high and low halves, so that eight bytes are taken at once. */
const tables = makeTables();

export class Crc64 {
  #high = 0;
  #low = 0;

  update(bytes: Uint8Array): this {
    let high = this.#high;
    let low = this.#low;
    const { highs, lows } = tables;
    const whole = bytes.length - (bytes.length % 8);
    let at = 0;
    for (; at < whole; at += 8) {
      low ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      high ^= bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
      const a = 1792 + (low & 255);
      const b = 1536 + ((low >>> 8) & 255);
      const c = 1280 + ((low >>> 16) & 255);
      const d = 1024 + (low >>> 24);
      const e = 768 + (high & 255);
      const f = 512 + ((high >>> 8) & 255);
      const g = 256 + ((high >>> 16) & 255);
      const h = high >>> 24;
      high = highs[a]! ^ highs[b]! ^ highs[c]! ^ highs[d]! ^ highs[e]! ^ highs[f]! ^ highs[g]! ^ highs[h]!;
      low = lows[a]! ^ lows[b]! ^ lows[c]! ^ lows[d]! ^ lows[e]! ^ lows[f]! ^ lows[g]! ^ lows[h]!;
    }
    for (; at < bytes.length; at++) {
      const index = (low ^ bytes[at]!) & 255;
      low = ((low >>> 8) | (high << 24)) ^ lows[index]!;
      high = (high >>> 8) ^ highs[index]!;
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** One that goes on from here, apart from this one. */
  copy(): Crc64 {
    const copy = new Crc64();
    copy.#high = this.#high;
    copy.#low = this.#low;
    return copy;
  }

  /** As it stands in a file: eight bytes, the lowest first. */
  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(this.#low | 0, 0);
    bytes.writeInt32LE(this.#high | 0, 4);
    return bytes;
  }
}

function makeTables() {
  const highs = new Int32Array(2048);
  const lows = new Int32Array(2048);
  // The polynomial ad93d23594c935a9, its bits in reverse.
  const [polynomialHigh, polynomialLow] = [0x95ac9329, 0xac4bc9b5];
  for (let byte = 0; byte < 256; byte++) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit++) {
      const odd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        low ^= polynomialLow;
        high ^= polynomialHigh;
      }
    }
    highs[byte] = high;
    lows[byte] = low;
  }
  for (let index = 256; index < 2048; index++) {
    const high = highs[index - 256]!;
    const low = lows[index - 256]!;
    const next = low & 255;
    lows[index] = ((low >>> 8) | (high << 24)) ^ lows[next]!;
    highs[index] = (high >>> 8) ^ highs[next]!;
  }
  return { highs, lows };
}
