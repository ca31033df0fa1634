import { beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { type FanOut, fanOut } from "../../../core/stores/fan-out.ts";
import { putWhole } from "../../../core/stores/put-whole.ts";
import type { Body, ObjectWriter } from "../../../core/stores/store.ts";
import { GrowingBody } from "../../../shipper/pipeline/growing-body.ts";
import { type MemoryStore, memoryStore } from "../../fixtures/memory-store.ts";

const full = new MailarkError("FILE_FAILED", "write failed: ENOSPC");
const down = new MailarkError("STORE_UNREACHABLE", "the store does not answer");
const bytes = (text: string) => [Buffer.from(text)];

let a: MemoryStore;
let b: MemoryStore;
let lost: string[];
beforeEach(() => {
  a = memoryStore();
  b = memoryStore();
  lost = [];
});

const two = (first: ObjectWriter = a, second: ObjectWriter = b): FanOut =>
  fanOut(
    [
      { name: "a", store: first },
      { name: "b", store: second },
    ],
    { same: (key) => key.startsWith("same/"), lost: (name, { code }) => lost.push(`${name} ${code}`) },
  );
/** Fails where a key matches. */
const failing = (store: ObjectWriter, pattern: RegExp, error: Error): ObjectWriter => ({
  put: async (key, body, options) => {
    if (pattern.test(key)) throw error;
    return store.put(key, body, options);
  },
});
const keys = (store: MemoryStore) => [...store.objects.keys()];

test("a body is made once and is the same in every store, also while it still grows", async () => {
  const all = two();
  const body = new GrowingBody();
  const put = all.put("k", body);
  body.add(Buffer.from("one "));
  await new Promise((resolve) => setImmediate(resolve));
  body.add(Buffer.from("two"));
  body.end();
  const receipt = await put;
  expect(receipt).toEqual(await memoryStore().put("k", bytes("one two")));
  expect([a, b].map(({ objects }) => objects.get("k")?.toString())).toEqual(["one two", "one two"]);
  expect(all.within()).toEqual(["a", "b"]);
});

describe("a store that fails where another does not", () => {
  test("gets nothing more, and the others everything", async () => {
    const all = two(a, failing(b, /pack/, full));
    await all.put("key", bytes("1"));
    await all.put("pack", bytes("2"));
    await all.put("manifest", bytes("3"));
    expect(keys(a)).toEqual(["key", "pack", "manifest"]);
    expect(keys(b)).toEqual(["key"]);
    expect(all.within()).toEqual(["a"]);
    expect(all.out.get("b")).toBe(full);
    expect(lost).toEqual(["b FILE_FAILED"]);
  });

  test("is out also for what was under way at the same time, and the last one stays in whatever it fails at", async () => {
    const all = two(failing(a, /1/, full), failing(b, /2/, down));
    const [first, second] = await Promise.allSettled([all.put("1", bytes("1")), all.put("2", bytes("2"))]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ status: "rejected", reason: { code: "STORE_UNREACHABLE" } });
    expect(all.within()).toEqual(["b"]);
    await all.put("3", bytes("3"));
    expect(keys(b)).toEqual(["1", "3"]);
  });

  test("has something else under the key: it is out, and keeps what it has", async () => {
    await b.put("pack", bytes("other"));
    const all = two();
    await all.put("pack", bytes("mine"));
    expect(all.out.get("b")).toMatchObject({ code: "OBJECT_EXISTS" });
    expect(b.objects.get("pack")?.toString()).toBe("other");
  });

  test("says that it received other bytes than the others: it is out, whichever it is", async () => {
    const lying = (store: ObjectWriter): ObjectWriter => ({
      put: async (key, body, options) => ({ ...(await store.put(key, body, options)), crc64nvme: "0123456789abcdef" }),
    });
    for (const [all, liar] of [
      [two(lying(a), b), "a"],
      [two(a, lying(b)), "b"],
    ] as const) {
      const receipt = await all.put(`key-${liar}`, bytes("text"));
      expect(receipt).toEqual(await memoryStore().put("k", bytes("text")));
      expect([...all.out]).toEqual([[liar, expect.objectContaining({ code: "UPLOAD_MISMATCH" })]]);
    }
  });
});

