import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { manifestKey } from "../../../core/keys.ts";
import type { ObjectWriter } from "../../../core/stores/store.ts";
import { joinExtents, type SealingKey } from "../../../shipper/pipeline/snapshot-writer.ts";
import { errnoError, type faultPlan, sweep, withFaults } from "../../fixtures/faults.ts";
import { type MemoryStore, memoryStore } from "../../fixtures/memory-store.ts";
import { readAll } from "../../fixtures/read-all.ts";
import {
  address,
  description,
  snapshotReader,
  snapshotWriter,
  storedKey,
  storedManifest,
} from "../../fixtures/snapshot.ts";

const mebibyte = 1024 * 1024;
let store: MemoryStore;
let key: SealingKey;
const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);

beforeEach(async () => {
  store = memoryStore();
  key = await storedKey(store);
  unhandled.length = 0;
  process.on("unhandledRejection", note);
});
afterEach(async () => {
  await new Promise(setImmediate);
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

async function* stream(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
const exists = () => store.objects.has(manifestKey(address));
const settled = <T>(work: Promise<T>) =>
  Promise.race([
    work.then(
      (value) => ({ value }),
      (error: MailarkError) => ({ error }),
    ),
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error("it hangs")), 10_000).unref()),
  ]);

describe("a snapshot", () => {
  test("comes back as it was written", async () => {
    const size = fc.integer({ min: 0, max: 200_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 4 }), fc.array(fc.boolean()), async (sizes, lanes) => {
        store = memoryStore();
        key = await storedKey(store);
        const writer = snapshotWriter(store);
        const parts = sizes.map((length) => randomBytes(length));
        for (const [index, bytes] of parts.entries()) {
          const lane = lanes[index] ? "index" : "content";
          const part = await writer.part(
            `database-000${index + 1}`,
            stream(bytes.subarray(0, 99), bytes.subarray(99)),
            key,
            lane,
          );
          expect(part.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
        }
        const manifest = await writer.finish(description);
        expect(await storedManifest(store)).toEqual(manifest);
        const reader = await snapshotReader(store);
        for (const [index, part] of reader.manifest.parts.entries()) {
          expect((await readAll(reader.readPart(part))).equals(parts[index]!)).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
  });

  test("keeps the order in which segments were submitted, though they are compressed side by side", async () => {
    const writer = snapshotWriter(store);
    // The first takes longest.
    const plains = [randomBytes(4 * mebibyte), Buffer.alloc(100, 1), randomBytes(mebibyte), Buffer.alloc(10, 2)];
    const expected = plains.map((plain) => Buffer.from(plain));
    const locations = await Promise.all(plains.map(async (plain) => (await writer.submit(plain, key)).location));
    await writer.finish(description);
    const offsets = locations.map(({ offset }) => offset);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    const reader = await snapshotReader(store);
    for (const [index, location] of locations.entries()) {
      const plain = await reader.segment({ ...location, ownerId: key.ownerId, keyId: key.keyId });
      expect(plain.equals(expected[index]!)).toBe(true);
    }
  });

  test("has its manifest stored last, and no pack that the manifest does not list", async () => {
    const writer = snapshotWriter(store);
    await Promise.all([
      writer.part("accounts", stream(randomBytes(100_000)), key, "index"),
      writer.part("database-0001", stream(randomBytes(9 * mebibyte)), key),
    ]);
    expect(exists()).toBe(false);
    const manifest = await writer.finish(description);
    const keys = [...store.objects.keys()].filter((name) => name.startsWith("hosts/"));
    expect(keys.at(-1)).toBe(manifestKey(address));
    expect(
      keys
        .slice(0, -1)
        .map((name) => name.split("/").at(-1))
        .sort(),
    ).toEqual(manifest.packs.map(({ name }) => `${name}.pack`));
    expect(manifest.packs.map(({ name }) => name)).toEqual(["0001", "0002"]);
    expect(manifest.keys).toEqual([{ ownerId: "host", keyId: key.keyId, sha256: key.sha256 }]);
  });

  test("can be empty, and can have an empty part", async () => {
    const writer = snapshotWriter(store);
    await writer.part("accounts", stream(), key);
    const manifest = await writer.finish(description);
    expect(manifest.packs).toEqual([]);
    const reader = await snapshotReader(store);
    expect(await readAll(reader.readPart(reader.part("accounts")))).toEqual(Buffer.alloc(0));
  });

  test("takes few segments at a time into memory", async () => {
    const gate = Promise.withResolvers<void>();
    const slow: ObjectWriter = {
      async put(name, body, options) {
        await gate.promise;
        return store.put(name, body, options);
      },
    };
    let sealed = 0;
    const counting = {
      ...key,
      seal: (plain: Uint8Array) => {
        sealed += 1;
        return key.seal(plain);
      },
    };
    const writer = snapshotWriter(slow);
    let accepted = 0;
    const submitting = Promise.all(
      Array.from({ length: 40 }, async () => {
        const { location } = await writer.submit(randomBytes(4 * mebibyte), counting);
        accepted += 1;
        return location;
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    // The first pack is full and waits for the store; behind it there is room for a few.
    expect(accepted).toBeLessThan(16 + 6);
    gate.resolve();
    await submitting;
    await writer.finish(description);
    expect(sealed).toBe(40);
  }, 30_000);
});

describe("a snapshot that fails", () => {
  test("at any call of the store has no manifest, and says what failed", async () => {
    let outcome: unknown;
    const work = async (plan: ReturnType<typeof faultPlan>) => {
      store = memoryStore();
      const writer = snapshotWriter(withFaults(store, plan, "store"));
      const writing = async () => {
        await writer.part("accounts", stream(randomBytes(50_000)), key, "index");
        await writer.part("database-0001", stream(randomBytes(50_000)), key);
        await writer.finish(description);
      };
      outcome = await settled(writing());
      if ("error" in (outcome as object)) await settled(writer.abandon((outcome as { error: unknown }).error));
    };
    for (const after of [false, true]) {
      for await (const { call } of sweep((at) => ({ at, throw: errnoError("ECONNRESET"), after }), work)) {
        expect(outcome, call).toMatchObject({ error: { code: "ECONNRESET" } });
        if (!after) expect(exists()).toBe(false);
      }
    }
  });

  test("while the process is killed at any call has a manifest only when everything is there", async () => {
    const work = async (plan: ReturnType<typeof faultPlan>) => {
      store = memoryStore();
      key = await storedKey(store);
      const writer = snapshotWriter(withFaults(store, plan, "store"));
      const writing = async () => {
        await writer.part("database-0001", stream(randomBytes(50_000)), key);
        await writer.finish(description);
      };
      await settled(writing());
      await settled(writer.abandon(new Error("killed")));
    };
    for (const die of ["before", "after"] as const) {
      for await (const _ of sweep((at) => ({ at, die }), work)) {
        if (!exists()) continue;
        const reader = await snapshotReader(store);
        expect((await readAll(reader.readPart(reader.part("database-0001")))).length).toBe(50_000);
      }
    }
  });

  test("when its source fails, with the source's own error", async () => {
    const writer = snapshotWriter(store);
    const source = async function* () {
      yield randomBytes(5 * mebibyte);
      throw new MailarkError("DUMP_TRUNCATED", "the dump was cut off");
    };
    const { error } = (await settled(writer.part("database-0001", source(), key))) as { error: MailarkError };
    expect(error.code).toBe("DUMP_TRUNCATED");
    await settled(writer.abandon(error));
    expect([...store.objects.keys()].filter((name) => name.startsWith("hosts/"))).toEqual([]);
  });

  test("lets go of everyone who waits for room", async () => {
    const failing: ObjectWriter = {
      async put(_, body) {
        for await (const _chunk of body);
        throw new Error("the store failed");
      },
    };
    const writer = snapshotWriter(failing);
    const submitting = Array.from(
      { length: 60 },
      async () => (await writer.submit(Buffer.alloc(mebibyte, 1), key)).location,
    );
    const finishing = settled(Promise.allSettled(submitting)).then(() => writer.finish(description));
    await expect(finishing).rejects.toThrow("the store failed");
    await settled(writer.abandon(new MailarkError("STORE_UNREACHABLE", "given up")));
    await expect(writer.submit(Buffer.from("more"), key)).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
  });

  test("in sealing fails whatever was submitted after it, and begins no pack for that", async () => {
    let puts = 0;
    const counting: ObjectWriter = {
      put: (...args) => {
        puts += 1;
        return store.put(...args);
      },
    };
    const writer = snapshotWriter(counting);
    const broken = {
      ...key,
      seal: () => {
        throw new Error("can not seal");
      },
    };
    const submitted = [broken, key, key].map(async (each) => (await writer.submit(randomBytes(1000), each)).location);
    const outcomes = await Promise.allSettled(submitted);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await expect(writer.finish(description)).rejects.toThrow("can not seal");
    await settled(writer.abandon(new Error("given up")));
    expect(puts).toBe(0);
  });

  test("with a segment that is empty or too large fails and does not hang", async () => {
    for (const length of [0, 9 * mebibyte]) {
      const writer = snapshotWriter(store);
      const { location } = await writer.submit(Buffer.alloc(length), key);
      await expect(location).rejects.toMatchObject({ code: "INTERNAL" });
      await settled(writer.abandon(new Error("given up")));
    }
  });

  test("with two parts of one name has no manifest", async () => {
    const writer = snapshotWriter(store);
    for (const content of ["one", "two"]) await writer.part("facts", stream(Buffer.from(content)), key);
    await expect(writer.finish(description)).rejects.toMatchObject({ code: "MANIFEST_INVALID" });
    expect(exists()).toBe(false);
  });

  test("does not become one once it was abandoned", async () => {
    const writer = snapshotWriter(store);
    await writer.part("accounts", stream(randomBytes(1000)), key);
    await settled(writer.abandon(new MailarkError("INTERRUPTED", "interrupted")));
    await expect(writer.finish(description)).rejects.toMatchObject({ code: "INTERRUPTED" });
    await expect(writer.submit(Buffer.from("x"), key)).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect([...store.objects.keys()].filter((name) => name.startsWith("hosts/"))).toEqual([]);
  });

  test("can be abandoned while segments are under way", async () => {
    const writer = snapshotWriter(store);
    const submitting = Array.from(
      { length: 30 },
      async () => (await writer.submit(randomBytes(mebibyte), key)).location,
    );
    const outcomes = Promise.allSettled(submitting);
    await settled(writer.abandon(new MailarkError("INTERRUPTED", "interrupted")));
    await settled(outcomes);
    expect([...store.objects.keys()].filter((name) => name.startsWith("hosts/"))).toEqual([]);
  });

  test.each(["while it reads", "before it finishes"])("ends at an abort %s", async (when) => {
    const abort = new AbortController();
    onTestFinished(() => abort.abort());
    const writer = snapshotWriter(store, abort.signal);
    const source = async function* () {
      yield randomBytes(5 * mebibyte);
      if (when === "while it reads") abort.abort(new MailarkError("INTERRUPTED", "interrupted"));
      yield randomBytes(5 * mebibyte);
      yield randomBytes(5 * mebibyte);
    };
    const writing = async () => {
      await writer.part("database-0001", source(), key);
      abort.abort(new MailarkError("INTERRUPTED", "interrupted"));
      await writer.finish(description);
    };
    expect(await settled(writing())).toMatchObject({ error: { code: "INTERRUPTED" } });
    await settled(writer.abandon(abort.signal.reason));
    expect(exists()).toBe(false);
  });
});

describe("extents", () => {
  test("name every segment once, joined where they are neighbours", () => {
    const location = fc.record({
      pack: fc.constantFrom("s/0001", "s/0002"),
      offset: fc.nat(20),
      bytes: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(location), (locations) => {
        const back = joinExtents(locations, "k").flatMap(({ pack, offset, segments }) => {
          let at = offset;
          return segments.map((bytes) => {
            at += bytes;
            return { pack, offset: at - bytes, bytes };
          });
        });
        expect(back).toEqual(locations);
      }),
    );
    const neighbours = [0, 10, 20].map((offset) => ({ pack: "s/0001", offset, bytes: 10 }));
    expect(joinExtents(neighbours, "k")).toEqual([{ pack: "s/0001", keyId: "k", offset: 0, segments: [10, 10, 10] }]);
  });
});
