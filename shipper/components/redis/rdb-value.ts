/** The values of an RDB file: what type they are, how many elements they have, and where they end (rdb.c and rdb.h of Redis 7.0 and 7.2). */
import type { RdbInput, Reading } from "./rdb-input.ts";
import { UnknownStructure } from "./unknown-structure.ts";

export type KeyType = "string" | "list" | "set" | "zset" | "hash" | "stream" | "module";

export interface Value {
  readonly type: KeyType;
  /** Bytes of a string, elements of anything else (entries of a stream); undefined where the file does not say. */
  readonly size: number | undefined;
  /** Of a string that is not too long. */
  readonly text?: Buffer;
}

/** Longer strings are told by their length only. */
export const longestText = 1024 * 1024;

/**
 * Reads one value.
 *
 * @throws UnknownStructure for a type of a later release.
 */
export function* readValue(input: RdbInput, type: number): Reading<Value> {
  switch (type) {
    case 0: {
      const { bytes, value } = yield* input.text(longestText);
      return { type: "string", size: bytes, ...(value && { text: value }) };
    }
    case 1:
      return { type: "list", size: yield* strings(input, 1) };
    case 2:
      return { type: "set", size: yield* strings(input, 1) };
    case 3:
      return { type: "zset", size: yield* scored(input, textScore) };
    case 4:
      return { type: "hash", size: yield* strings(input, 2) };
    case 5:
      return { type: "zset", size: yield* scored(input, binaryScore) };
    case 7:
      yield* input.length();
      yield* moduleValue(input);
      return { type: "module", size: undefined };
    case 9:
      yield* input.head(0);
      return { type: "hash", size: undefined };
    case 10:
      return { type: "list", size: yield* ziplist(input) };
    case 11:
      return { type: "set", size: (yield* input.head(8)).readUInt32LE(4) };
    case 12:
      return { type: "zset", size: half(yield* ziplist(input)) };
    case 13:
      return { type: "hash", size: half(yield* ziplist(input)) };
    case 14:
      return { type: "list", size: yield* quicklist(input, ziplist) };
    case 15:
    case 19:
    case 21:
      return { type: "stream", size: yield* stream(input, type) };
    case 16:
      return { type: "hash", size: half(yield* listpack(input)) };
    case 17:
      return { type: "zset", size: half(yield* listpack(input)) };
    case 18:
      return { type: "list", size: yield* quicklist(input, node) };
    case 20:
      return { type: "set", size: yield* listpack(input) };
    default:
      throw new UnknownStructure(`value type ${type}`);
  }
}

/** What a module wrote, up to its end: numbers and strings that say what they are. */
export function* moduleValue(input: RdbInput): Reading<void> {
  for (;;) {
    const code = yield* input.length();
    if (code === 0) return;
    if (code === 1 || code === 2) yield* input.length();
    else if (code === 3) yield* input.skip(4);
    else if (code === 4) yield* input.skip(8);
    else if (code === 5) yield* input.text(0);
    else throw new UnknownStructure(`module code ${code}`);
  }
}

function* strings(input: RdbInput, each: number): Reading<number> {
  const count = yield* input.length();
  for (let left = count * each; left > 0; left--) yield* input.text(0);
  return count;
}

function* scored(input: RdbInput, score: (input: RdbInput) => Reading<void>): Reading<number> {
  const count = yield* input.length();
  for (let left = count; left > 0; left--) {
    yield* input.text(0);
    yield* score(input);
  }
  return count;
}

function* binaryScore(input: RdbInput): Reading<void> {
  yield* input.skip(8);
}

/** 253 to 255 are not-a-number and the infinities. */
function* textScore(input: RdbInput): Reading<void> {
  const length = yield* input.byte();
  if (length < 253) yield* input.skip(length);
}

function* quicklist(input: RdbInput, element: typeof node): Reading<number | undefined> {
  let sum: number | undefined = 0;
  for (let left = yield* input.length(); left > 0; left--) {
    const size: number | undefined = yield* element(input);
    sum = sum === undefined || size === undefined ? undefined : sum + size;
  }
  return sum;
}

/** One string, or a listpack of them. */
function* node(input: RdbInput): Reading<number | undefined> {
  if ((yield* input.length()) === 2) return yield* listpack(input);
  yield* input.text(0);
  return 1;
}

/** Of both the number of elements is in the head, up to 65534. */
function* listpack(input: RdbInput): Reading<number | undefined> {
  return counted((yield* input.head(6)).readUInt16LE(4));
}

function* ziplist(input: RdbInput): Reading<number | undefined> {
  return counted((yield* input.head(10)).readUInt16LE(8));
}

const counted = (size: number) => (size === 0xffff ? undefined : size);
const half = (size: number | undefined) => (size === undefined ? undefined : size / 2);

/** Nodes of entries, ids, consumer groups with what is pending, consumers. */
function* stream(input: RdbInput, type: number): Reading<number> {
  for (let nodes = yield* input.length(); nodes > 0; nodes--) {
    yield* input.text(0);
    yield* input.text(0);
  }
  const entries = yield* input.length();
  const numbers = type === 15 ? 2 : 7;
  for (let left = numbers; left > 0; left--) yield* input.length();
  for (let groups = yield* input.length(); groups > 0; groups--) {
    yield* input.text(0);
    for (let left = type === 15 ? 2 : 3; left > 0; left--) yield* input.length();
    for (let pending = yield* input.length(); pending > 0; pending--) {
      yield* input.skip(16 + 8);
      yield* input.length();
    }
    for (let consumers = yield* input.length(); consumers > 0; consumers--) {
      yield* input.text(0);
      yield* input.skip(type === 21 ? 16 : 8);
      yield* input.skip(16 * (yield* input.length()));
    }
  }
  return entries;
}
