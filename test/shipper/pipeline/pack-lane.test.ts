import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Room } from "../../../core/age/age.ts";
import { crc64nvme } from "../../../core/crc64nvme.ts";
import type { Pack } from "../../../core/manifest.ts";
import type { ObjectWriter } from "../../../core/stores/store.ts";
import { PackLane } from "../../../shipper/pipeline/pack-lane.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";

function openLane(store: ObjectWriter, { limit = 100, signal = new AbortController().signal } = {}) {
  const packs: Pack[] = [];
  let count = 0;
  const next = () => {
    count += 1;
    return { name: `000${count}`, reference: `s/000${count}`, key: `packs/000${count}` };
  };
  const lane = new PackLane({ store, signal, next, stored: (pack) => packs.push(pack), limit });
  return { lane, packs, begun: () => count };
}

const segment = (bytes: Uint8Array) => (room: Room) => {
  const written = room(bytes.length);
  written.set(bytes);
  return written;
};
const turn = () => new Promise(setImmediate);

describe("a lane of packs", () => {
  test("holds the segments back to back where it says, in packs that are closed at the limit", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 150 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(sizes, async (lengths) => {
        const store = memoryStore();
        const { lane, packs } = openLane(store);
        const segments = lengths.map((length) => randomBytes(length));
        const locations = [];
        for (const bytes of segments) locations.push(await lane.add(segment(bytes)));
        await lane.close();

        for (const [index, { pack, offset, bytes }] of locations.entries()) {
          const stored = store.objects.get(pack.replace("s/", "packs/"))!;
          expect(stored.subarray(offset, offset + bytes).equals(segments[index]!)).toBe(true);
        }
        const total = segments.reduce((sum, { length }) => sum + length, 0);
        expect(packs.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(total);
        for (const { bytes } of packs.slice(0, -1)) expect(bytes).toBeGreaterThanOrEqual(100);
        for (const { name, bytes, sha256, crc64nvme: checksum } of packs) {
          const stored = store.objects.get(`packs/${name}`)!;
          const measured = crc64nvme();
          measured.update(stored);
          expect({ bytes, checksum }).toEqual({ bytes: stored.length, checksum: measured.digest() });
          expect(sha256).toBe(createHash("sha256").update(stored).digest("hex"));
        }
      }),
      { numRuns: 50 },
    );
  });

  test("stores nothing when it was given nothing", async () => {
    const store = memoryStore();
    const { lane, packs } = openLane(store);
    await lane.close();
    await lane.abandon(new Error("x"));
    expect([store.objects.size, packs.length]).toEqual([0, 0]);
  });

  test("sends a pack while it grows", async () => {
    const seen: number[] = [];
    const store: ObjectWriter = {
      async put(_, body) {
        let bytes = 0;
        const measured = crc64nvme();
        for await (const chunk of body) {
          seen.push(chunk.length);
          bytes += chunk.length;
          measured.update(chunk);
        }
        return { bytes, crc64nvme: measured.digest() };
      },
    };
    const { lane } = openLane(store);
    await lane.add(segment(Buffer.alloc(30)));
    await turn();
    expect(seen).toEqual([30]);
    await lane.add(segment(Buffer.alloc(40)));
    await turn();
    expect(seen).toEqual([30, 40]);
    await lane.close();
  });

  test("can be sent again by the store until put has settled", async () => {
    const inner = memoryStore();
    const store: ObjectWriter = {
      async put(key, body, options) {
        for await (const _ of body);
        return inner.put(key, body, options);
      },
    };
    const { lane, packs } = openLane(store);
    for (let sent = 0; sent < 6; sent += 1) await lane.add(segment(Buffer.alloc(60, sent)));
    await lane.close();
    expect(packs).toHaveLength(3);
    expect(inner.objects.get("packs/0002")).toEqual(Buffer.concat([Buffer.alloc(60, 2), Buffer.alloc(60, 3)]));
  });

  test("makes the next segment wait while the store is busy with the last pack", async () => {
    const gate = Promise.withResolvers<void>();
    const inner = memoryStore();
    const store: ObjectWriter = {
      async put(key, body, options) {
        await gate.promise;
        return inner.put(key, body, options);
      },
    };
    const { lane, begun } = openLane(store);
    let accepted = false;
    const adding = lane.add(segment(Buffer.alloc(100))).then(() => {
      accepted = true;
    });
    await turn();
    expect([accepted, begun()]).toEqual([false, 1]);
    gate.resolve();
    await adding;
    expect(inner.objects.size).toBe(1);
  });

  test.each([
    ["bytes", { bytes: 1 }],
    ["a checksum", { crc64nvme: "0".repeat(16) }],
  ])("refuses a receipt for other %s, and does not list the pack", async (_, wrong) => {
    const inner = memoryStore();
    const store: ObjectWriter = {
      put: async (key, body, options) => ({ ...(await inner.put(key, body, options)), ...wrong }),
    };
    const { lane, packs } = openLane(store);
    await lane.add(segment(Buffer.from("segment")));
    await expect(lane.close()).rejects.toMatchObject({ code: "UPLOAD_MISMATCH", retryable: true });
    expect(packs).toEqual([]);
  });

  describe("tells when the store fails", () => {
    const failing = (after: number): ObjectWriter => ({
      async put(_, body) {
        let bytes = 0;
        if (after === 0) throw new Error("the store failed");
        for await (const chunk of body) {
          bytes += chunk.length;
          if (bytes >= after) throw new Error("the store failed");
        }
        throw new Error("the store failed");
      },
    });

    test.each([
      ["at once", 0],
      ["under way", 20],
      ["at the end", Number.POSITIVE_INFINITY],
    ])("%s", async (_, after) => {
      const { lane, packs, begun } = openLane(failing(after));
      const filling = async () => {
        for (let sent = 0; sent < 20; sent += 1) {
          await lane.add(segment(Buffer.alloc(10)));
          await turn();
        }
      };
      await expect(filling()).rejects.toThrow("the store failed");
      await lane.abandon(new Error("given up"));
      expect([packs.length, begun()]).toEqual([0, 1]);
    });
  });

  test("tells of a failed store at the next segment, long before the pack is full", async () => {
    const { lane } = openLane({ put: () => Promise.reject(new Error("the store failed")) });
    await lane.add(segment(Buffer.alloc(1)));
    await turn();
    await expect(lane.add(segment(Buffer.alloc(1)))).rejects.toThrow("the store failed");
  });

  test("stops at an abort", async () => {
    const abort = new AbortController();
    const store = memoryStore();
    const { lane } = openLane(store, { signal: abort.signal });
    await lane.add(segment(Buffer.from("x")));
    abort.abort(new Error("stop"));
    await expect(lane.add(segment(Buffer.from("y")))).rejects.toThrow("stop");
    await lane.abandon(abort.signal.reason);
    expect(store.objects.size).toBe(0);
  });

  test("leaves nothing of the open pack when it is abandoned, and waits until the store has let go", async () => {
    const store = memoryStore();
    let settled = false;
    const watched: ObjectWriter = {
      put: (key, body, options) =>
        store.put(key, body, options).finally(() => {
          settled = true;
        }),
    };
    const { lane } = openLane(watched);
    await lane.add(segment(Buffer.from("x")));
    await lane.abandon(new Error("given up"));
    expect(settled).toBe(true);
    expect(store.objects.size).toBe(0);
  });
});
