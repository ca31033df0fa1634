/**
 * The custom format of pg_dump, as far as it tells whether an archive is whole. There is no mark at its end: its table of contents says which
 * data follow, and each of these ends with an empty chunk.
 *
 * From the sources of PostgreSQL 9.3 to 17: `pg_backup_archiver.c` (WriteHead, WriteToc) and `pg_backup_custom.c`; compared with what
 * pg_dump 15 writes.
 */

import { MailarkError } from "../../../core/errors.ts";
import { giveBack } from "../../../core/give-back.ts";

/** One row of the table of contents. */
export interface ArchiveEntry {
  readonly id: number;
  /** `TABLE DATA`, `SEQUENCE SET`, `BLOBS` … */
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
  /** Whether data follow for it. */
  readonly data: boolean;
}

export interface ArchiveHead {
  /** 1.14 is 14. */
  readonly minor: number;
  readonly entries: readonly ArchiveEntry[];
}

const known = { oldest: 12, newest: 16 };
const maximumHead = 256 * 1024 * 1024;

/** Follows an archive as it passes, and holds nothing of it but its head. */
export class ArchiveWalker {
  readonly #encoding: "utf8" | "latin1";
  /** Where text of the archive is in bytes of an unknown encoding, names stand as latin1. */
  constructor(encoding: "utf8" | "latin1" = "utf8") {
    this.#encoding = encoding;
  }

  #head: ArchiveHead | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #enough = 4096;
  #integerBytes = 4;
  #missing = new Set<number>();
  /** What comes next in the data; `chunk` and `object` are what stands in a block. */
  #state: "block" | "id" | "chunk" | "object" | "bytes" = "block";
  #inObjects = false;
  #kind = 0;
  #skip = 0;
  /** The bytes so far of an integer that a chunk of input cuts. */
  #integer = Buffer.alloc(9);
  #filled = 0;

  /** The head, once it has passed. */
  get head(): ArchiveHead | undefined {
    return this.#head;
  }

