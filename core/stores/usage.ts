/** Requests of one kind, as providers bill them: each counts, also one that failed, and each part of an object that goes up in parts. */
export interface Usage {
  /** `s3:PutObject`: the permission that they need. */
  readonly action: string;
  readonly requests: number;
  /** Bytes of the bodies that were sent. */
  readonly sentBytes: number;
}

/** Counts what a store is asked for. */
export class UsageMeter {
  readonly #usage = new Map<string, Usage>();

  count(action: string, sentBytes: number): void {
    const before = this.#usage.get(action);
    this.#usage.set(action, {
      action,
      requests: (before?.requests ?? 0) + 1,
      sentBytes: (before?.sentBytes ?? 0) + sentBytes,
    });
  }

  /** So far, by action. */
  read(): Usage[] {
    return [...this.#usage.values()].sort((a, b) => (a.action < b.action ? -1 : 1));
  }
}
