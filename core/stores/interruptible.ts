import type { Body } from "./store.ts";

/** The chunks of a body. Throws the signal's reason at once, also while the body has nothing to give. */
export async function* interruptible(body: Body, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const chunks = (async function* () {
    yield* body;
  })();
  let ended = false;
  try {
    for (;;) {
      const next = await unlessAborted(chunks.next(), signal);
      ended = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a body that waits for its source answers only when that does.
    if (!ended) chunks.return(undefined).catch(() => {});
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
