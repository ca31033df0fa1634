import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { readTrust } from "../../core/enrolment.ts";
import { readInventory } from "../../core/inventory.ts";
import { breakGlassKey, doctorPrefix, keyringKey, manifestKey, packKey, runKey } from "../../core/keys.ts";
import { carryOut, type PruneOptions, planPrune } from "../../core/prune.ts";
import type { RetentionPolicyInput } from "../../core/retention-policy.ts";
import type { ObjectEraser } from "../../core/stores/store.ts";
import { verifyHost } from "../../core/verify-host.ts";
import { Killed } from "../fixtures/faults.ts";
import { type MemoryStore, memoryStore } from "../fixtures/memory-store.ts";
import { type PaperHost, paperHost, type Written } from "../fixtures/paper-host.ts";
import { type SetClock, setClock } from "../fixtures/set-clock.ts";

const day = 24 * 3_600_000;
const start = Date.parse("2026-06-01T02:00:00.000Z");
const signal = new AbortController().signal;

let clock: SetClock;
let store: MemoryStore;
let host: PaperHost;
const beginAnew = async () => {
  clock = setClock(start);
  store = memoryStore(clock);
  host = paperHost(store, clock);
  await host.enrol();
};
beforeEach(beginAnew);

const wait = (days: number) => clock.set(clock.now() + days * day);
const inventory = () => readInventory(store, host.hostId, host.trusted, { signal });
const plan = async (policy: RetentionPolicyInput, options: Partial<PruneOptions> = {}) =>
  planPrune(await inventory(), { maximumExpireShare: 1, ...policy }, { now: clock.now(), ...options });
async function prune(policy: RetentionPolicyInput, options: Partial<PruneOptions> = {}) {
  const planned = await plan(policy, options);
  await carryOut(planned, store, store, { signal });
  return planned;
}
const verified = async () => verifyHost(store, host.hostId, await readTrust(store, host.hostId, undefined));
const addressOf = ({ component, snapshotId }: Written) => ({ hostId: host.hostId, component, snapshotId });
const isThere = (written: Written) => store.objects.has(manifestKey(addressOf(written)));
const packsOf = ({ component, needs }: Written) => needs.map(({ pack }) => packKey(host.hostId, component, pack));

/** Is killed after so many objects. */
function dyingEraser(last: number): ObjectEraser {
  let erased = 0;
  return {
    erase(key) {
      erased += 1;
      if (erased > last) throw new Killed("killed");
      return store.erase(key);
    },
  };
}

async function days(count: number): Promise<Written[]> {
  const written: Written[] = [];
  for (let number = 0; number < count; number += 1) {
    written.push(await host.run());
    wait(1);
  }
  return written;
}

async function expectWhole() {
  const { snapshots, others } = await verified();
  expect([...others, ...snapshots.flatMap(({ findings }) => findings)]).toEqual([]);
}

test("what no rule asks for goes with its packs and the record of its run, and the store is in order", async () => {
  const written = await days(10);
  await prune({ keepLast: 3 });
  expect(written.map(isThere)).toEqual([...Array(7).fill(false), true, true, true]);
  for (const old of written.slice(0, 7)) {
    expect([...store.objects.keys()].filter((key) => key.includes(old.snapshotId))).toEqual([]);
  }
  await expectWhole();
});

test("the record of a run goes with what it stored, also where it can not be read", async () => {
  const [oldest] = await days(3);
  const record = [...store.objects.keys()].find((key) => key.includes(`/runs/${oldest!.snapshotId}`))!;
  store.objects.set(record, store.objects.get(record)!.subarray(1));
  await prune({ keepLast: 1 });
  expect(isThere(oldest!)).toBe(false);
  await expectWhole();
});

test("a pack stays for as long as a snapshot that is kept was built on it, and its snapshot does not", async () => {
  const full = await host.run({ packs: 2 });
  wait(5);
  const next = await host.run({ base: full });
  wait(5);
  await prune({ keepLast: 1 });
  expect([isThere(full), isThere(next)]).toEqual([false, true]);
  expect(packsOf(next).every((key) => store.objects.has(key))).toBe(true);
  await expectWhole();
});

