import { expect, test } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { bandwidthLimit } from "../../../core/stores/bandwidth.ts";
import type { Body } from "../../../core/stores/store.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const signal = new AbortController().signal;

async function send(pace: ReturnType<typeof bandwidthLimit>, body: Body): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of pace(body, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test.each([
  ["many small chunks", 1000, 1000],
  ["one large chunk", 1, 1_000_000],
  ["chunks of any size", 7, 142_858],
])("a limit is kept to within five percent with %s", async (_, count, size) => {
  const clock = setClock();
  const began = clock.now();
  const body = Array.from({ length: count }, (_, number) => Buffer.alloc(size, number));
  const sent = await send(bandwidthLimit(100_000, clock), body);
  expect(sent.equals(Buffer.concat(body))).toBe(true);
  const expected = (count * size) / 100;
  expect(Math.abs(clock.now() - began - expected)).toBeLessThan(expected * 0.05);
});

test("a sleep that ends late is made up for", async () => {
  const clock = setClock();
  const sleep = clock.sleep;
  clock.sleep = (milliseconds, until) => sleep(milliseconds + 9, until);
  const began = clock.now();
  await send(bandwidthLimit(1_000_000, clock), [Buffer.alloc(5_000_000)]);
  expect(Math.abs(clock.now() - began - 5000)).toBeLessThan(250);
});

test("the limit holds for all bodies together", async () => {
  const clock = setClock();
  const began = clock.now();
  const pace = bandwidthLimit(1_000_000, clock);
  for (let body = 0; body < 4; body += 1) await send(pace, [Buffer.alloc(500_000)]);
  expect(Math.abs(clock.now() - began - 2000)).toBeLessThan(100);
});

test("what was saved while nothing was sent is not spent at once", async () => {
  const clock = setClock();
  const pace = bandwidthLimit(1_000_000, clock);
  await send(pace, [Buffer.alloc(10)]);
  clock.set(clock.now() + 3_600_000);
  const began = clock.now();
  await send(pace, [Buffer.alloc(10_000_000)]);
  expect(clock.now() - began).toBeGreaterThan(9500);
});

test("a clock that is set back does not stop it", async () => {
  const clock = setClock();
  const pace = bandwidthLimit(1_000_000, clock);
  await send(pace, [Buffer.alloc(1_000_000)]);
  clock.set(clock.now() - 3_600_000);
  const began = clock.now();
  await send(pace, [Buffer.alloc(1_000_000)]);
  expect(clock.now() - began).toBeLessThan(1100);
});

test("a large chunk is sent in pieces of a twentieth of a second", async () => {
  const pieces: number[] = [];
  for await (const piece of bandwidthLimit(1_000_000, setClock())([Buffer.alloc(1_000_000)], signal)) {
    pieces.push(piece.length);
  }
  expect(Math.max(...pieces)).toBe(50_000);
});

test("an abort ends the wait", async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error("enough")), 20);
  const waiting = async () => {
    for await (const _ of bandwidthLimit(1, systemClock)([Buffer.alloc(1000)], abort.signal));
  };
  await expect(waiting()).rejects.toThrow("enough");
});