test.each(["first", "second"])(
  "a store that says a wrong checksum is out also where the other says none, the %s",
  async (liar) => {
    const tells = (store: ObjectWriter, crc64nvme: string | undefined): ObjectWriter => ({
      put: async (key, body, options) => ({ ...(await store.put(key, body, options)), crc64nvme }),
    });
    const [silent, lying] = [tells(a, undefined), tells(b, "0123456789abcdef")];
    const all = liar === "first" ? two(lying, silent) : two(silent, lying);
    expect((await all.put("k", bytes("text"))).bytes).toBe(4);
    expect(lost).toEqual([`${liar === "first" ? "a" : "b"} UPLOAD_MISMATCH`]);
  },
);

describe("nobody is out where", () => {
  test("all fail: the first one's error is thrown, and the next object is tried again", async () => {
    const all = two(failing(a, /1/, full), failing(b, /1/, down));
    await expect(all.put("1", bytes("1"))).rejects.toBe(full);
    expect(all.out.size).toBe(0);
    await all.put("2", bytes("2"));
    expect([keys(a), keys(b)]).toEqual([["2"], ["2"]]);
  });

  test("the key is taken in all of them", async () => {
    const all = two();
    await all.put("k", bytes("1"));
    await expect(all.put("k", bytes("2"))).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
    expect(all.out.size).toBe(0);
  });

  test("one has an object already whose key says what is in it", async () => {
    await b.put("same/1", bytes("1"));
    const all = two();
    await all.put("same/1", bytes("1"));
    await expect(all.put("same/1", bytes("1"))).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
    expect(all.within()).toEqual(["a", "b"]);
    const halfFull = two(failing(memoryStore(), /./, full), b);
    await expect(halfFull.put("same/1", bytes("1"))).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
    expect(halfFull.within()).toEqual(["b"]);
  });

  test("the body fails, whatever each store makes of it", async () => {
    const wrapping: ObjectWriter = {
      put: (key, body, options) =>
        b.put(key, body, options).catch(() => {
          throw down;
        }),
    };
    const dump = new Error("the dump was truncated");
    const body: Body = {
      async *[Symbol.asyncIterator]() {
        yield Buffer.from("half");
        throw dump;
      },
    };
    const all = two(wrapping, a);
    await expect(all.put("k", body)).rejects.toMatchObject({ code: "INTERNAL", cause: dump });
    expect(all.out.size).toBe(0);
    expect([keys(a), keys(b)]).toEqual([[], []]);
  });

  test("all say the same wrong thing, which whoever put it compares", async () => {
    const lying = (store: ObjectWriter): ObjectWriter => ({
      put: async (key, body, options) => ({ ...(await store.put(key, body, options)), crc64nvme: "0123456789abcdef" }),
    });
    const all = two(lying(a), lying(b));
    await expect(putWhole(all, "k", Buffer.from("text"))).rejects.toMatchObject({ code: "UPLOAD_MISMATCH" });
    expect(lost).toEqual([]);
  });

  test("the run is interrupted", async () => {
    const controller = new AbortController();
    const slow: ObjectWriter = {
      put: (_key, _body, { signal } = {}) =>
        new Promise((_resolve, reject) => signal!.addEventListener("abort", () => reject(signal!.reason))),
    };
    const all = two(a, slow);
    const put = all.put("k", bytes("1"), { signal: controller.signal });
    await new Promise((resolve) => setImmediate(resolve));
    expect(keys(a)).toEqual(["k"]);
    controller.abort(new MailarkError("INTERRUPTED", "interrupted by SIGINT"));
    await expect(put).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(all.out.size).toBe(0);
  });
});

test("with all excluded, nothing is put, and the first reason is thrown", async () => {
  const all = two();
  all.exclude("b", down);
  all.exclude("a", full);
  all.exclude("a", down);
  await expect(all.put("k", bytes("1"))).rejects.toBe(down);
  expect([...all.out.keys()]).toEqual(["b", "a"]);
  expect(all.out.get("a")).toBe(full);
});
