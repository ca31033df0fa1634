import { expect, test } from "vitest";
import { longRun, sweepEveryCall } from "../fixtures/every-call.ts";

test("backup recovers from every kind of fault at every one of its calls", async () => {
  expect(await sweepEveryCall("backup", longRun.hosts)).toBeGreaterThanOrEqual(longRun.points.backup);
});
