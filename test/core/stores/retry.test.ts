import { describe, expect, test } from "vitest";
import { crc64nvme } from "../../../core/crc64nvme.ts";
import { type ErrorCode, MailarkError } from "../../../core/errors.ts";
import { withRetries } from "../../../core/stores/retry.ts";
import type { Body } from "../../../core/stores/store.ts";
import { type Fault, faultPlan, withFaults } from "../../fixtures/faults.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";
import { collect, readAll } from "../../fixtures/read-all.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const key = "hosts/h1/mysql/s1/0001.pack";
const content = Buffer.alloc(200_000, "content");
const failure = (code: ErrorCode, retryable: boolean) => new MailarkError(code, "made up", { retryable });
const unreachable = failure("STORE_UNREACHABLE", true);
const busy = failure("STORE_BUSY", true);

/** A store that fails as it is told, below one that asks again. */
function patient(fault?: Fault) {
  const memory = memoryStore();
  const plan = faultPlan(fault);
  const pauses: number[] = [];
  const clock = setClock();
  const store = withRetries(withFaults(memory, plan, "store"), {
    clock,
    random: () => 0,
    failed: (_, pause) => pauses.push(pause),
  });
  return { memory, plan, pauses, clock, store };
}

const crcOf = (bytes: Uint8Array) => {
  const sum = crc64nvme();
  sum.update(bytes);
  return sum.digest();
};

describe("a store that is asked again", () => {
  test.each(["put", "get", "head", "list", "erase"] as const)("%s survives a failure that passes", async (call) => {
    const { store, memory, pauses } = patient({ at: 1, throw: unreachable });
    if (call !== "put") await memory.put(key, [content]);
    const calls = {
      put: () => store.put(key, [content]),
      get: () => readAll(store.get(key)),
      head: () => store.head(key),
      list: () => collect(store.list("")),
      erase: () => store.erase(key),
    };
    await calls[call]();
    expect(pauses).toEqual([250]);
    expect(memory.objects.has(key)).toBe(call !== "erase");
  });

  test("waits longer each time, for a minute at least, and then tells the last failure", async () => {
    const { store, pauses, plan, clock } = patient({ at: 1, throw: unreachable, always: true });
    const began = clock.now();
    await expect(store.head(key)).rejects.toBe(unreachable);
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    expect(clock.now() - began).toBe(60_750);
    expect(plan.calls).toHaveLength(10);
  });

  test("leaves half of a pause to chance", async () => {
    const pauses: number[] = [];
    const plan = faultPlan({ at: 1, throw: unreachable, always: true });
    const chances = [0, 0.5, 0.999, 0, 0, 0, 0, 0, 0];
    const store = withRetries(withFaults(memoryStore(), plan), {
      clock: setClock(),
      random: () => chances.shift()!,
      failed: (_, pause) => pauses.push(pause),
    });
    await expect(store.head(key)).rejects.toBe(unreachable);
    expect(pauses.slice(0, 3)).toEqual([250, 750, 1999]);
  });

  test.each(["STORE_FORBIDDEN", "OBJECT_EXISTS", "INTERNAL"] as const)("tells %s at once", async (code) => {
    const { store, plan } = patient({ at: 1, throw: failure(code, false) });
    await expect(store.put(key, [content])).rejects.toMatchObject({ code });
    expect(plan.calls).toHaveLength(1);
  });

  test("ends at an abort while it pauses, with the abort's own reason", async () => {
    const abort = new AbortController();
    const clock = setClock();
    clock.sleep = async (_, signal) => {
      abort.abort(new MailarkError("LOCKED", "made up"));
      signal?.throwIfAborted();
    };
    const plan = faultPlan({ at: 1, throw: unreachable, always: true });
    const store = withRetries(withFaults(memoryStore(), plan), { clock, random: () => 0 });
    await expect(store.put(key, [content], { signal: abort.signal })).rejects.toMatchObject({ code: "LOCKED" });
    expect(plan.calls).toHaveLength(1);
  });
});

