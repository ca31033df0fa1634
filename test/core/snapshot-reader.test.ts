import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { generateIdentity } from "../../core/age/age.ts";
import { keyringKey, packKey } from "../../core/keys.ts";
import { maximumSealedBytes } from "../../core/segment.ts";
import type { SealingKey } from "../../shipper/pipeline/snapshot-writer.ts";
import { errnoError, sweep, withFaults } from "../fixtures/faults.ts";
import { type MemoryStore, memoryStore } from "../fixtures/memory-store.ts";
import { readAll } from "../fixtures/read-all.ts";
import { address, description, snapshotReader, snapshotWriter, storedKey } from "../fixtures/snapshot.ts";

const content = randomBytes(9 * 1024 * 1024);
let store: MemoryStore;
let key: SealingKey;

beforeEach(async () => {
  store = memoryStore();
  key = await storedKey(store);
  const writer = snapshotWriter(store);
  await writer.part("database-0001", source(Buffer.from(content)), key);
  await writer.part("accounts", source(Buffer.from("small")), key, "index");
  await writer.finish(description);
});

async function* source(...chunks: Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}
const packOf = (name: string) => packKey(address.hostId, address.component, `${address.snapshotId}/${name}`);
const readPart = async (
  name = "database-0001",
  ...rest: [identity?: ReturnType<typeof generateIdentity>["identity"]]
) => {
  const reader = await snapshotReader(store, ...rest);
  return readAll(reader.readPart(reader.part(name)));
};

describe("reading a snapshot", () => {
  test("gives each part as it was captured", async () => {
    expect((await readPart()).equals(content)).toBe(true);
    expect((await readPart("accounts")).toString()).toBe("small");
  });

  test("tells of a part that is not there", async () => {
    const reader = await snapshotReader(store);
    expect(() => reader.part("database-0002")).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
  });

  test("needs the right identity, and says so", async () => {
    await expect(readPart("accounts", generateIdentity().identity)).rejects.toMatchObject({
      code: "DECRYPTION_FAILED",
      hint: expect.stringContaining("--identity"),
    });
  });

  test("says which key is gone when it was erased", async () => {
    await store.erase(keyringKey(address.hostId, key.ownerId, key.keyId));
    await expect(readPart("accounts")).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: expect.stringContaining(key.keyId),
    });
  });

  test("names the pack that is missing", async () => {
    await store.erase(packOf("0001"));
    await expect(readPart()).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: expect.stringContaining(packOf("0001")),
    });
  });

  test("names the pack that is damaged, wherever it is", async () => {
    const pack = store.objects.get(packOf("0002"))!;
    for (let at = 0; at < pack.length; at += 1) {
      pack[at]! ^= 1;
      await expect(readPart("accounts")).rejects.toMatchObject({
        code: "DECRYPTION_FAILED",
        message: expect.stringContaining(packOf("0002")),
      });
      pack[at]! ^= 1;
    }
    expect((await readPart("accounts")).toString()).toBe("small");
  });

  test("names the pack that was cut off", async () => {
    store.objects.set(packOf("0001"), store.objects.get(packOf("0001"))!.subarray(0, -1));
    await expect(readPart()).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  });

  test("tells a part that is not what was captured, though every segment opens", async () => {
    const reader = await snapshotReader(store);
    const part = reader.part("database-0001");
    const [extent] = part.extents;
    const [first, second, ...rest] = extent!.segments;
    const inOtherOrder = [
      { ...extent!, offset: extent!.offset + first!, segments: [second!] },
      { ...extent!, segments: [first!] },
      { ...extent!, offset: extent!.offset + first! + second!, segments: rest },
    ];
    const less = [{ ...extent!, segments: [first!] }];
    for (const extents of [inOtherOrder, less, []]) {
      const reading = readAll(reader.readPart({ ...part, extents })).then(({ length }) => length);
      await expect(reading).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
    }
  });

  test("refuses a segment that is larger than any can be, before it takes memory for it", async () => {
    const reader = await snapshotReader(store);
    const reference = { pack: `${address.snapshotId}/0001`, offset: 0, ownerId: key.ownerId, keyId: key.keyId };
    await expect(reader.segment({ ...reference, bytes: maximumSealedBytes + 1 })).rejects.toMatchObject({
      code: "OBJECT_CORRUPT",
    });
  });

  test("ends at an abort", async () => {
    const reader = await snapshotReader(store, undefined, AbortSignal.abort());
    await expect(readAll(reader.readPart(reader.part("accounts")))).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  test("ends when no more is wanted, with nothing left running", async () => {
    const reader = await snapshotReader(store);
    for await (const chunk of reader.readPart(reader.part("database-0001"))) {
      expect(content.subarray(0, chunk.length).equals(chunk)).toBe(true);
      break;
    }
  });

  test("fails with the store's own error, at whatever call, and gives no wrong bytes", async () => {
    let outcome: unknown;
    const work = async (plan: Parameters<typeof withFaults>[1]) => {
      const reader = await snapshotReader(store);
      const failing = new (reader.constructor as typeof import("../../core/snapshot-reader.ts").SnapshotReader)(
        reader.manifest,
        withFaults(store, plan, "store"),
        reader.keyring,
      );
      outcome = await readAll(failing.readPart(failing.part("database-0001"))).catch((error) => error);
    };
    let faults = 0;
    for await (const { call, fault } of sweep((at) => ({ at, throw: errnoError("ECONNRESET") }), work)) {
      faults += 1;
      if (fault.at % 40 === 0 || fault.at < 5) expect(outcome, call).toMatchObject({ code: "ECONNRESET" });
      else expect(outcome).toBeInstanceOf(Error);
      if (faults === 12) break;
    }
  });
});
