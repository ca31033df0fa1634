import { asMailarkError, toldAs } from "../errors.ts";
import type { Body } from "./store.ts";

/** A body, and what it failed with itself, the last time that it was iterated: that is no fault of the store that it was sent to. */
export interface WatchedBody {
  readonly body: Body;
  readonly failure?: { readonly reason: unknown } | undefined;
}

/** What it throws is never `retryable`: whoever makes the body has asked again already, and the store is not to blame. */
export function watchedBody(body: Body): WatchedBody {
  const watched: { body: Body; failure?: { readonly reason: unknown } | undefined } = {
    body: {
      async *[Symbol.asyncIterator]() {
        watched.failure = undefined;
        try {
          yield* body;
        } catch (reason) {
          watched.failure = { reason };
          throw lasting(reason);
        }
      },
    },
  };
  return watched;
}

function lasting(reason: unknown): unknown {
  const error = asMailarkError(reason);
  return error.retryable ? toldAs(error, error.code, false) : reason;
}
