/**
 * Tells a dump of many databases apart.
 *
 * `mariadb-dump --databases a b` prints a header, then each database (tables, rows, placeholders of views), then each database
 * once more (views), then a footer. Before each it writes
 *
 *     ⏎--⏎-- Current Database: `a`⏎--⏎⏎CREATE DATABASE /*!32312 IF NOT EXISTS*\/ `a` …;⏎⏎USE `a`;⏎
 *
 * the second time without CREATE DATABASE. Such text can not come from what is dumped: the server escapes a line feed in
 * every value, comment, default and expression, and doubles a backtick in every name. Only triggers, routines and events are printed
 * as they are, and those must not be in the dump. Only the boundary that must come next is looked for.
 *
 * The bytes are searched, never turned into text: it is done at the speed of memory.
 */
import { MailarkError } from "../../../core/errors.ts";
import { completionMark, truncated } from "./dump-output.ts";
import { quoteName } from "./sql-text.ts";

/** What comes of the stream, in its order: a database begins; bytes of it. */
export type Piece = { readonly database: string; readonly content: Content } | Buffer;

/** `views` comes after the tables of all databases, because a view may refer to any of them. */
export type Content = "tables" | "views";

/** Held back always: the footer must be in it as a whole. */
const footerBytes = 16 * 1024;
/** Searched at once. A pipe brings a few kilobytes at a time, and what is held back would be copied with each. */
const searchedBytes = 256 * 1024;
/** No header is longer. */
const headerBytes = 1024 * 1024;
/** No CREATE DATABASE is longer. */
const createBytes = 64 * 1024;

export class DumpSplitter {
  readonly #names: readonly string[];
  #boundaries: Boundary[];
  #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #held: Buffer = Buffer.alloc(0);
  #searched = 0;
  #header: string | undefined;
  #footer = "";

  /** @param names the databases, as they were given to the program. */
  constructor(names: readonly string[]) {
    this.#names = names;
    const boundaries = (content: Content) => names.map((database) => boundaryOf(database, content));
    this.#boundaries = [...boundaries("tables"), ...boundaries("views")];
  }

  /** Everything before the first database; known once that has begun. */
  get header(): string {
    return this.#header ?? "";
  }

  /** Everything after the last database; known at the end. */
  get footer(): string {
    return this.#footer;
  }

