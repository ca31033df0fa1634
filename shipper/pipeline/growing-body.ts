/**
 * An object's body that is sent while it still grows. It keeps what it was given until it is dropped, so that a store can
 * send it again from the start.
 */
export class GrowingBody implements AsyncIterable<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;
  #wake: (() => void)[] = [];

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /** Makes every reader throw `reason`: the object must not come to be. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (let next = 0; ; next += 1) {
      while (next === this.#chunks.length && !this.#ended && !this.#failure) {
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
      if (this.#failure) throw this.#failure.reason;
      if (next === this.#chunks.length) return;
      yield this.#chunks[next]!;
    }
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
