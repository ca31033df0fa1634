import { describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import {
  hostRecordKey,
  keyringKey,
  latestKey,
  manifestKey,
  packKey,
  type SnapshotAddress,
  verdictKey,
} from "../../../core/keys.ts";
import type { Manifest } from "../../../core/manifest.ts";
import type { Signer } from "../../../core/signed-document.ts";
import type { ObjectReader } from "../../../core/stores/store.ts";
import type { Verdict } from "../../../lambdas/control/records.ts";
import { sweep } from "../../../lambdas/verify/sweep.ts";
import { type VerifyPorts, verifySnapshot } from "../../../lambdas/verify/verify-snapshot.ts";
import { memoryControlStore } from "../../fixtures/control-store.ts";
import {
  component,
  crcOf,
  enrolledHost,
  hostId,
  introducedKey,
  keyId,
  storedSnapshot,
} from "../../fixtures/enrolled-host.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";
import { setClock } from "../../fixtures/set-clock.ts";

/** A vault with one host, approved by the operator unless told otherwise. */
async function controller({ approved = true } = {}) {
  const clock = setClock();
  const vault = memoryStore(clock);
  const control = memoryControlStore();
  const { signer, approval } = await enrolledHost(vault);
  const approve = () => control.set(hostRecordKey(hostId), approval);
  if (approved) approve();
  const announced: Verdict[] = [];
  const asked: string[] = [];
  const ports: VerifyPorts = {
    vault,
    control,
    clock,
    async measure(key) {
      asked.push(key);
      const bytes = vault.objects.get(key);
      return bytes && { bytes: bytes.length, crc64nvme: crcOf(bytes), version: `version of ${key}` };
    },
    announce: async (verdict) => {
      announced.push(verdict);
    },
  };
  const store = (day: number, changes: Partial<Manifest> = {}, by: Signer = signer) =>
    storedSnapshot(vault, day, changes, by);
  const good = () =>
    control.records.get(latestKey(hostId, component))?.good.map((each: { snapshotId: string }) => each.snapshotId) ??
    [];
  return { clock, vault, control, ports, announced, asked, store, approve, good };
}

describe("a snapshot that arrives", () => {
  test("is intact when everything is there as it was signed, and the next run may build on it", async () => {
    const { ports, store, announced, good, control } = await controller();
    const address = await store(1);
    const verdict = await verifySnapshot(ports, { address });
    expect(verdict).toMatchObject({ outcome: "intact", findings: [], anomalies: [], completeness: "complete" });
    expect(announced).toEqual([verdict]);
    expect(control.records.get(verdictKey(address))).toEqual(verdict);
    expect(good()).toEqual([address.snapshotId]);
  });

  test("is judged by the store's own checksums, and the verdict names the versions that were judged", async () => {
    const { ports, store, asked } = await controller();
    const address = await store(1);
    const pack = packKey(hostId, component, `${address.snapshotId}/0001`);
    const { versions } = await verifySnapshot(ports, { address });
    expect(asked).toEqual([manifestKey(address), pack]);
    expect(versions).toEqual({
      [manifestKey(address)]: `version of ${manifestKey(address)}`,
      [pack]: `version of ${pack}`,
    });
  });

  test("is corrupt when a pack is not what was signed, and nothing builds on it", async () => {
    const { ports, store, vault, good } = await controller();
    const address = await store(1);
    vault.objects.set(packKey(hostId, component, `${address.snapshotId}/0001`), Buffer.from("the pack of dax 1"));
    expect(await verifySnapshot(ports, { address })).toMatchObject({
      outcome: "corrupt",
      findings: [{ code: "OBJECT_CORRUPT" }],
    });
    expect(good()).toEqual([]);
  });

  test("is incomplete when a pack or a key is missing", async () => {
    const { ports, store, vault } = await controller();
    const [first, second] = [await store(1), await store(2)];
    vault.objects.delete(packKey(hostId, component, `${first.snapshotId}/0001`));
    expect(await verifySnapshot(ports, { address: first })).toMatchObject({ outcome: "incomplete" });
    vault.objects.delete(keyringKey(hostId, "host", keyId));
    expect(await verifySnapshot(ports, { address: second })).toMatchObject({ outcome: "incomplete", findingCount: 1 });
  });

  test("is forged when another key signed it, also one that the host enrolled by itself", async () => {
    const { ports, store, vault, good } = await controller();
    const { signer: thief } = await introducedKey(vault);
    const address = await store(1, {}, thief);
    expect(await verifySnapshot(ports, { address })).toMatchObject({ outcome: "forged" });
    expect(good()).toEqual([]);
  });

  test("is unenrolled until the operator has approved the host, and is judged then", async () => {
    const { ports, store, approve, announced, control, good } = await controller({ approved: false });
    const address = await store(1);
    expect(await verifySnapshot(ports, { address })).toMatchObject({ outcome: "unenrolled" });
    expect(announced).toHaveLength(1);
    expect(control.records.has(verdictKey(address))).toBe(false);
    approve();
    expect(await verifySnapshot(ports, { address })).toMatchObject({ outcome: "intact" });
    expect(good()).toEqual([address.snapshotId]);
  });

  test("is good and not the latest when it came earlier, whatever the host calls it", async () => {
    const { ports, store, clock, good } = await controller();
    clock.set(Date.parse("2026-11-10T00:00:00Z"));
    const backdated = await store(28);
    clock.set(Date.parse("2026-11-11T00:00:00Z"));
    const honest = await store(11);
    await verifySnapshot(ports, { address: honest });
    await verifySnapshot(ports, { address: backdated });
    expect(good()).toEqual([honest.snapshotId, backdated.snapshotId]);
  });

  test("is no base when it is only partial", async () => {
    const { ports, store, good } = await controller();
    const address = await store(1, { completeness: "partial" });
    expect(await verifySnapshot(ports, { address })).toMatchObject({ outcome: "intact", completeness: "partial" });
    expect(good()).toEqual([]);
  });

  test("is odd when half of what it counts is gone since the one before", async () => {
    const { ports, store, clock } = await controller();
    await verifySnapshot(ports, { address: await store(1) });
    clock.set(clock.now() + 86_400_000);
    const address = await store(2, { facts: { rows: 200 } });
    const { anomalies, outcome } = await verifySnapshot(ports, { address });
    expect({ anomalies, outcome }).toEqual({ anomalies: ["rows: 200, after 500"], outcome: "intact" });
  });
});

describe("an event", () => {
  test("that comes twice has no second effect", async () => {
    const { ports, store, announced, asked } = await controller();
    const address = await store(1);
    const first = await verifySnapshot(ports, { address });
    asked.length = 0;
    expect(await verifySnapshot(ports, { address })).toEqual(first);
    expect(announced).toHaveLength(1);
    expect(asked).toEqual([]);
  });

  test.each(["head", "get"] as const)(
    "while the store answers no %s leaves no verdict, and may come again",
    async (call) => {
      const { ports, store, control } = await controller();
      const address = await store(1);
      const down = () => {
        throw new MailarkError("STORE_UNREACHABLE", "the store does not answer");
      };
      const failing: ObjectReader = { ...ports.vault, [call]: down };
      await expect(verifySnapshot({ ...ports, vault: failing }, { address })).rejects.toThrow("does not answer");
      expect(control.records.has(verdictKey(address))).toBe(false);
      expect(await verifySnapshot(ports, { address })).toMatchObject({ outcome: "intact" });
    },
  );

  test("that another overtakes loses nothing of what either found", async () => {
    const { ports, store, control, good } = await controller();
    const [first, second] = [await store(1), await store(2)];
    const ours = { hostId, component, format: "mailark-latest/1" };
    control.meanwhile = () =>
      control.set(latestKey(hostId, component), {
        ...ours,
        good: [
          {
            snapshotId: first.snapshotId,
            receivedAt: "2026-01-01T00:00:00.000Z",
            cutAt: "2026-01-01T00:00:00.000Z",
            kind: "full",
            bytesStored: 1,
            facts: {},
          },
        ],
      });
    await verifySnapshot(ports, { address: second });
    expect([...good()].sort()).toEqual([first.snapshotId, second.snapshotId]);
  });
});

describe("a second look", () => {
  test("that reads every byte finds what the store's checksum does not say, and takes the snapshot from the good ones", async () => {
    const { ports, store, vault, good } = await controller();
    const address = await store(1);
    await verifySnapshot(ports, { address });
    const lying = { ...ports, measure: ports.measure };
    const pack = packKey(hostId, component, `${address.snapshotId}/0001`);
    const sound = vault.objects.get(pack)!;
    lying.measure = async (key) => ({ bytes: sound.length, crc64nvme: crcOf(sound), version: key });
    vault.objects.set(pack, Buffer.from("the pack of dax 1"));
    expect(await verifySnapshot(lying, { address, again: true })).toMatchObject({ outcome: "intact" });
    expect(await verifySnapshot(lying, { address, deep: true })).toMatchObject({ outcome: "corrupt" });
    expect(good()).toEqual([]);
  });
});

describe("a sweep", () => {
  test("asks for what has no verdict, and deep for the newest good snapshot", async () => {
    const { ports, store, clock } = await controller();
    const first = await store(1);
    await verifySnapshot(ports, { address: first });
    clock.set(clock.now() + 1000);
    const second = await store(2);
    const requests: [readonly SnapshotAddress[], boolean][] = [];
    const request = async (addresses: readonly SnapshotAddress[], deep: boolean) => {
      requests.push([addresses, deep]);
    };
    expect(await sweep({ ...ports, request }, false)).toBe(1);
    expect(await sweep({ ...ports, request }, true)).toBe(1);
    expect(requests).toEqual([
      [[second], false],
      [[first], true],
    ]);
  });
});