test("manifests go before what they need, and after the records that name them", async () => {
  await days(5);
  const { erasures } = await plan({ keepLast: 1 });
  const order = erasures.map(({ reason }) => reason);
  expect(order).toEqual([...Array(3).fill("run"), ...Array(3).fill("expired"), ...Array(3).fill("unneeded")]);
});

describe("one snapshot that is not as it was signed stops it", () => {
  test.each<[string, (key: string, pack: string) => void]>([
    ["a manifest that was changed", (key) => void store.objects.get(key)!.write("x", 30)],
    ["a manifest of a stranger", (key) => void store.objects.set(key, Buffer.from('{}\n{"keyId":"0","ed25519":""}\n'))],
    ["a pack that is gone", (_, pack) => void store.objects.delete(pack)],
    ["a pack of another size", (_, pack) => void store.objects.set(pack, Buffer.alloc(3))],
  ])("%s", async (_, damage) => {
    const written = await days(6);
    damage(manifestKey(addressOf(written[4]!)), packsOf(written[4]!)[0]!);
    const before = new Map(store.objects);
    const { state, unusable } = await prune({ keepLast: 1 });
    expect([state, unusable.map(({ snapshotId }) => snapshotId)]).toEqual(["stopped", [written[4]!.snapshotId]]);
    expect(store.objects).toEqual(before);
  });

  test("a closure that was changed", async () => {
    const base = await host.run();
    await host.run({ base });
    const key = [...store.objects.keys()].find((key) => key.endsWith("closure.zst"))!;
    store.objects.get(key)!.reverse();
    expect((await plan({ keepLast: 1 })).state).toBe("stopped");
  });

  test("also where it is given up and held in one breath", async () => {
    const written = await days(3);
    const { snapshotId } = written[1]!;
    store.objects.get(manifestKey(addressOf(written[1]!)))!.write("x", 30);
    await expect(plan({ keepLast: 3 }, { held: [snapshotId], dropped: [snapshotId] })).rejects.toThrow("both");
  });

  test("until it is given up by its id; then its packs wait for their 14 days", async () => {
    const written = await days(6);
    const broken = written[4]!;
    store.objects.get(manifestKey(addressOf(broken)))!.write("x", 30);
    await prune({ keepLast: 6 }, { dropped: [broken.snapshotId] });
    expect(isThere(broken)).toBe(false);
    expect(packsOf(broken).every((key) => store.objects.has(key))).toBe(true);
    await expectWhole();
    wait(15);
    await host.run();
    await prune({ keepLast: 9 });
    expect(packsOf(broken).some((key) => store.objects.has(key))).toBe(false);
    await expect(plan({ keepLast: 1 }, { dropped: [written[0]!.snapshotId] })).rejects.toThrow("no unusable snapshot");
  });
});

describe("what runs left", () => {
  test("unfinished goes when the store has received something 14 days after it", async () => {
    const left = await host.run({ unfinished: true });
    wait(13);
    await host.run();
    await prune({ keepLast: 9 });
    expect(packsOf(left).every((key) => store.objects.has(key))).toBe(true);
    wait(2);
    await host.run();
    await prune({ keepLast: 9 });
    expect(packsOf(left).some((key) => store.objects.has(key))).toBe(false);
  });

  test("a minute ago stays, also where this machine's clock is a year ahead", async () => {
    await days(3);
    const running = await host.run({ unfinished: true }, { record: false });
    await prune({ keepLast: 9 }, { now: clock.now() + 365 * day });
    expect(packsOf(running).every((key) => store.objects.has(key))).toBe(true);
  });

  test("probes and old restore scripts that no snapshot names go after 14 days; keys, introductions and strange objects never", async () => {
    const old = breakGlassKey(host.hostId, `1-${"a".repeat(16)}`, "restore.sh");
    const kept = [keyringKey(host.hostId, "host", "a".repeat(32)), `hosts/${host.hostId}/mail/log/s/n/0-x.age`];
    const probe = `${doctorPrefix(host.hostId)}probe`;
    for (const key of [old, probe, ...kept]) await store.put(key, [Buffer.from("x")]);
    await days(1);
    const newest = breakGlassKey(host.hostId, `1-${"b".repeat(16)}`, "restore.sh");
    await store.put(newest, [Buffer.from("of a run that is not done yet")]);
    await days(20);
    const enrolments = [...store.objects.keys()].filter((key) => key.includes("/enrol/"));
    const { erasures } = await prune({ keepLast: 30 });
    expect(erasures.map(({ key }) => key)).toEqual([probe, old]);
    expect([...enrolments, ...kept, newest].every((key) => store.objects.has(key))).toBe(true);
    await expectWhole();
  });

  test("the record of a run that stored nothing goes after 90 days", async () => {
    const failed = await host.run({ unfinished: true });
    wait(89);
    await host.run();
    await prune({ keepLast: 9 });
    expect(store.objects.has(runKey(host.hostId, failed.snapshotId))).toBe(true);
    wait(2);
    await host.run();
    await prune({ keepLast: 9 });
    expect(store.objects.has(runKey(host.hostId, failed.snapshotId))).toBe(false);
  });
});

