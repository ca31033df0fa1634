import type { MailarkError } from "../../core/errors.ts";

/** Takes a stream in the pieces that an archive is made of, wherever the stream was cut. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  readonly #corrupt: (what: string) => MailarkError;
  #rest: Buffer = Buffer.alloc(0);
  #taken = 0;

  /** @param corrupt what is thrown for a stream that has no end where it should, or something after it. */
  constructor(source: AsyncIterable<Buffer>, corrupt: (what: string) => MailarkError) {
    this.#corrupt = corrupt;
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes that were taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** @throws what `corrupt` makes when the stream ends before. */
  async exactly(bytes: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.next(bytes)) chunks.push(chunk);
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  /** The next `bytes` bytes as they come. Throws as {@link exactly} does. */
  async *next(bytes: number): AsyncGenerator<Buffer> {
    for (let wanted = bytes; wanted > 0; ) {
      if (this.#rest.length === 0 && !(await this.#fill())) throw this.#corrupt("no end");
      const chunk = this.#rest.subarray(0, wanted);
      this.#rest = this.#rest.subarray(chunk.length);
      this.#taken += chunk.length;
      wanted -= chunk.length;
      yield chunk;
    }
  }

  /** @throws what `corrupt` makes unless nothing but zeros follows, to the end. */
  async onlyZeros(): Promise<void> {
    do {
      if (!this.#rest.every((byte) => byte === 0)) throw this.#corrupt("something after its end");
      this.#taken += this.#rest.length;
    } while (await this.#fill());
  }

  /** Ends the stream, wherever it is. */
  async close(): Promise<void> {
    await this.#source.return?.(undefined);
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done) return false;
    this.#rest = value;
    return true;
  }
}
