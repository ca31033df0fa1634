import type { Body } from "./store.ts";

/** A body, and what it failed with itself: that is no fault of the store that it was sent to. */
export interface WatchedBody {
  readonly body: Body;
  readonly failure?: { readonly reason: unknown };
}

/** @param passing is called with each chunk, each time that the body is iterated. */
export function watchedBody(body: Body, passing?: (chunk: Uint8Array) => void): WatchedBody {
  const watched: { body: Body; failure?: { readonly reason: unknown } } = {
    body: {
      async *[Symbol.asyncIterator]() {
        try {
          for await (const chunk of body) {
            passing?.(chunk);
            yield chunk;
          }
        } catch (reason) {
          watched.failure ??= { reason };
          throw reason;
        }
      },
    },
  };
  return watched;
}