describe("a put whose answer was lost", () => {
  test("counts as done when the object is there, with a receipt for what was sent", async () => {
    const { store, memory } = patient({ at: 1, throw: unreachable, after: true });
    const body: Body = {
      async *[Symbol.asyncIterator]() {
        yield content.subarray(0, 7);
        yield content.subarray(7);
      },
    };
    expect(await store.put(key, body)).toEqual({ bytes: content.length, crc64nvme: crcOf(content), assumed: true });
    expect(memory.objects.get(key)!.equals(content)).toBe(true);
  });

  test.each([
    ["STORE_FORBIDDEN", false],
    ["STORE_BUSY", true],
    ["INTERNAL", false],
  ] as const)("stays in doubt when a later try meets %s", async (code, retryable) => {
    const memory = memoryStore();
    const later = new MailarkError(code, "made up", { hint: "do this", detail: "with that", retryable });
    let tried = 0;
    const put: typeof memory.put = async (...given) => {
      tried += 1;
      if (tried > 1) throw later;
      await memory.put(...given);
      throw unreachable;
    };
    const store = withRetries({ ...memory, put }, { clock: setClock(), random: () => 0 });
    const { message, hint, detail } = later;
    const told = { code: "STORE_UNREACHABLE", retryable: true, message, hint, detail, cause: later };
    await expect(store.put(key, [content])).rejects.toMatchObject(told);
    expect(tried).toBe(retryable ? 10 : 2);
  });

  test("is told when somebody else's object was there before it was sent at all", async () => {
    const { store, memory } = patient();
    await memory.put(key, [Buffer.from("other")]);
    await expect(store.put(key, [content])).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
  });

  test("is told after a refusal that certainly did nothing", async () => {
    const { store, memory } = patient({ at: 1, throw: busy });
    await memory.put(key, [Buffer.from("other")]);
    await expect(store.put(key, [content])).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
  });

  test("is sent again when the object is not there", async () => {
    const { store, memory, plan } = patient({ at: 1, throw: unreachable });
    expect(await store.put(key, [content])).toEqual({ bytes: content.length, crc64nvme: crcOf(content) });
    expect(memory.objects.get(key)!.equals(content)).toBe(true);
    expect(plan.calls).toHaveLength(2);
  });
});

describe("what was read in part", () => {
  test.each([undefined, { start: 3, end: 199_990 }])("is gone on with where it broke off, range %o", async (range) => {
    const expected = content.subarray(range?.start ?? 0, range?.end ?? content.length);
    for (let at = 1; at <= 6; at += 1) {
      const { store, memory, plan } = patient({ at, throw: unreachable });
      await memory.put(key, [content]);
      expect((await readAll(store.get(key, range && { range }))).equals(expected)).toBe(true);
      expect(plan.struck).toBe(true);
    }
  });

  test.each([undefined, "/" as const])("a listing gives each row once, delimiter %s", async (delimiter) => {
    const keys = ["a/1", "a/2", "a-", "b", "c/1", "c/2"];
    const plain = memoryStore();
    for (const each of keys) await plain.put(each, [Buffer.from("x")]);
    const how = { ...(delimiter && { delimiter }) };
    const expected = await collect(plain.list("", how));
    for (let at = 1; at <= expected.length + 2; at += 1) {
      const { store, memory, plan } = patient({ at, throw: unreachable });
      for (const each of keys) await memory.put(each, [Buffer.from("x")]);
      expect(await collect(store.list("", how))).toEqual(expected);
      expect(plan.struck).toBe(true);
    }
  });

  test("is patient anew whenever something has come", async () => {
    const memory = memoryStore();
    await memory.put(key, [Buffer.alloc(65_536 * 20, 1)]);
    let asked = 0;
    const flaky = {
      ...memory,
      async *get(...given: Parameters<typeof memory.get>) {
        asked += 1;
        for await (const chunk of memory.get(...given)) {
          yield chunk;
          throw unreachable;
        }
      },
    };
    const store = withRetries(flaky, { clock: setClock(), random: () => 0 });
    expect((await readAll(store.get(key, { range: { start: 0, end: 65_536 * 20 } }))).length).toBe(65_536 * 20);
    expect(asked).toBe(20);
  });
});
