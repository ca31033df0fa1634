import { asMailarkError } from "../../core/errors.ts";
import type { ObjectReader, ObjectWriter } from "../../core/stores/store.ts";

/** One of the stores that a run writes to. */
export interface RunStore {
  /** Its URL, without what says how it is reached. */
  readonly name: string;
  readonly store: ObjectWriter & ObjectReader;
  /** Where what is remembered of it is. */
  readonly stateDirectory: string;
}

/**
 * Whether a store has an object; `undefined` where this host may write to it and not ask it.
 *
 * @throws whatever else asking it throws.
 */
export async function isThere(
  store: Pick<ObjectReader, "head">,
  key: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  try {
    return (await store.head(key, { signal })) !== undefined;
  } catch (thrown) {
    const error = asMailarkError(thrown);
    if (error.code === "STORE_FORBIDDEN") return undefined;
    throw error;
  }
}
