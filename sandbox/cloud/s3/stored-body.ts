import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";

/** A file that holds one upload's bytes, or one part's. */
export interface Piece {
  readonly file: string;
  readonly bytes: number;
}

const blockBytes = 1024 * 1024;

/** Writes bytes to a new file, in blocks; there is none when they end in an error. */
export async function writePiece(directory: string, bytes: AsyncIterable<Buffer>): Promise<Piece> {
  const file = join(directory, randomUUID());
  const handle = await open(file, "wx", 0o600);
  try {
    return { file, bytes: await writeAll(handle, bytes) };
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: AsyncIterable<Buffer>): Promise<number> {
  let written = 0;
  let block: Buffer[] = [];
  let size = 0;
  const flush = async () => {
    let left = block;
    [block, size] = [[], 0];
    while (left.length > 0) {
      const { bytesWritten } = await handle.writev(left);
      written += bytesWritten;
      left = after(left, bytesWritten);
    }
  };
  for await (const piece of bytes) {
    if (piece.length === 0) continue;
    block.push(piece);
    size += piece.length;
    if (size >= blockBytes) await flush();
  }
  await flush();
  return written;
}

function after(buffers: readonly Buffer[], written: number): Buffer[] {
  let start = written;
  return buffers.flatMap((buffer) => {
    const skipped = Math.min(start, buffer.length);
    start -= skipped;
    return skipped === buffer.length ? [] : [buffer.subarray(skipped)];
  });
}

/** The bytes of an object: its pieces one after the other. It is read to its end even when it is removed meanwhile. */
export class StoredBody {
  readonly bytes: number;
  readonly #pieces: readonly Piece[];
  #readers = 0;
  #removed = false;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
    this.bytes = pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get files(): readonly string[] {
    return this.#pieces.map(({ file }) => file);
  }

  /** From byte `start` up to `end`, exclusive. */
  async *read(start = 0, end = this.bytes): AsyncGenerator<Buffer> {
    this.#readers += 1;
    try {
      let offset = 0;
      for (const { file, bytes } of this.#pieces) {
        const [from, to] = [Math.max(start - offset, 0), Math.min(end - offset, bytes)];
        if (from < to) yield* createReadStream(file, { start: from, end: to - 1, highWaterMark: blockBytes });
        offset += bytes;
      }
    } finally {
      this.#readers -= 1;
      await this.#clear();
    }
  }

  async remove(): Promise<void> {
    this.#removed = true;
    await this.#clear();
  }

  async #clear(): Promise<void> {
    if (!this.#removed || this.#readers > 0) return;
    for (const { file } of this.#pieces) await rm(file, { force: true });
  }
}
