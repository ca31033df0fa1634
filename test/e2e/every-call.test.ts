import { expect, test } from "vitest";
import { commands, everyCall, nameOf, shuffled } from "../fixtures/every-call.ts";

/** Draws another sample: any text. */
const seed = process.env.MAILARK_SEED ?? "sample";
/** One point alone, by the name that a failure gives it. */
const wanted = process.env.MAILARK_POINT;

test.each(commands)("%s recovers from a fault of every kind, wherever it strikes", async (command) => {
  const every = await everyCall(wanted?.split("/")[0] ?? "first", command);
  try {
    const kinds = new Set(every.points.map(({ way, kind }) => `${way} ${kind.name}`)).size;
    expect(kinds).toBeGreaterThan(20);
    const sample = shuffled(every.points, seed).slice(0, kinds);
    const points = wanted === undefined ? sample : every.points.filter((point) => nameOf(point) === wanted);
    for (const point of points) await every.tryPoint(point);
  } finally {
    every.remove();
  }
});
