import { expect, onTestFinished, test } from "vitest";
import { compose, machine } from "../../shipper/composition.ts";
import { s3Place, useCredentials } from "../fixtures/s3-place.ts";
import { owner } from "../fixtures/sandbox-s3.ts";

test("one limit holds for all stores in S3 together", async () => {
  // Time stands still, so that what is asked for is all that is to be waited for.
  const pauses: number[] = [];
  const now = machine.clock.now();
  const clock = {
    ...machine.clock,
    now: () => now,
    sleep: async (milliseconds: number) => void pauses.push(milliseconds),
  };
  const { openStore } = compose({ ...machine, clock });
  useCredentials(owner);
  for (let store = 0; store < 2; store += 1) {
    const { url, close } = await s3Place();
    onTestFinished(close);
    await openStore(url(), { bandwidthLimit: 1_000_000 }).put("key", [Buffer.alloc(500_000)]);
  }
  expect(Math.max(...pauses)).toBe(1000);
});

test("what erases does nothing else", () => {
  expect(Object.keys(compose(machine).openEraser("file:///nowhere"))).toEqual(["erase"]);
});