  *push(chunk: Buffer): Generator<Piece> {
    this.#arrived.push(chunk);
    this.#arrivedBytes += chunk.length;
    if (this.#header === undefined || this.#arrivedBytes >= searchedBytes) yield* this.#search();
  }

  *#search(): Generator<Piece> {
    this.#held = Buffer.concat([this.#held, ...this.#arrived]);
    this.#arrived = [];
    this.#arrivedBytes = 0;
    for (;;) {
      const [next] = this.#boundaries;
      const found = next && findBoundary(this.#held, next, this.#searched);
      if (!found) {
        this.#searched = Math.max(0, this.#held.length - (next?.start.length ?? 0));
        break;
      }
      if (found.end === undefined) {
        this.#searched = found.start;
        break;
      }
      yield* this.#release(found.start);
      this.#header ??= this.#held.toString("utf8", 0, found.start);
      this.#held = this.#held.subarray(found.end);
      this.#searched = 0;
      this.#boundaries.shift();
      yield { database: next!.database, content: next!.content };
    }
    if (this.#header === undefined) {
      if (this.#held.length <= headerBytes) return;
      throw new MailarkError("DUMP_FAILED", "the dump does not say where its first database begins", {
        hint: "look for an option file that sets skip-comments or compact for the dump program",
      });
    }
    const releasable = Math.min(this.#searched, this.#held.length - footerBytes);
    if (releasable > 0) {
      yield* this.#release(releasable);
      this.#held = this.#held.subarray(releasable);
      this.#searched -= releasable;
    }
  }

  /**
   * @throws MailarkError `DUMP_TRUNCATED` when the footer, its mark or a database did not come.
   */
  *end(): Generator<Piece> {
    yield* this.#search();
    const text = this.#held.toString("latin1");
    const closing = text.lastIndexOf("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n");
    const gtid = text.lastIndexOf("\n-- The deferred gtid setting for slave", closing);
    // The views come for all databases or, where there is none, for no database.
    const left = this.#boundaries.length;
    if (closing < 0 || !completionMark.test(text.slice(-200))) throw truncated("the dump program");
    if (left !== 0 && left !== this.#names.length) {
      throw new MailarkError("DUMP_TRUNCATED", "the dump does not hold all databases", {
        detail: this.#boundaries.map(({ database }) => database).join(", "),
      });
    }
    const end = gtid < 0 ? closing : gtid;
    this.#footer = this.#held.toString("utf8", end);
    yield* this.#release(end);
  }

  *#release(end: number): Generator<Buffer> {
    if (this.#header !== undefined && end > 0) yield this.#held.subarray(0, end);
  }
}

interface Boundary {
  readonly database: string;
  readonly content: Content;
  readonly start: Buffer;
  /** Where absent, `start` is all of it. */
  readonly end?: Buffer;
}

/** A name in a comment: the program makes every line of it one. */
const inComment = (name: string) => quoteName(name).replaceAll("\n", "\n-- ");

function boundaryOf(database: string, content: Content): Boundary {
  const name = quoteName(database);
  const comment = `\n--\n-- Current Database: ${inComment(database)}\n--\n\n`;
  const use = `USE ${name};\n`;
  if (content === "views") return { database, content, start: Buffer.from(comment + use) };
  const create = `CREATE DATABASE /*!32312 IF NOT EXISTS*/ ${name}`;
  return { database, content, start: Buffer.from(comment + create), end: Buffer.from(`;\n\n${use}`) };
}

/** `end` is undefined while the rest of the boundary has not come yet. */
function findBoundary(held: Buffer, boundary: Boundary, from: number): { start: number; end?: number } | undefined {
  for (let searched = from; ; ) {
    const start = held.indexOf(boundary.start, searched);
    if (start < 0) return undefined;
    const after = start + boundary.start.length;
    if (boundary.end === undefined) return { start, end: after };
    const end = held.indexOf(boundary.end, after);
    if (end >= 0 && end - after <= createBytes) return { start, end: end + boundary.end.length };
    if (end < 0 && held.length - after <= createBytes + boundary.end.length) return { start };
    searched = start + 1;
  }
}

/** A database of a dump, with its bytes; they must be read before the next one is asked for. */
export interface Section {
  readonly database: string;
  readonly content: Content;
  readonly body: AsyncGenerator<Buffer>;
}

/** The databases of a dump, one after the other, as they come. Throws what the source throws, or as {@link DumpSplitter.end}. */
export async function* sectionsOf(splitter: DumpSplitter, source: AsyncIterable<Buffer>): AsyncGenerator<Section> {
  const pieces = piecesOf(splitter, source);
  try {
    let next = await pieces.next();
    while (!next.done) {
      const begun = next.value;
      if (Buffer.isBuffer(begun)) throw new MailarkError("INTERNAL", "a dump does not begin with a database");
      yield {
        ...begun,
        body: (async function* () {
          for (next = await pieces.next(); !next.done && Buffer.isBuffer(next.value); next = await pieces.next()) {
            yield next.value;
          }
        })(),
      };
      if (next.value === begun) throw new MailarkError("INTERNAL", "a section of the dump was not read");
    }
  } finally {
    await pieces.return(undefined);
  }
}

async function* piecesOf(splitter: DumpSplitter, source: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  for await (const chunk of source) yield* splitter.push(chunk);
  yield* splitter.end();
}

const tableMark = Buffer.from("\n-- Table structure for table ");
/** MariaDB's words and MySQL's. */
const viewMarks = ["\n-- Temporary table structure for view ", "\n-- Temporary view structure for view "].map((mark) =>
  Buffer.from(mark),
);
const markEnd = Buffer.from("\n--\n");

/** The names of the tables and views that the bytes of one database define, taken down as they pass. */
export class Definitions {
  readonly tables = new Set<string>();
  readonly views = new Set<string>();

  /** Whether a table is among them. */
  has(table: string): boolean {
    return this.tables.has(inComment(table));
  }

  async *watch(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let tail: Buffer = Buffer.alloc(0);
    for await (const chunk of body) {
      const text = Buffer.concat([tail, chunk]);
      const open = [
        this.#note(text, tableMark, this.tables),
        ...viewMarks.map((mark) => this.#note(text, mark, this.views)),
      ];
      tail = text.subarray(Math.min(...open));
      yield chunk;
    }
  }

  /** Returns from where on the bytes must be looked at again with what follows. */
  #note(text: Buffer, mark: Buffer, names: Set<string>): number {
    for (let from = 0; ; ) {
      const start = text.indexOf(mark, from);
      if (start < 0) return Math.max(from, text.length - mark.length + 1, 0);
      const end = text.indexOf(markEnd, start + mark.length);
      // No name is longer, so what has no end by then is no mark.
      if (end < 0 && text.length - start < 4096) return start;
      if (end >= 0) names.add(text.toString("utf8", start + mark.length, end));
      from = start + mark.length;
    }
  }
}

/**
 * What a part begins with, so that it loads alone: the settings of the dump's header, without its comments, which name the host.
 */
export function preambleOf(header: string): Buffer {
  const settings = header.split("\n").filter((line) => /^\/\*(!\d{5}|M!\d{6})/.test(line));
  return Buffer.from(`${settings.join("\n")}\n`);
}

/** Where the binary log goes on, from the comments that the program wrote; undefined where it wrote none. */
export function positionOf(header: string, footer: string): Record<string, string | number> | undefined {
  const [, binlogFile, position] =
    /^-- CHANGE (?:MASTER|REPLICATION SOURCE) TO (?:MASTER|SOURCE)_LOG_FILE='([^']+)', (?:MASTER|SOURCE)_LOG_POS=(\d+)/m.exec(
      header,
    ) ?? [];
  if (binlogFile === undefined) return undefined;
  const gtid = /^-- SET GLOBAL gtid_slave_pos='([^']*)';/m.exec(`${header}\n${footer}`)?.[1];
  return { binlogFile, binlogPosition: Number(position), ...(gtid && { gtid }) };
}
