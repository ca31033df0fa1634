import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { crc64nvme } from "../../core/crc64nvme.ts";
import { MailarkError } from "../../core/errors.ts";
import type { Body, ListOptions, ObjectEraser, ObjectReader, ObjectWriter } from "../../core/stores/store.ts";
import { collect, readAll } from "../fixtures/read-all.ts";

type Store = ObjectWriter & ObjectReader & ObjectEraser;

/** An empty store, and what ends it. */
export interface OpenedStore {
  readonly store: Store;
  close(): Promise<void> | void;
}

const key = "hosts/host-1/mysql/20261121T020000.000Z-k3m9x2qa7b/0001.pack";

/**
 * What every store must do, whatever is behind it. Keys of one store never nest (`a` and `a/b`): mailark builds no such keys, and
 * a directory can not hold both.
 */
export function describeObjectStore(
  name: string,
  open: () => Promise<OpenedStore>,
  { holdsObjectsInMemory = false } = {},
): void {
  describe(name, () => {
    let store: Store;
    let close: OpenedStore["close"];

    beforeEach(async () => {
      ({ store, close } = await open());
    });
    afterEach(() => close());

    const read = (range?: { start: number; end: number }) => readAll(store.get(key, range && { range }));
    const expectNothing = async () => {
      expect(await store.head(key)).toBeUndefined();
      expect(await collect(store.list(""))).toEqual([]);
    };

    describe("put", () => {
      test("stores the bytes and says what it took", async () => {
        const bytes = patterned(300_000);
        const receipt = await store.put(key, [bytes.subarray(0, 7), Buffer.alloc(0), bytes.subarray(7)]);
        expect(receipt).toMatchObject({ bytes: bytes.length, crc64nvme: crcOf(bytes) });
        expect(await read()).toEqual(bytes);
      });

      test("stores an empty object", async () => {
        expect(await store.put(key, [])).toMatchObject({ bytes: 0, crc64nvme: "0000000000000000" });
        expect(await read()).toEqual(Buffer.alloc(0));
        expect(await store.head(key)).toMatchObject({ key, bytes: 0 });
      });

      test("takes a body that can be iterated again, as often as it needs to", async () => {
        const bytes = patterned(100_000);
        const body: Body = {
          async *[Symbol.asyncIterator]() {
            for (let at = 0; at < bytes.length; at += 9_999) yield bytes.subarray(at, at + 9_999);
          },
        };
        expect(await store.put(key, body)).toMatchObject({ bytes: bytes.length, crc64nvme: crcOf(bytes) });
        expect(await read()).toEqual(bytes);
      });

      test("never overwrites", async () => {
        await store.put(key, [Buffer.from("first")]);
        await expect(store.put(key, [Buffer.from("second")])).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
        await expect(store.put(key, [Buffer.from("first")])).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
        expect((await read()).toString()).toBe("first");
      });

      test("lets exactly one of many writers of a key win, and its object is whole", async () => {
        const bodies = Array.from({ length: 8 }, (_, writer) => Buffer.alloc(700_000, writer + 1));
        const outcomes = await Promise.allSettled(bodies.map((bytes) => store.put(key, slowly(bytes, 50_000))));
        const won = outcomes.flatMap(({ status }, writer) => (status === "fulfilled" ? [writer] : []));
        expect(won).toHaveLength(1);
        expect(await read()).toEqual(bodies[won[0]!]);
        for (const outcome of outcomes) {
          if (outcome.status === "rejected") {
            // Where two come at the very same moment, S3 may ask the second to come again.
            expect(["OBJECT_EXISTS", "STORE_BUSY"]).toContain(outcome.reason.code);
          }
        }
      });

      test.each([
        ["at once", 0],
        ["in the middle", 5],
        ["after the last byte", 10],
      ])("leaves nothing of a body that fails %s", async (_, chunks) => {
        const failing: Body = {
          async *[Symbol.asyncIterator]() {
            for (let sent = 0; sent < chunks; sent += 1) yield patterned(100_000);
            throw new MailarkError("DUMP_TRUNCATED", "the dump was cut off");
          },
        };
        await expect(store.put(key, failing)).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
        await expectNothing();
        await store.put(key, [Buffer.from("whole")]);
        expect((await read()).toString()).toBe("whole");
      });

      test("does not begin when it is aborted already", async () => {
        await expect(store.put(key, [Buffer.from("x")], { signal: AbortSignal.abort() })).rejects.toMatchObject({
          code: "INTERRUPTED",
        });
        await expectNothing();
      });

      test("leaves nothing when it is aborted under way", async () => {
        const abort = new AbortController();
        const body: Body = {
          async *[Symbol.asyncIterator]() {
            for (let sent = 0; ; sent += 1) {
              if (sent === 3) abort.abort();
              yield patterned(50_000);
              await pause(1);
            }
          },
        };
        await expect(store.put(key, body, { signal: abort.signal })).rejects.toMatchObject({ code: "INTERRUPTED" });
        await expectNothing();
      });

      test("ends at an abort also while the body has nothing to give, with the abort's own reason", async () => {
        const abort = new AbortController();
        const body: Body = {
          async *[Symbol.asyncIterator]() {
            yield patterned(10);
            await new Promise(() => {});
          },
        };
        const putting = store.put(key, body, { signal: abort.signal });
        setImmediate(() => abort.abort(new MailarkError("LOCKED", "made up")));
        await expect(putting).rejects.toMatchObject({ code: "LOCKED" });
        await expectNothing();
      });
    });

    describe("get", () => {
      const bytes = patterned(2_500_000);

      test("reads any range", async () => {
        await store.put(key, [bytes]);
        const size = bytes.length;
        const ranges = [
          [0, 1],
          [0, size],
          [size - 1, size],
          [1_048_575, 1_048_577],
          [17, 2_400_000],
        ] as const;
        for (const [start, end] of ranges) {
          expect((await read({ start, end })).equals(bytes.subarray(start, end))).toBe(true);
        }
      });

      test("tells a range that reaches past the end", async () => {
        await store.put(key, [Buffer.from("12345")]);
        for (const [start, end] of [
          [0, 6],
          [4, 6],
          [5, 6],
          [100, 200],
        ] as const) {
          await expect(read({ start, end })).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
        }
      });

      test("tells an object that is not there, whole or in part", async () => {
        await store.put(key, [Buffer.from("x")]);
        for (const absent of [`${key}x`, "hosts/other/runs/r.json", "hosts", `${key}/below`]) {
          await expect(readAll(store.get(absent))).rejects.toMatchObject({ code: "OBJECT_MISSING" });
          await expect(readAll(store.get(absent, { range: { start: 0, end: 1 } }))).rejects.toMatchObject({
            code: "OBJECT_MISSING",
          });
        }
      });

      test("ends where the reader wants no more", async () => {
        await store.put(key, [bytes]);
        for await (const chunk of store.get(key)) {
          expect(bytes.subarray(0, chunk.length).equals(chunk)).toBe(true);
          break;
        }
        expect((await read()).length).toBe(bytes.length);
      });

      test("ends at an abort, before and under way", async () => {
        await store.put(key, [bytes]);
        const abort = new AbortController();
        const reading = async () => {
          for await (const _ of store.get(key, { signal: abort.signal })) abort.abort();
        };
        await expect(reading()).rejects.toMatchObject({ code: "INTERRUPTED" });
        await expect(reading()).rejects.toMatchObject({ code: "INTERRUPTED" });
      });
    });

    describe("head", () => {
      test("says what is there, and since when", async () => {
        const before = Date.now();
        await store.put(key, [Buffer.from("12345")]);
        const head = await store.head(key);
        expect(head).toEqual({ key, bytes: 5, receivedAt: expect.any(Number) });
        expect(head!.receivedAt).toBeGreaterThan(before - 2_000);
        expect(head!.receivedAt).toBeLessThan(Date.now() + 2_000);
      });

      test("is undefined for what is certainly absent, and for what is only the start of keys", async () => {
        await store.put(key, [Buffer.from("x")]);
        for (const absent of [`${key}x`, "hosts", "hosts/host-1", `${key}/below`]) {
          expect(await store.head(absent)).toBeUndefined();
        }
      });
    });

    describe("erase", () => {
      test("removes an object, and counts an absent one as removed", async () => {
        await store.put(key, [Buffer.from("x")]);
        await store.erase(key);
        await expectNothing();
        await store.erase(key);
        await store.erase("hosts");
        await store.put(key, [Buffer.from("anew")]);
        expect((await read()).toString()).toBe("anew");
      });
    });

    describe("any call", () => {
      const unsafe = ["..", "../x", "a/../b", "a/..", ".a", "a/.b", "a//b", "/a", "a/", "a\0b", "a\nb", "a b", "ä", ""];
      const calls: Record<string, (key: string, signal?: AbortSignal) => Promise<unknown>> = {
        put: (name, signal) => store.put(name, [Buffer.from("x")], { ...(signal && { signal }) }),
        get: (name, signal) => readAll(store.get(name, { ...(signal && { signal }) })),
        head: (name, signal) => store.head(name, { ...(signal && { signal }) }),
        erase: (name, signal) => store.erase(name, { ...(signal && { signal }) }),
        list: (name, signal) => collect(store.list(name, { ...(signal && { signal }) })),
      };

      test.each(Object.keys(calls).filter((call) => call !== "list"))("%s refuses what is not a key", async (call) => {
        for (const name of [...unsafe, "a".repeat(1025)]) {
          await expect(calls[call]!(name), JSON.stringify(name)).rejects.toMatchObject({ code: "ARGUMENT_INVALID" });
        }
      });

      test("list refuses what no key can start with", async () => {
        for (const prefix of unsafe.filter((name) => name !== "" && name !== "a/")) {
          await expect(calls.list!(prefix), prefix).rejects.toMatchObject({ code: "ARGUMENT_INVALID" });
        }
      });

      test.each(Object.keys(calls))("%s does nothing once it is aborted", async (call) => {
        await store.put("there", [Buffer.from("x")]);
        await expect(calls[call]!("there", AbortSignal.abort())).rejects.toMatchObject({ code: "INTERRUPTED" });
        expect(await store.head("there")).toMatchObject({ bytes: 1 });
      });
    });

    test("moves a large object, piece by piece", async () => {
      const piece = patterned(1024 * 1024);
      const pieces = 192;
      const body: Body = {
        async *[Symbol.asyncIterator]() {
          for (let sent = 0; sent < pieces; sent += 1) yield piece;
        },
      };
      const before = process.memoryUsage().arrayBuffers;
      let most = 0;
      const look = () => {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      };
      const timer = setInterval(look, 5);
      await store.put(key, body);
      const expected = crc64nvme();
      const found = crc64nvme();
      for await (const chunk of store.get(key)) {
        found.update(chunk);
        look();
      }
      clearInterval(timer);
      for (let sent = 0; sent < pieces; sent += 1) expected.update(piece);
      expect(found.digest()).toBe(expected.digest());
      if (!holdsObjectsInMemory) expect(most).toBeLessThan(96 * 1024 * 1024);
    });
  });

  describe(`${name}, listing`, () => {
    let store: Store;
    let close: OpenedStore["close"];
    const parts = ["a", "a-", "a.b", "a0", "a:", "a_", "A", "-", "_", ":", "z"];
    /** Siblings whose order depends on whether the slash counts: `a-` and `a.b` sort before `a/`, `a0` after it. */
    const keys = ["a", "a0", "z", "-"].flatMap((first) =>
      ["a", "a-", "a.b"].flatMap((second) => [`${first}/${second}`, `${first}/d/${second}`]),
    );
    keys.push(...parts.filter((part) => !["a", "a0", "z", "-"].includes(part)), ...parts.map((part) => `m/${part}/x`));

    beforeAll(async () => {
      ({ store, close } = await open());
      for (const each of keys) await store.put(each, [Buffer.from(each)]);
    });
    afterAll(() => close());

    const names = async (prefix: string, options?: ListOptions) =>
      (await collect(store.list(prefix, options))).map((row) => ("key" in row ? row.key : row.prefix));

    test("gives every object once, in the order of the keys' bytes, with size and time", async () => {
      const rows = await collect(store.list(""));
      const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(rows.map((row) => "key" in row && row.key)).toEqual(sorted);
      for (const row of rows) {
        expect(row).toEqual({ key: expect.any(String), bytes: expect.any(Number), receivedAt: expect.any(Number) });
        if ("key" in row) expect(row).toEqual(await store.head(row.key));
      }
    });

    test("agrees with the model for any prefix, start and delimiter", async () => {
      const start = fc.oneof(
        fc.tuple(fc.constantFrom(...keys), fc.nat(8)).map(([each, length]) => each.slice(0, length)),
        fc.constantFrom(...keys),
      );
      const startAfter = fc.oneof(
        start,
        start.map((text) => `${text}/`),
        start.map((text) => `${text}~`),
        start.map((text) => `${text}ä`),
      );
      const options = fc.record({ startAfter, delimiter: fc.constant("/" as const) }, { requiredKeys: [] });
      await fc.assert(
        fc.asyncProperty(start, options, async (prefix, asked) => {
          expect(await names(prefix, asked)).toEqual(model(keys, prefix, asked));
        }),
        { numRuns: 500 },
      );
    });

    test("gives nothing below an object, nor where there is nothing", async () => {
      expect(await names("a/a/")).toEqual([]);
      expect(await names("nothing/")).toEqual([]);
      expect(await names("nothing", { delimiter: "/" })).toEqual([]);
    });

    test("does not give what was erased, nor a prefix that has become empty", async () => {
      await store.put("e/only", [Buffer.from("x")]);
      expect(await names("", { delimiter: "/" })).toContain("e/");
      await store.erase("e/only");
      expect(await names("", { delimiter: "/" })).not.toContain("e/");
    });

    test("ends at an abort under way", async () => {
      const abort = new AbortController();
      const listing = async () => {
        for await (const _ of store.list("", { signal: abort.signal })) abort.abort();
      };
      await expect(listing()).rejects.toMatchObject({ code: "INTERRUPTED" });
    });
  });
}

/** What S3 answers: objects in order, and with a delimiter everything that shares a prefix up to it as one row. */
function model(keys: readonly string[], prefix: string, { startAfter = "", delimiter }: ListOptions): string[] {
  const rows = keys
    .filter((key) => key.startsWith(prefix) && key > startAfter)
    .map((key) => {
      const end = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
      return end === -1 ? key : key.slice(0, end + 1);
    });
  return [...new Set(rows)].sort();
}

function patterned(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => (at * 2_654_435_761) >>> 24));
}

function crcOf(bytes: Uint8Array): string {
  const crc = crc64nvme();
  crc.update(bytes);
  return crc.digest();
}

function slowly(bytes: Buffer, size: number): Body {
  return {
    async *[Symbol.asyncIterator]() {
      for (let at = 0; at < bytes.length; at += size) {
        yield bytes.subarray(at, at + size);
        await pause(1);
      }
    },
  };
}
