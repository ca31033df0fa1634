/** Takes an RDB file apart while it streams: docs/format.md §8.4 says what it is, rdb.c of Redis how it is written. */
import { RdbInput, type Reading } from "./rdb-input.ts";
import { type KeyType, moduleValue, readValue } from "./rdb-value.ts";
import { UnknownStructure } from "./unknown-structure.ts";

/** One key with all that the file says of it. */
export interface RdbKey {
  readonly database: number;
  readonly name: Buffer;
  readonly type: KeyType;
  readonly size: number | undefined;
  readonly text?: Buffer;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
  /** The type's byte and the value as in the file, where they were asked for: a DUMP payload without its end. */
  readonly payload?: readonly Buffer[];
}

/** What may be found, in the order of the file. */
export interface RdbVisitor {
  /** Keys' payloads are kept for {@link key}. */
  readonly payloads?: boolean;
  version?(version: number): void;
  /** `redis-ver`, `ctime`, `repl-id`, `repl-offset` … */
  property?(name: string, value: string): void;
  /** How many keys the server says that a database has, before they come. */
  announce?(database: number, keys: number, expiring: number): void;
  key?(key: RdbKey): void;
  /** The code of a library of functions. */
  library?(code: Buffer): void;
}

/** Where a reading stands. */
export type RdbEnd =
  /** More is to come. */
  | undefined
  /** The file's structure ended after so many bytes, its checksum included. */
  | { readonly bytes: number }
  /** Something is of no known structure; what was told by then is not all. */
  | { readonly unknown: string };

/** Gives a file to a visitor, chunk by chunk. What it does not know, it says, and throws nothing of its own. */
export class RdbReader {
  readonly #input = new RdbInput();
  readonly #reading: Reading<void>;
  #end: RdbEnd;

  constructor(visitor: RdbVisitor) {
    this.#reading = read(this.#input, visitor);
    this.#reading.next();
  }

  get end(): RdbEnd {
    return this.#end;
  }

  /** @throws what the visitor throws. */
  push(chunk: Buffer): void {
    if (this.#end !== undefined || chunk.length === 0) return;
    this.#input.feed(chunk);
    try {
      if (this.#reading.next().done) this.#end = { bytes: this.#input.used };
    } catch (error) {
      // A RangeError: the head of a value is too short to be one.
      if (!(error instanceof UnknownStructure || error instanceof RangeError)) throw error;
      this.#end = { unknown: error.message };
    }
  }
}

function* read(input: RdbInput, visitor: RdbVisitor): Reading<void> {
  const [, version] = /^REDIS(\d{4})$/.exec((yield* input.take(9)).toString("latin1")) ?? [];
  if (version === undefined) throw new UnknownStructure("not an RDB file");
  visitor.version?.(Number(version));
  let database = 0;
  let expiresAt: number | undefined;
  for (;;) {
    const code = yield* input.byte();
    switch (code) {
      case 0xff:
        if (Number(version) >= 5) yield* input.skip(8);
        return;
      case 0xfe:
        database = yield* input.length();
        break;
      case 0xfd:
        expiresAt = (yield* input.take(4)).readInt32LE() * 1000;
        break;
      case 0xfc:
        expiresAt = Number((yield* input.take(8)).readBigInt64LE());
        break;
      case 0xfb: {
        const keys = yield* input.length();
        const expiring = yield* input.length();
        visitor.announce?.(database, keys, expiring);
        break;
      }
      case 0xfa: {
        const name = (yield* small(input)).toString("latin1");
        const value = (yield* small(input)).toString("latin1");
        visitor.property?.(name, value);
        break;
      }
      case 0xf9:
        yield* input.byte();
        break;
      case 0xf8:
        yield* input.length();
        break;
      case 0xf7:
        for (let left = 3; left > 0; left--) yield* input.length();
        yield* moduleValue(input);
        break;
      case 0xf5: {
        const code = Buffer.from(yield* small(input));
        visitor.library?.(code);
        break;
      }
      case 0xf4:
        for (let left = 3; left > 0; left--) yield* input.length();
        break;
      default: {
        if (code > 0xef) throw new UnknownStructure(`code ${code}`);
        const name = Buffer.from(yield* small(input));
        if (visitor.payloads) input.keep();
        const value = yield* readValue(input, code);
        const payload = visitor.payloads ? { payload: [Buffer.of(code), ...input.kept()] } : {};
        visitor.key?.({ database, name, ...value, ...(expiresAt !== undefined && { expiresAt }), ...payload });
        expiresAt = undefined;
      }
    }
  }
}

/** A name or a script, which has no more than 512 MiB. */
function* small(input: RdbInput): Reading<Buffer> {
  const { value } = yield* input.text(512 * 1024 * 1024);
  if (value === undefined) throw new UnknownStructure("a name is longer than any can be");
  return value;
}
