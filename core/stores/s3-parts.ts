import type { Body } from "./store.ts";

/** What one request sends: the chunks of the body that it was cut from, not copies of them. */
export interface S3Part {
  readonly number: number;
  readonly bytes: number;
  readonly chunks: readonly Uint8Array[];
  /** Nothing comes after it. */
  readonly last: boolean;
}

/** A part has so many bytes, and an object that fits one is sent whole. S3 wants at least 5 MiB. */
export const partBytes = 16 * 1024 * 1024;
/**
 * S3 takes 10,000 parts, and how long a body gets is not known. Parts of 16 MiB alone would end it at 156 GiB; as each of these
 * stretches has parts twice as large as the last, it takes 4.8 TiB.
 */
const stretch = 1250;

export const partSize = (number: number): number => partBytes * 2 ** Math.floor((number - 1) / stretch);

/** Cuts a body into parts; there is always one, which may be empty. */
export async function* cutParts(body: Body): AsyncGenerator<S3Part> {
  let number = 1;
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; ) {
      // Only now is it known that something follows.
      if (bytes === partSize(number)) {
        yield { number, bytes, chunks, last: false };
        number += 1;
        chunks = [];
        bytes = 0;
      }
      const piece = chunk.subarray(at, at + partSize(number) - bytes);
      chunks.push(piece);
      bytes += piece.length;
      at += piece.length;
    }
  }
  yield { number, bytes, chunks, last: true };
}
