import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { watchForStalls } from "../../shipper/stall-watch.ts";

/** A clock whose sleepers wait for `pass`. */
function steppedClock() {
  let sleeper: { milliseconds: number; wake: () => void } | undefined;
  return {
    sleep: (milliseconds: number) =>
      new Promise<void>((wake) => {
        sleeper = { milliseconds, wake };
      }),
    async pass(milliseconds: number) {
      for (let left = milliseconds; sleeper && left >= sleeper.milliseconds; await turn()) {
        left -= sleeper.milliseconds;
        const { wake } = sleeper;
        sleeper = undefined;
        wake();
      }
    },
  };
}

function watched() {
  const clock = steppedClock();
  const watch = watchForStalls(clock, 100);
  let stalled = false;
  watch.stalled.then(() => {
    stalled = true;
  });
  return { clock, watch, stalled: () => stalled };
}

test("a wait stalls after its time, and not before", async () => {
  const { clock, watch, stalled } = watched();
  watch.wait();
  await clock.pass(100_000);
  expect(stalled()).toBe(false);
  await clock.pass(10_000);
  expect(stalled()).toBe(true);
});

test("many waits do not stall, however long they take together", async () => {
  const { clock, watch, stalled } = watched();
  for (let each = 0; each < 20; each++) {
    watch.wait();
    await clock.pass(90_000);
    watch.goOn();
  }
  expect(stalled()).toBe(false);
});

test("the time between two waits does not count", async () => {
  const { clock, watch, stalled } = watched();
  watch.wait();
  watch.goOn();
  await clock.pass(1_000_000);
  watch.wait();
  await clock.pass(90_000);
  expect(stalled()).toBe(false);
});
