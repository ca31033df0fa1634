import { expect, test } from "vitest";
import { longRun, sweepEveryCall } from "../fixtures/every-call.ts";

test("prune recovers from every kind of fault at every one of its calls", async () => {
  expect(await sweepEveryCall("prune", longRun.hosts)).toBeGreaterThanOrEqual(longRun.points.prune);
});