test("a snapshot on hold stays, with all that it needs; one that is not there is not held in silence", async () => {
  const written = await days(6);
  const held = written[1]!;
  await prune({ keepLast: 1 }, { held: [held.snapshotId] });
  expect(isThere(held)).toBe(true);
  expect(packsOf(held).every((key) => store.objects.has(key))).toBe(true);
  await expect(plan({ keepLast: 1 }, { held: [written[0]!.snapshotId] })).rejects.toThrow("no snapshot");
});

test("a host with a clock of its own ages nothing out: what counts is when the store received it", async () => {
  const written = await days(8);
  const hours = Array.from({ length: 30 }, (_, number) => number);
  for (const number of hours) {
    const id = (year: number) => `${year}0101T000000.000Z-${String(number).padStart(10, "0")}`;
    await host.run({}, { id: id(2030) });
    await host.run({}, { id: id(2001) });
  }
  await prune({ daily: 7 });
  expect(written.slice(2).every(isThere)).toBe(true);
});

test("the newest stays where older ones were copied to the store after it", async () => {
  const [, , newest] = await days(3);
  const copied = await host.run({}, { id: "20260602T030000.000Z-copiedlate" });
  wait(10);
  const { decisions } = await prune({ keepLast: 1, maximumAgeDays: 5 });
  expect([isThere(newest!), isThere(copied)]).toEqual([true, true]);
  expect(decisions.find(({ snapshotId }) => snapshotId === newest!.snapshotId)?.reasons[0]).toEqual({ rule: "newest" });
  await expectWhole();
});

test("packs of a snapshot that arrives while the store is read are not taken for left over", async () => {
  await days(3);
  wait(20);
  const list = store.list.bind(store);
  let late: Written | undefined;
  store.list = async function* (prefix, options) {
    yield* list(prefix, options);
    late ??= await host.run();
  };
  const { erasures } = await prune({ keepLast: 1 });
  expect(erasures.length).toBeGreaterThan(0);
  expect(late && isThere(late)).toBe(true);
  await expectWhole();
});

describe("a snapshot that another machine brings, of packs that lay there, stays whole", () => {
  const bringing = async (policy: RetentionPolicyInput, between: (bring: () => Promise<void>) => Promise<void>) => {
    const [first, second] = await days(2);
    const keys = [manifestKey(addressOf(first!)), runKey(host.hostId, first!.snapshotId)];
    const documents = keys.map((key) => [key, store.objects.get(key)!] as const);
    for (const [key] of documents) await store.erase(key);
    wait(20);
    await host.run();
    wait(3);
    await between(async () => {
      for (const [key, document] of documents) await store.put(key, [document]);
    });
    expect([first!, second!].map(isThere)).toEqual([true, policy.keepLast === 9]);
    await expectWhole();
    expect(packsOf(second!).every((key) => store.objects.has(key))).toBe(true);
  };

  test.each([9, 1])("after the plan was made, which keeps %i", async (keepLast) => {
    await bringing({ keepLast }, async (bring) => {
      const planned = await plan({ keepLast });
      expect(planned.erasures.map(({ reason }) => reason)).toContain("orphan");
      await bring();
      await carryOut(planned, store, store, { signal });
    });
  });

  test("while other packs go already", async () => {
    await bringing({ keepLast: 9 }, async (bring) => {
      const left = await host.run({ unfinished: true }, { id: "20260501T020000.000Z-leftbefore" });
      wait(20);
      await host.run();
      const planned = await plan({ keepLast: 9 });
      const order: string[] = [];
      const erase: ObjectEraser["erase"] = async (key) => {
        order.push(key);
        await store.erase(key);
        if (key === packsOf(left)[0]) await bring();
      };
      await carryOut(planned, store, { erase }, { signal });
      expect(order).toContain(packsOf(left)[0]);
    });
  });
});

