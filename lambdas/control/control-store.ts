import type { ListOptions } from "../../core/stores/store.ts";

/** One state of a small object. */
export interface Held {
  readonly bytes: Buffer;
  /** What this state is called; it changes with every replacement. */
  readonly tag: string;
}

/** Where the controller writes down what it knows. Everything there may be replaced, by the controller alone. */
export interface ControlStore {
  /** `undefined`: certainly absent. */
  read(key: string, signal?: AbortSignal): Promise<Held | undefined>;
  /**
   * Puts `bytes` in the place of that state, or creates the object where `over` is `undefined`.
   *
   * @returns whether it was done: `false` when somebody else was faster, and nothing was changed.
   */
  replace(key: string, bytes: Buffer, over: Held | undefined, signal?: AbortSignal): Promise<boolean>;
  /** Keys that start with `prefix`, in their order. */
  list(prefix: string, options?: Pick<ListOptions, "signal" | "startAfter">): AsyncIterable<string>;
}