  /**
   * @throws MailarkError `DUMP_TRUNCATED` for what no archive can have there; `FORMAT_UNSUPPORTED` for an archive of a kind that is
   *   not known.
   */
  push(chunk: Buffer): void {
    if (this.#head !== undefined) this.#walk(chunk, 0);
    else {
      this.#waiting.push(Buffer.from(chunk));
      this.#waitingBytes += chunk.length;
      // Read anew only when it is twice as long, so that a long head takes no more than twice the work.
      if (this.#waitingBytes >= this.#enough) this.#readHead(false);
    }
  }

  /**
   * To be called after the last byte.
   *
   * @throws MailarkError `DUMP_TRUNCATED` unless everything that the table of contents promises has come, to its end.
   */
  end(): ArchiveHead {
    if (this.#head === undefined) this.#readHead(true);
    const whole = this.#state === "block" && this.#filled === 0 && this.#missing.size === 0;
    if (this.#head === undefined || !whole) throw truncated();
    return this.#head;
  }

  #readHead(last: boolean): void {
    const bytes = Buffer.concat(this.#waiting);
    const reader = new HeadReader(bytes, this.#encoding);
    try {
      this.#head = reader.read();
    } catch (error) {
      if (!(error instanceof Short)) throw error;
      if (last || bytes.length > maximumHead) throw truncated();
      this.#waiting = [bytes];
      this.#enough = bytes.length * 2;
      return;
    }
    this.#integerBytes = reader.integerBytes + 1;
    this.#missing = new Set(this.#head.entries.filter(({ data }) => data).map(({ id }) => id));
    this.#waiting = [];
    this.#walk(bytes, reader.position);
  }

  #walk(chunk: Buffer, start: number): void {
    let at = start;
    const { length } = chunk;
    while (at < length) {
      if (this.#state === "bytes") {
        const skipped = Math.min(this.#skip, length - at);
        at += skipped;
        this.#skip -= skipped;
        if (this.#skip === 0) this.#state = "chunk";
        continue;
      }
      if (this.#state === "block") {
        this.#kind = chunk[at++]!;
        // BLK_DATA and BLK_BLOBS
        if (this.#kind !== 1 && this.#kind !== 3) throw truncated();
        this.#state = "id";
        continue;
      }
      let value: number;
      if (this.#filled === 0 && at + this.#integerBytes <= length) {
        value = integerAt(chunk, at, this.#integerBytes);
        at += this.#integerBytes;
      } else {
        this.#integer[this.#filled++] = chunk[at++]!;
        if (this.#filled < this.#integerBytes) continue;
        value = integerAt(this.#integer, 0, this.#integerBytes);
        this.#filled = 0;
      }
      this.#take(value);
    }
  }

  #take(value: number): void {
    if (this.#state === "id") {
      if (!this.#missing.delete(value)) throw truncated();
      this.#inObjects = this.#kind === 3;
      this.#state = this.#inObjects ? "object" : "chunk";
    } else if (this.#state === "object") {
      this.#state = value === 0 ? "block" : "chunk";
    } else if (value < 0) {
      throw truncated();
    } else if (value === 0) {
      this.#state = this.#inObjects ? "object" : "block";
    } else {
      this.#skip = value;
      this.#state = "bytes";
    }
  }
}

/** Passes an archive through, and throws after its last byte unless it is whole. A chunk's memory is given back when the next one is asked for. */
export async function* wholeArchive(source: AsyncIterable<Buffer>, walker: ArchiveWalker): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    walker.push(chunk);
    yield chunk;
    giveBack(chunk);
  }
  walker.end();
}

/** There are no more bytes yet. */
class Short extends Error {}

class HeadReader {
  position = 0;
  integerBytes = 4;
  readonly #bytes: Buffer;
  readonly #encoding: "utf8" | "latin1";

  constructor(bytes: Buffer, encoding: "utf8" | "latin1") {
    this.#bytes = bytes;
    this.#encoding = encoding;
  }

  read(): ArchiveHead {
    if (this.#take(5).toString("latin1") !== "PGDMP") throw truncated();
    const [major, minor] = [this.#byte(), this.#byte()];
    this.#byte();
    if (major !== 1 || minor < known.oldest || minor > known.newest) {
      throw unsupported(`an archive of version ${major}.${minor}`);
    }
    this.integerBytes = this.#byte();
    const offsetBytes = this.#byte();
    const format = this.#byte();
    if (format !== 1 || this.integerBytes < 2 || this.integerBytes > 8)
      throw unsupported(`an archive of format ${format}`);
    // From 1.15 on the algorithm, before that zlib's level.
    if (minor >= 15) this.#byte();
    else this.#integer();
    for (let part = 0; part < 7; part++) this.#integer();
    for (let text = 0; text < 3; text++) this.#text();
    const count = this.#integer();
    const entries: ArchiveEntry[] = [];
    for (let number = 0; number < count; number++) entries.push(this.#entry(minor, offsetBytes));
    return { minor, entries };
  }

  #entry(minor: number, offsetBytes: number): ArchiveEntry {
    const id = this.#integer();
    this.#integer();
    this.#text();
    this.#text();
    const name = this.#text() ?? "";
    const kind = this.#text() ?? "";
    this.#integer();
    // Definition, drop statement, COPY statement.
    for (let text = 0; text < 3; text++) this.#text();
    const schema = this.#text() ?? "";
    this.#text();
    if (minor >= 14) this.#text();
    if (minor >= 16) this.#integer();
    // Owner, and whether there are OIDs.
    this.#text();
    this.#text();
    while (this.#text() !== undefined);
    const state = this.#byte();
    this.#take(offsetBytes);
    // K_OFFSET_NO_DATA
    return { id, kind, schema, name, data: state !== 3 };
  }

  #text(): string | undefined {
    const length = this.#integer();
    return length < 0 ? undefined : this.#take(length).toString(this.#encoding);
  }

  #integer(): number {
    const at = this.position;
    this.#take(this.integerBytes + 1);
    return integerAt(this.#bytes, at, this.integerBytes + 1);
  }

  #byte(): number {
    return this.#take(1)[0]!;
  }

  #take(length: number): Buffer {
    const end = this.position + length;
    if (end > this.#bytes.length) throw new Short();
    const taken = this.#bytes.subarray(this.position, end);
    this.position = end;
    return taken;
  }
}

/** A byte for the sign, then the number, its lowest byte first. */
function integerAt(bytes: Buffer, at: number, length: number): number {
  let value = 0;
  for (let index = at + length - 1; index > at; index--) value = value * 256 + bytes[index]!;
  return bytes[at] === 0 ? value : -value;
}

function truncated(): MailarkError {
  return new MailarkError("DUMP_TRUNCATED", "the archive of pg_dump ends, or goes wrong, before all that it promises", {
    hint: "look for a full disk or a killed process",
    retryable: true,
  });
}

function unsupported(what: string): MailarkError {
  return new MailarkError("FORMAT_UNSUPPORTED", `pg_dump writes ${what}, which this version does not know`, {
    hint: "use the pg_dump of PostgreSQL 12 to 18, or a newer mailark",
  });
}
