import { createHash } from "node:crypto";
import { S3Error } from "./errors.ts";
import type { ChunkSignatures } from "./signature.ts";

/** A decoded body. Its trailer is there once its bytes have ended. */
export interface ChunkedBody {
  readonly bytes: AsyncIterable<Buffer>;
  readonly trailer: ReadonlyMap<string, string>;
}

/** A chunk that is not the last must have as much. */
const smallestChunk = 8192;
const longestLine = 1024;
const mostTrailerLines = 16;

/**
 * Takes the `aws-chunked` frames off a body: `size[;chunk-signature=hex] CR LF bytes CR LF`, a chunk of no bytes, then
 * (if announced) the trailer. Whether there was less than declared, the reader sees.
 *
 * @throws S3Error while it is read, when a frame, a length, or (with `signatures`) a signature is not right.
 */
export function chunkedBody(
  source: AsyncIterable<Buffer>,
  {
    decodedBytes,
    trailer: announced,
    signatures,
  }: {
    readonly decodedBytes: number;
    readonly trailer: boolean;
    readonly signatures: ChunkSignatures | undefined;
  },
): ChunkedBody {
  const trailer = new Map<string, string>();
  return { bytes: decode(), trailer };

  async function* decode(): AsyncGenerator<Buffer> {
    const input = new Input(source);
    try {
      yield* chunks(input);
    } finally {
      await input.close();
    }
  }

  async function* chunks(input: Input): AsyncGenerator<Buffer> {
    let total = 0;
    for (let previous = smallestChunk; ; ) {
      const [, digits, signature] =
        /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(await input.line()) ?? [];
      if (digits === undefined) throw incomplete("a chunk does not begin with its size");
      const size = Number.parseInt(digits, 16);
      total += size;
      if (total > decodedBytes) throw incomplete("there is more than x-amz-decoded-content-length");
      if (size > 0 && previous < smallestChunk) {
        throw new S3Error(
          "InvalidChunkSizeError",
          "Only the last chunk is allowed to have a size less than 8192 bytes",
        );
      }
      const hash = signatures && createHash("sha256");
      for (let left = size; left > 0; ) {
        const piece = await input.some(left);
        hash?.update(piece);
        left -= piece.length;
        yield piece;
      }
      if (hash !== undefined) signatures?.chunk(hash.digest("hex"), signature);
      if (size === 0) break;
      if ((await input.line()) !== "") throw incomplete("a chunk is longer than its size");
      previous = size;
    }
    await readTrailer(input);
    if (!(await input.ended())) throw incomplete("something follows the last chunk");
  }

  async function readTrailer(input: Input): Promise<void> {
    let signature: string | undefined;
    let lines = "";
    for (let count = 0; ; count++) {
      const line = (await input.line()).trimEnd();
      if (line === "") break;
      const [, name, value] = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line) ?? [];
      if (name === undefined || !announced || count > mostTrailerLines) throw malformedTrailer();
      if (name.toLowerCase() === "x-amz-trailer-signature") signature = value;
      else if (signature !== undefined || trailer.has(name.toLowerCase())) throw malformedTrailer();
      else {
        trailer.set(name.toLowerCase(), value!);
        lines += `${name.toLowerCase()}:${value}\n`;
      }
    }
    if (announced) signatures?.trailer(lines, signature);
  }
}

function malformedTrailer(): S3Error {
  return new S3Error("MalformedTrailerError", "The request contained trailing data that was not well-formed");
}

function incomplete(why: string): S3Error {
  return new S3Error("IncompleteBody", `The request body is not what its headers say: ${why}`);
}

/** Bytes as they come, in lines or by number. */
class Input {
  readonly #source: AsyncIterator<Buffer>;
  #left: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to CR LF, without it. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#left.indexOf("\r\n");
      if (end > longestLine || (end < 0 && this.#left.length > longestLine + 1)) throw incomplete("a line is too long");
      if (end >= 0) {
        const text = this.#left.toString("latin1", 0, end);
        this.#left = this.#left.subarray(end + 2);
        return text;
      }
      const more = await this.#source.next();
      if (more.done) throw incomplete("it ends early");
      this.#left = this.#left.length === 0 ? more.value : Buffer.concat([this.#left, more.value]);
    }
  }

  /** At least one byte, at most as many. */
  async some(most: number): Promise<Buffer> {
    if (await this.ended()) throw incomplete("it ends early");
    const piece = this.#left.subarray(0, most);
    this.#left = this.#left.subarray(piece.length);
    return piece;
  }

  /** Lets go of the source, which may have more to come. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async ended(): Promise<boolean> {
    while (this.#left.length === 0) {
      const more = await this.#source.next();
      if (more.done) return true;
      this.#left = more.value;
    }
    return false;
  }
}
