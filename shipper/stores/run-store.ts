import { asMailarkError, type MailarkError } from "../../core/errors.ts";
import type { ObjectReader, ObjectWriter } from "../../core/stores/store.ts";
import type { UsageMeter } from "../../core/stores/usage.ts";

/** One of the stores that a run writes to. */
export interface RunStore {
  /** Its URL, without what says how it is reached. */
  readonly name: string;
  readonly store: ObjectWriter & ObjectReader;
  readonly meter: UsageMeter;
  /** Where what is remembered of it is. */
  readonly stateDirectory: string;
}

/** `unknown`: this host may write to the store and not ask it. */
export type Presence = "there" | "absent" | "unknown";

/**
 * Whether a store has an object.
 *
 * @throws what asking throws, but `STORE_FORBIDDEN`, which is an answer.
 */
export async function isThere(store: Pick<ObjectReader, "head">, key: string, signal: AbortSignal): Promise<Presence> {
  try {
    return (await store.head(key, { signal })) === undefined ? "absent" : "there";
  } catch (thrown) {
    const error = asMailarkError(thrown);
    if (error.code === "STORE_FORBIDDEN") return "unknown";
    throw error;
  }
}

/**
 * A store that is not asked in vain for each object of a run: once it has refused to say whether it has one, `head` gives the same refusal
 * without asking; and once it could not be reached to be read or listed, in spite of all patience, both give that error.
 */
export function askedOnce<S extends ObjectReader>(store: S): S {
  let refusal: MailarkError | undefined;
  let failure: MailarkError | undefined;

  return {
    ...store,

    async head(key, options) {
      if (refusal) throw refusal;
      try {
        return await store.head(key, options);
      } catch (thrown) {
        const error = asMailarkError(thrown);
        if (error.code === "STORE_FORBIDDEN") refusal = error;
        throw error;
      }
    },

    get: (key, options) => unlessFailed(() => store.get(key, options)),
    list: (prefix, options) => unlessFailed(() => store.list(prefix, options)),
  };

  async function* unlessFailed<T>(work: () => AsyncIterable<T>): AsyncGenerator<T> {
    if (failure) throw failure;
    try {
      yield* work();
    } catch (thrown) {
      const error = asMailarkError(thrown);
      if (error.code === "STORE_UNREACHABLE" || error.code === "STORE_BUSY") failure = error;
      throw error;
    }
  }
}