test("a host with 200,000 packs is planned", () => {
  const objects = Array.from({ length: 200_000 }, (_, index) => ({
    key: packKey("h-0123456789", "mail", `20260501T020000.000Z-0123456789/${String(index + 1).padStart(4, "0")}`),
    bytes: 1,
    receivedAt: start,
  }));
  const large = { hostId: "h-0123456789", snapshots: [], unusable: [], runs: [], objects };
  expect(planPrune(large, { keepLast: 1 }, { now: start }).state).toBe("ready");
});

const count = fc.integer({ min: 0, max: 4 });
const step = fc.record({
  hours: fc.integer({ min: 1, max: 24 * 12 }),
  component: fc.constantFrom("mail" as const, "mysql" as const),
  packs: fc.integer({ min: 1, max: 3 }),
  builds: fc.boolean(),
  partial: fc.boolean(),
  unfinished: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  record: fc.integer({ min: 0, max: 5 }).map((n) => n > 0),
  prune: fc.option(
    fc.record({
      policy: fc.record({
        keepLast: fc.integer({ min: 1, max: 4 }),
        ...{ hourly: count, daily: count, weekly: count, monthly: count },
        keepWithinDays: count,
        maximumAgeDays: fc.option(fc.integer({ min: 4, max: 60 }), { nil: undefined }),
      }),
      /** How much of the plan is carried out before it is killed. */
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      ahead: fc.constantFrom(0, 0, 0, -20, 400),
      hold: fc.boolean(),
    }),
    { nil: undefined },
  ),
});

test("whatever was stored, pruned, held and killed, in any order, what is kept is whole and stays as it was", async () => {
  const all = fc.array(step, { minLength: 3, maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(all, async (steps) => {
      await beginAnew();
      const last = new Map<string, Written>();
      const good = new Map<string, Written>();
      for (const { hours, component, packs, builds, prune: pass, ...how } of steps) {
        wait(hours / 24);
        // Nobody builds on what is gone: a host asks for its base first.
        const newest = last.get(component);
        const base = builds && newest && isThere(newest) ? newest : undefined;
        const { record, ...rest } = how;
        const written = await host.run({ component, packs, ...(base && { base }), ...rest }, { record });
        if (!how.unfinished) last.set(component, written);
        if (!how.unfinished && !how.partial) good.set(component, written);
        if (pass === undefined) continue;
        const now = clock.now() + pass.ahead * day;
        const before = new Map(store.objects);
        const found = await inventory();
        const held = pass.hold && found.snapshots[0] ? [found.snapshots[0].snapshotId] : [];
        const planned = planPrune(found, { ...pass.policy, maximumExpireShare: 1 }, { now, held });
        expect(planned.state).toBe("ready");
        const eraser = dyingEraser(planned.erasures.length * pass.share);
        await carryOut(planned, store, eraser, { signal }).catch(() => {});
        await expectWhole();
        for (const { component, snapshotId, decision } of planned.decisions) {
          if (decision === "expire") continue;
          const kept = found.snapshots.find((each) => each.component === component && each.snapshotId === snapshotId)!;
          for (const key of [manifestKey(kept), ...kept.needs]) expect(store.objects.get(key)).toBe(before.get(key));
        }
        for (const id of held) {
          expect(planned.decisions.find(({ snapshotId }) => snapshotId === id)?.decision).toBe("keep");
        }
        expect([...good.values()].every(isThere)).toBe(true);
      }
      await prune({ keepLast: 1 });
      await expectWhole();
      expect((await plan({ keepLast: 1 })).erasures).toEqual([]);
    }),
    { numRuns: process.env.MAILARK_LONG ? 1000 : 40 },
  );
});
