/** What the cloud goes on with by itself, and what went wrong in it. */
export class Work {
  readonly defects: unknown[] = [];
  readonly #going = new Set<Promise<void>>();

  goOn(work: Promise<unknown>): void {
    const going = work.then(
      () => undefined,
      (error) => void this.defects.push(error),
    );
    this.#going.add(going);
    void going.then(() => this.#going.delete(going));
  }

  /** Resolves when nothing is going on: what ends may have begun something else. */
  async settle(): Promise<void> {
    do {
      await Promise.all(this.#going);
      // Who waited for what has just ended goes on first.
      await new Promise(setImmediate);
    } while (this.#going.size > 0);
  }
}
