import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { crc64nvme } from "../../../core/crc64nvme.ts";

/** The algorithms that this server knows; S3 has more, which are refused by name. */
export const checksumAlgorithms = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** A checksum of an object. `COMPOSITE`: of its parts' checksums. */
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: "FULL_OBJECT" | "COMPOSITE";
  readonly value: Buffer;
  /** How many parts; only of one that is composite. */
  readonly parts?: number;
}

export interface Measure {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

/** Name of the header, or trailer, that carries it in base64. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** How a checksum is given back: the header with its value (the number of parts behind it, where composite), its type. */
export function checksumHeaders({ algorithm, value, type, parts }: Checksum): Record<string, string> {
  const suffix = type === "COMPOSITE" ? `-${parts}` : "";
  return { [checksumHeader(algorithm)]: `${value.toString("base64")}${suffix}`, "x-amz-checksum-type": type };
}

export function asChecksumAlgorithm(name: string): ChecksumAlgorithm | undefined {
  return checksumAlgorithms.find((algorithm) => algorithm === name.toUpperCase());
}

export function digestBytes(algorithm: ChecksumAlgorithm): number {
  return { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32 }[algorithm];
}

/** A checksum of nothing yet. */
export function measure(algorithm: ChecksumAlgorithm): Measure {
  if (algorithm === "SHA1" || algorithm === "SHA256") return createHash(algorithm);
  if (algorithm === "CRC64NVME") {
    const crc = crc64nvme();
    return { update: (bytes) => crc.update(bytes), digest: () => Buffer.from(crc.digest(), "hex") };
  }
  const next = algorithm === "CRC32" ? crc32 : crc32c;
  let value = 0;
  return {
    update(bytes) {
      value = next(bytes, value);
    },
    digest() {
      const result = Buffer.alloc(4);
      result.writeUInt32BE(value);
      return result;
    },
  };
}

export function checksumOf(algorithm: ChecksumAlgorithm, bytes: Uint8Array): Buffer {
  const measured = measure(algorithm);
  measured.update(bytes);
  return measured.digest();
}

/**
 * The CRC of two byte strings one after the other, from the CRC of each and the length of the second: the first is
 * carried on over as many zero bytes, which is a linear map of its bits (zlib's `crc32_combine`).
 */
export function combineCrcs(
  algorithm: "CRC32" | "CRC32C" | "CRC64NVME",
  first: Buffer,
  second: Buffer,
  secondBytes: number,
): Buffer {
  const maps = zeroBytes(algorithm);
  let crc = BigInt(`0x${first.toString("hex")}`);
  for (let power = 0, left = secondBytes; left > 0; power++, left = Math.floor(left / 2)) {
    maps[power] ??= maps[power - 1]!.map((column) => apply(maps[power - 1]!, column));
    if (left % 2 === 1) crc = apply(maps[power]!, crc);
  }
  const digits = (crc ^ BigInt(`0x${second.toString("hex")}`)).toString(16).padStart(2 * first.length, "0");
  return Buffer.from(digits, "hex");
}

/** The polynomials, bits reversed. */
const polynomials = { CRC32: 0xedb8_8320n, CRC32C: 0x82f6_3b78n, CRC64NVME: 0x9a6c_9329_ac4b_c9b5n };
/** What 2^n zero bytes do to a checksum, as the images of its single bits. */
type BitMap = readonly bigint[];
const known = new Map<string, BitMap[]>();

function zeroBytes(algorithm: keyof typeof polynomials): BitMap[] {
  const before = known.get(algorithm);
  if (before !== undefined) return before;
  const polynomial = polynomials[algorithm];
  const oneByte = Array.from({ length: 8 * digestBytes(algorithm) }, (_, bit) => {
    let crc = 1n << BigInt(bit);
    for (let step = 0; step < 8; step++) crc = (crc >> 1n) ^ (crc & 1n ? polynomial : 0n);
    return crc;
  });
  const maps = [oneByte];
  known.set(algorithm, maps);
  return maps;
}

function apply(map: BitMap, value: bigint): bigint {
  let result = 0n;
  for (let bit = 0, left = value; left > 0n; bit++, left >>= 1n) if (left & 1n) result ^= map[bit]!;
  return result;
}

const crc32cTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  return crc;
});

function crc32c(bytes: Uint8Array, before: number): number {
  let crc = ~before;
  for (const byte of bytes) crc = (crc >>> 8) ^ crc32cTable[(crc ^ byte) & 255]!;
  return ~crc >>> 0;
}
