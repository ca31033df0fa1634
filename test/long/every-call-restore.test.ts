import { expect, test } from "vitest";
import { longRun, sweepEveryCall } from "../fixtures/every-call.ts";

test("restore recovers from every kind of fault at every one of its calls", async () => {
  expect(await sweepEveryCall("restore", longRun.hosts)).toBeGreaterThanOrEqual(longRun.points.restore);
});
