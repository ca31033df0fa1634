/**
 * CRC-64/NVME, the checksum that S3 calls CRC64NVME: polynomial ad93d23594c93659, reflected, start and final XOR all ones
 * (the check value, of `123456789`, is ae8b14860a799888).
 *
 * Sixteen bytes a step: every byte of a step has a table of its own, which says what that byte does to the checksum by
 * the end of the step ("slicing"). JavaScript has no fast 64-bit integer and does this at 570 MB/s; WebAssembly has one
 * and does it at 1,570. So two small functions are assembled below, instruction by instruction, when this file is loaded.
 *
 * Memory of the module: tables from address 0, then a window that bytes are copied into.
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
  let checksum = allOnes;
  return {
    update(bytes) {
      for (let start = 0; start < bytes.length; start += windowBytes) {
        checksum = countPiece(bytes.subarray(start, start + windowBytes), checksum);
      }
    },
    digest: () =>
      BigInt.asUintN(64, checksum ^ allOnes)
        .toString(16)
        .padStart(16, "0"),
  };
}

const allOnes = 0xffff_ffff_ffff_ffffn;
/** The polynomial, its bits reversed. */
const polynomial = 0x9a6c_9329_ac4b_c9b5n;
const stepBytes = 16;
/** One table: 64 bits for each value of a byte. */
const tableBytes = 256 * 8;
const windowStart = stepBytes * tableBytes;
/** What fits the second-level cache beside the tables. */
const windowBytes = 64 * 1024;
const memoryPages = Math.ceil((windowStart + windowBytes) / 65_536);

function countPiece(bytes: Uint8Array, before: bigint): bigint {
  pieces.set(bytes);
  const end = windowStart + bytes.length;
  const endOfSteps = end - (bytes.length % stepBytes);
  let checksum = before;
  if (endOfSteps > windowStart) checksum = countSteps(windowStart, endOfSteps, checksum);
  if (end > endOfSteps) checksum = countBytes(endOfSteps, end, checksum);
  return checksum;
}

/** Table n says what a byte does after n more bytes. */
function fillTables(tables: BigUint64Array): void {
  for (let byte = 0; byte < 256; byte++) {
    let checksum = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) checksum = (checksum >> 1n) ^ (checksum & 1n ? polynomial : 0n);
    tables[byte] = checksum;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!;
    tables[at] = (before >> 8n) ^ tables[Number(before & 255n)]!;
  }
}

/** WebAssembly instructions, by their numbers in its core specification (5.4). */
const op = {
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load: 0x29,
  loadByte: 0x31,
  const32: 0x41,
  const64: 0x42,
  less32: 0x49,
  add32: 0x6a,
  and32: 0x71,
  shiftLeft32: 0x74,
  xor: 0x85,
  shiftRight: 0x88,
  toInt32: 0xa7,
} as const;
const type = { int32: 0x7f, int64: 0x7e, function: 0x60, none: 0x40 } as const;
const section = { types: 1, functions: 3, memories: 5, exports: 7, code: 10 } as const;
const exported = { function: 0, memory: 2 } as const;

/** Locals of both functions: the parameters, then the words of a step (8 bytes each). */
const from = 0;
const to = 1;
const checksum = 2;
const wordAt = [3, 4] as const;

/**
 *     do {
 *       word0 = load(from) ^ checksum; word1 = load(from + 8)
 *       checksum = table0[byte 7 of word1] ^ table1[byte 6 of word1] ^ … ^ table15[byte 0 of word0]
 *       from += 16
 *     } while (from < to)
 */
const stepsCode = countingLoop(stepBytes, [
  ...wordAt.flatMap((word, index) => [
    ...[op.get, from, op.load, 0, ...unsigned(8 * index)],
    ...(index === 0 ? [op.get, checksum, op.xor] : []),
    ...[op.set, word],
  ]),
  ...Array.from({ length: stepBytes }, (_, table) => {
    const byte = stepBytes - 1 - table;
    return [...lookUp(table, wordAt[byte < 8 ? 0 : 1], byte % 8), ...(table === 0 ? [] : [op.xor])];
  }).flat(),
  ...[op.set, checksum],
]);

/** The same by single bytes: `word0 = loadByte(from) ^ checksum; checksum = table0[byte 0 of word0] ^ (checksum >> 8)`. */
const bytesCode = countingLoop(1, [
  ...[op.get, from, op.loadByte, 0, 0, op.get, checksum, op.xor, op.set, wordAt[0]],
  ...lookUp(0, wordAt[0], 0),
  ...[op.get, checksum, op.const64, 8, op.shiftRight, op.xor, op.set, checksum],
]);

/** Takes the bytes from one address up to another into the checksum; there must be some, and whole steps of them. */
type Count = (from: number, to: number, checksum: bigint) => bigint;

const { memory, countSteps, countBytes } = instantiate();
const pieces = new Uint8Array(memory.buffer, windowStart, windowBytes);
fillTables(new BigUint64Array(memory.buffer, 0, windowStart / 8));

/** `table[byte]`, the byte being that of a word; leaves 64 bits. An address is the byte times 8, so a shift by 3 less. */
function lookUp(table: number, word: number, byte: number): number[] {
  const timesEight =
    byte === 0
      ? [op.toInt32, op.const32, 3, op.shiftLeft32]
      : [op.const64, ...signed(8 * byte - 3), op.shiftRight, op.toInt32];
  return [
    ...[op.get, word, ...timesEight, op.const32, ...signed(255 * 8), op.and32],
    ...[op.load, 0, ...unsigned(table * tableBytes)],
  ];
}

/** A function that runs the body for every so many bytes and returns the checksum. */
function countingLoop(bytes: number, body: readonly number[]): number[] {
  return [
    ...[1, wordAt.length, type.int64],
    ...[op.loop, type.none, ...body],
    ...[op.get, from, op.const32, bytes, op.add32, op.tee, from, op.get, to, op.less32, op.branchIf, 0],
    ...[op.end, op.get, checksum, op.end],
  ];
}

function instantiate(): { memory: { buffer: ArrayBuffer }; countSteps: Count; countBytes: Count } {
  const binary = [
    ...Buffer.from("\0asm\x01\0\0\0", "latin1"),
    ...sectionOf(section.types, [[type.function, 3, type.int32, type.int32, type.int64, 1, type.int64]]),
    ...sectionOf(section.functions, [[0], [0]]),
    ...sectionOf(section.memories, [[0, memoryPages]]),
    ...sectionOf(section.exports, [
      [...sized(Buffer.from("memory")), exported.memory, 0],
      [...sized(Buffer.from("countSteps")), exported.function, 0],
      [...sized(Buffer.from("countBytes")), exported.function, 1],
    ]),
    ...sectionOf(section.code, [sized(stepsCode), sized(bytesCode)]),
  ];
  return new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(binary))).exports;
}

function sectionOf(id: number, entries: readonly (readonly number[])[]): number[] {
  return [id, ...sized([...unsigned(entries.length), ...entries.flat()])];
}

function sized(bytes: Iterable<number>): number[] {
  const content = [...bytes];
  return [...unsigned(content.length), ...content];
}

/** LEB128: seven bits a byte, lowest first, the top bit set on all but the last. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** The same for a constant, whose highest bit is its sign: these are never negative. */
function signed(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)];
}

/** The part of WebAssembly's interface that is used here; Node's types leave it to those of the browser. */
declare const WebAssembly: {
  Module: new (binary: Uint8Array) => object;
  Instance: new (
    module: object,
  ) => {
    exports: { memory: { buffer: ArrayBuffer }; countSteps: Count; countBytes: Count };
  };
};
