/**
 * Asks a store again when it fails for a while. What can not succeed is told at once; what may have succeeded unheard is found out by
 * the next try.
 */
import { asMailarkError, type MailarkError, toldAs } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import { measured } from "./receipt.ts";
import type { Listed, ObjectEraser, ObjectReader, ObjectWriter } from "./store.ts";

export interface RetryOptions {
  readonly clock: Clock;
  /** From 0 up to 1, so that many hosts do not come back at the same moment. */
  readonly random: () => number;
  /** How often something is asked in all. Default: 10, with nine pauses of one to two minutes in all, which a store that is restarted needs. */
  readonly tries?: number | undefined;
  /** Told of each failure that is not the last, before the pause after it, in milliseconds. */
  readonly failed?: ((error: MailarkError, pause: number) => void) | undefined;
}

const firstPause = 500;
const longestPause = 30_000;

/**
 * A store that is asked up to ten times, with growing pauses, where an error is `retryable`; the count begins anew when bytes or rows
 * have come.
 *
 * A put may have been carried out where its answer was lost. Whatever a later try fails with, it stays so, and is told as such. When a
 * later try finds the key taken, the object counts as stored, and its receipt is what was sent, `assumed`: the store has checked that against the checksum which every request declares. That is right for keys
 * which one writer alone uses; those of packs and manifests hold ten random characters.
 */
export function withRetries<S extends ObjectWriter & ObjectReader & ObjectEraser>(
  store: S,
  options: RetryOptions,
): ObjectWriter & ObjectReader & ObjectEraser {
  return {
    async put(key, body, { signal } = {}) {
      let inDoubt = false;
      try {
        return await persist(options, signal, async () => {
          try {
            return await store.put(key, body, { ...(signal && { signal }) });
          } catch (thrown) {
            const error = asMailarkError(thrown);
            if (inDoubt && error.code === "OBJECT_EXISTS") return { ...(await measured(body, signal)), assumed: true };
            inDoubt ||= error.retryable && error.code === "STORE_UNREACHABLE";
            throw error;
          }
        });
      } catch (thrown) {
        const error = asMailarkError(thrown);
        // What a later try met says nothing of the one whose answer was lost.
        throw inDoubt && !signal?.aborted ? toldAs(error, "STORE_UNREACHABLE", true) : error;
      }
    },

    async *get(key, { range, signal } = {}) {
      const until = { ...(signal && { signal }) };
      const patience = new Patience(options, signal);
      let given = 0;
      for (;;) {
        try {
          const rest = range && { start: range.start + given, end: range.end };
          if (rest && given > 0 && rest.start === rest.end) return;
          let skip = rest ? 0 : given;
          for await (const chunk of store.get(key, { ...until, ...(rest && { range: rest }) })) {
            const fresh = chunk.subarray(Math.min(skip, chunk.length));
            skip -= chunk.length - fresh.length;
            if (fresh.length === 0) continue;
            given += fresh.length;
            patience.renew();
            yield fresh;
          }
          return;
        } catch (error) {
          await patience.pauseAfter(error);
        }
      }
    },

    head: (key, { signal } = {}) => persist(options, signal, () => store.head(key, { ...(signal && { signal }) })),

    async *list(prefix, { startAfter, ...how } = {}) {
      const patience = new Patience(options, how.signal);
      let after = startAfter;
      for (;;) {
        try {
          for await (const row of store.list(prefix, { ...how, ...(after !== undefined && { startAfter: after }) })) {
            after = lastOf(row);
            patience.renew();
            yield row;
          }
          return;
        } catch (error) {
          await patience.pauseAfter(error);
        }
      }
    },

    erase: (key, { signal } = {}) => persist(options, signal, () => store.erase(key, { ...(signal && { signal }) })),
  };
}

/** Does one thing as {@link withRetries} does: for what may be done twice. */
export async function persist<T>(
  options: RetryOptions,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const patience = new Patience(options, signal);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await patience.pauseAfter(error);
    }
  }
}

/** How often something has failed in a row. */
class Patience {
  readonly #options: RetryOptions;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  constructor(options: RetryOptions, signal: AbortSignal | undefined) {
    this.#options = options;
    this.#signal = signal;
  }

  renew(): void {
    this.#failures = 0;
  }

  /** Half of each pause is left to chance. @throws what was thrown, when it is not worth another try. */
  async pauseAfter(thrown: unknown): Promise<void> {
    const error = asMailarkError(thrown);
    this.#failures += 1;
    const { clock, random, tries = 10, failed } = this.#options;
    if (!error.retryable || this.#failures === tries || this.#signal?.aborted) throw error;
    const pause = Math.min(longestPause, firstPause * 2 ** (this.#failures - 1)) * (0.5 + random() / 2);
    failed?.(error, pause);
    try {
      await clock.sleep(pause, this.#signal);
    } catch (aborted) {
      throw asMailarkError(aborted);
    }
  }
}

/** What everything after a row sorts after; no character of a key comes after `~`. */
const lastOf = (row: Listed) => ("key" in row ? row.key : `${row.prefix}~`);
