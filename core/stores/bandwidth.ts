import type { Clock } from "../ports/clock.ts";
import type { Body } from "./store.ts";

/** Gives a body chunk by chunk, no faster than is wanted. Throws what the body throws, and the signal's reason. */
export type Pace = (body: Body, signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** How much of a second one piece takes: small enough that others on the line do not feel it. */
const pieceSeconds = 0.05;
/** A sleep ends a little late; so much is made up for, in milliseconds. */
const lateness = 200;
/** What is further ahead was put there by a clock that has been set back. */
const furthest = 60_000;

/**
 * Limits what passes through it, in all bodies together, to so many bytes a second: on average to within what one sleep is late, and
 * in pieces of a twentieth of a second however large the chunks are.
 */
export function bandwidthLimit(bytesPerSecond: number, clock: Clock): Pace {
  const pieceBytes = Math.max(1, Math.floor(bytesPerSecond * pieceSeconds));
  let freeAt = 0;

  return async function* (body, signal) {
    for await (const chunk of body) {
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        const piece = chunk.subarray(at, at + pieceBytes);
        const now = clock.now();
        if (freeAt < now - lateness || freeAt > now + furthest) freeAt = now;
        freeAt += (piece.length / bytesPerSecond) * 1000;
        if (freeAt > now) await clock.sleep(freeAt - now, signal);
        yield piece;
      }
    }
  };
}
