import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Inventory, planRetention } from "../../core/retention.ts";
import type { RetentionPolicyInput } from "../../core/retention-policy.ts";
import type { RetentionSnapshot } from "../../core/retention-rules.ts";

const hour = 3_600_000;
const day = 24 * hour;
const now = Date.parse("2026-11-21T12:00:00Z");
const packKeys = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
const states = ["good", "partial", "bad", "unverified"] as const;

/** Ages lie on a coarse grid, so that receipt times and buckets collide. */
const snapshotArbitrary = (minimumAgeHours = 0): fc.Arbitrary<RetentionSnapshot> =>
  fc
    .record({
      ageHours: fc.oneof(
        fc.integer({ min: minimumAgeHours, max: 80 }),
        fc.integer({ min: 0, max: 200 }).map((n) => n * 12),
      ),
      state: fc.constantFrom(...states),
      number: fc.integer({ min: 0, max: 1e6 }),
      component: fc.constantFrom("mail", "mysql"),
      drilled: fc.boolean(),
      held: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      needs: fc.subarray(packKeys),
    })
    .map(({ ageHours, state, number, component, drilled, held, needs }) => ({
      ...{ hostId: "h", component, snapshotId: `s${number}`, receivedAt: now - ageHours * hour, state, needs },
      ...(drilled && state !== "unverified" ? { drilledAt: now } : {}),
      ...(held ? { holds: ["case"] } : {}),
    }));

const snapshotsArbitrary = (minimumAgeHours?: number) =>
  fc.uniqueArray(snapshotArbitrary(minimumAgeHours), {
    maxLength: 40,
    selector: ({ component, snapshotId }) => `${component}/${snapshotId}`,
  });

const count = fc.integer({ min: 0, max: 4 });

/** No share limit: it is not what these properties are about. */
const policyArbitrary: fc.Arbitrary<RetentionPolicyInput> = fc
  .record({
    keepLast: fc.integer({ min: 1, max: 4 }),
    ...{ hourly: count, daily: count, weekly: count, monthly: count, yearly: count },
    keepWithinDays: fc.integer({ min: 0, max: 10 }),
    maximumAgeDays: fc.option(fc.integer({ min: 10, max: 60 }), { nil: undefined }),
  })
  .map((policy) => ({ ...policy, maximumExpireShare: 1 }));

const packs = packKeys.map((key) => ({ hostId: "h", key, bytes: 10, receivedAt: now - 30 * day }));

const planOf = (snapshots: readonly RetentionSnapshot[], policy: RetentionPolicyInput, at = now) =>
  planRetention({ snapshots, unreadable: [], packs }, policy, { now: at });

const nameOf = ({ component, snapshotId }: { component: string; snapshotId: string }) => `${component}/${snapshotId}`;

function keptNames(snapshots: readonly RetentionSnapshot[], policy: RetentionPolicyInput, at = now): Set<string> {
  const decisions = planOf(snapshots, policy, at).hosts.flatMap((host) => host.decisions);
  return new Set(decisions.filter(({ decision }) => decision === "keep").map(nameOf));
}

function keptOf(snapshots: readonly RetentionSnapshot[], policy: RetentionPolicyInput, at = now): RetentionSnapshot[] {
  const names = keptNames(snapshots, policy, at);
  return snapshots.filter((snapshot) => names.has(nameOf(snapshot)));
}

const newer = (a: RetentionSnapshot, b: RetentionSnapshot) =>
  a.receivedAt > b.receivedAt || (a.receivedAt === b.receivedAt && a.snapshotId > b.snapshotId);

function newestOf(snapshots: readonly RetentionSnapshot[]): RetentionSnapshot | undefined {
  return snapshots.reduce<RetentionSnapshot | undefined>((best, s) => (best && newer(best, s) ? best : s), undefined);
}

const components = (snapshots: readonly RetentionSnapshot[]) => [
  ...Map.groupBy(snapshots, (s) => s.component).values(),
];

const holds = (property: (snapshots: RetentionSnapshot[], policy: RetentionPolicyInput) => void) =>
  fc.assert(fc.property(snapshotsArbitrary(), policyArbitrary, property), { numRuns: 400 });

const without = (names: ReadonlySet<string>, other: ReadonlySet<string>) =>
  [...names].filter((name) => !other.has(name));

describe("whatever the snapshots and the policy", () => {
  test("the last good snapshot of every component is kept", () => {
    holds((snapshots, policy) => {
      for (const ofOne of components(snapshots)) {
        const last = newestOf(ofOne.filter(({ state }) => state === "good"));
        if (last) expect(keptOf(snapshots, policy)).toContain(last);
      }
    });
  });

  test("no component loses all of its snapshots", () => {
    holds((snapshots, policy) => {
      expect(components(keptOf(snapshots, policy)).length).toBe(components(snapshots).length);
    });
  });

  test("the newest drilled snapshot that is not bad is kept", () => {
    holds((snapshots, policy) => {
      for (const ofOne of components(snapshots)) {
        const proof = newestOf(ofOne.filter(({ state, drilledAt }) => state !== "bad" && drilledAt !== undefined));
        if (proof) expect(keptOf(snapshots, policy)).toContain(proof);
      }
    });
  });

  test("what is held is kept", () => {
    holds((snapshots, policy) => {
      const kept = keptNames(snapshots, policy);
      for (const snapshot of snapshots) if (snapshot.holds) expect(kept).toContain(nameOf(snapshot));
    });
  });

  test("nothing beyond the maximum age is kept without a warning", () => {
    holds((snapshots, policy) => {
      const byName = new Map(snapshots.map((snapshot) => [nameOf(snapshot), snapshot]));
      for (const decision of planOf(snapshots, policy).hosts.flatMap((host) => host.decisions)) {
        const age = now - byName.get(nameOf(decision))!.receivedAt;
        const isTooOld = age > (policy.maximumAgeDays ?? Number.POSITIVE_INFINITY) * day;
        const warnings = decision.reasons.filter((reason) => "warning" in reason);
        expect(warnings).toHaveLength(isTooOld && decision.decision === "keep" ? 1 : 0);
      }
    });
  });

  test("every snapshot has one decision, with reasons", () => {
    holds((snapshots, policy) => {
      const decisions = planOf(snapshots, policy).hosts.flatMap((host) => host.decisions);
      expect(decisions.map(nameOf).sort()).toEqual(snapshots.map(nameOf).sort());
      for (const { reasons } of decisions) expect(reasons.length).toBeGreaterThan(0);
    });
  });

  test("no expired pack and no orphan is needed by a snapshot that is kept, and every other pack is", () => {
    holds((snapshots, policy) => {
      const needed = new Set(keptOf(snapshots, policy).flatMap(({ needs }) => needs));
      const gone = planOf(snapshots, policy).hosts.flatMap((host) => [...host.expiredPacks, ...host.orphans]);
      expect(gone.toSorted()).toEqual(packKeys.filter((key) => !needed.has(key)));
    });
  });

  test("the order of the input is irrelevant", () => {
    const misdate = (snapshots: RetentionSnapshot[]) =>
      snapshots.map((snapshot, n) => (n % 5 === 0 ? { ...snapshot, receivedAt: Number.NaN } : snapshot));
    const shuffled = snapshotsArbitrary()
      .map(misdate)
      .chain((snapshots) =>
        fc.tuple(fc.constant(snapshots), fc.shuffledSubarray(snapshots, { minLength: snapshots.length })),
      );
    fc.assert(
      fc.property(shuffled, policyArbitrary, ([snapshots, other], policy) => {
        const inventory = { snapshots: other, unreadable: [], packs: packs.toReversed() };
        expect(planRetention(inventory, policy, { now })).toEqual(planOf(snapshots, policy));
      }),
    );
  });

  test("a plan of what was kept keeps all of it", () => {
    holds((snapshots, policy) => {
      const kept = keptOf(snapshots, policy);
      expect(keptOf(kept, policy)).toEqual(kept);
    });
  });

  test("hosts planned together are decided as if each were planned alone", () => {
    fc.assert(
      fc.property(snapshotsArbitrary(), snapshotsArbitrary(), policyArbitrary, (one, two, policy) => {
        const other = two.map((snapshot) => ({ ...snapshot, hostId: "x" }));
        const alone = [...planOf(one, policy).hosts, ...planRetention(inventoryOf(other), policy, { now }).hosts];
        const together = planOf([...one, ...other], policy).hosts;
        expect(together).toEqual(alone);
      }),
    );
  });
});

const inventoryOf = (snapshots: readonly RetentionSnapshot[]): Inventory => ({ snapshots, unreadable: [], packs: [] });

describe("when one snapshot is added", () => {
  const withOneMore = (added: fc.Arbitrary<RetentionSnapshot>) =>
    fc
      .tuple(snapshotsArbitrary(), added)
      .map(([snapshots, snapshot]) => ({ snapshots, added: { ...snapshot, snapshotId: `t${snapshot.snapshotId}` } }));

  const lost = (snapshots: RetentionSnapshot[], added: RetentionSnapshot, policy: RetentionPolicyInput) => {
    const names = new Set(without(keptNames(snapshots, policy), keptNames([...snapshots, added], policy)));
    return snapshots.filter((snapshot) => names.has(nameOf(snapshot)));
  };

  test("a bad one pushes out nothing but another bad one", () => {
    const bad = snapshotArbitrary().map((s): RetentionSnapshot => ({ ...s, state: "bad" }));
    fc.assert(
      fc.property(withOneMore(bad), policyArbitrary, ({ snapshots, added }, policy) => {
        for (const { state } of lost(snapshots, added, policy)) expect(state).toBe("bad");
      }),
      { numRuns: 400 },
    );
  });

  test("an unverified one pushes out nothing that is good or partial", () => {
    const unverified = snapshotArbitrary().map(({ drilledAt: _, ...s }): RetentionSnapshot => {
      return { ...s, state: "unverified" };
    });
    fc.assert(
      fc.property(withOneMore(unverified), policyArbitrary, ({ snapshots, added }, policy) => {
        for (const { state } of lost(snapshots, added, policy)) expect(["bad", "unverified"]).toContain(state);
      }),
      { numRuns: 400 },
    );
  });

  test("a partial one that no drill restored pushes out nothing that is good", () => {
    const partial = snapshotArbitrary().map(
      ({ drilledAt: _, ...s }): RetentionSnapshot => ({ ...s, state: "partial" }),
    );
    fc.assert(
      fc.property(withOneMore(partial), policyArbitrary, ({ snapshots, added }, policy) => {
        for (const { state } of lost(snapshots, added, policy)) expect(state).not.toBe("good");
      }),
      { numRuns: 400 },
    );
  });

  test("one from the future changes no other decision", () => {
    const future = fc.tuple(snapshotArbitrary(), fc.integer({ min: 1, max: 1e13 })).map(([s, ahead]) => {
      return { ...s, receivedAt: now + ahead };
    });
    fc.assert(
      fc.property(withOneMore(future), policyArbitrary, ({ snapshots, added }, policy) => {
        const decisions = planOf([...snapshots, added], policy).hosts.flatMap((host) => host.decisions);
        const others = decisions.filter((decision) => nameOf(decision) !== nameOf(added));
        expect(others).toEqual(planOf(snapshots, policy).hosts.flatMap((host) => host.decisions));
      }),
    );
  });

  test("each rule lets go of one good and one partial snapshot at most", () => {
    const keptBy = (snapshots: readonly RetentionSnapshot[], policy: RetentionPolicyInput) => {
      const byRule = new Map<string, Set<string>>();
      for (const decision of planOf(snapshots, policy).hosts.flatMap((host) => host.decisions)) {
        for (const { rule } of decision.decision === "keep" ? decision.reasons : []) {
          byRule.set(rule, (byRule.get(rule) ?? new Set()).add(nameOf(decision)));
        }
      }
      byRule.delete("maximum-age");
      return byRule;
    };
    const newest = snapshotArbitrary().map((s): RetentionSnapshot => ({ ...s, receivedAt: now, state: "good" }));
    fc.assert(
      fc.property(withOneMore(newest), policyArbitrary, ({ snapshots, added }, policy) => {
        const after = keptBy([...snapshots, added], policy);
        const stateOf = new Map(snapshots.map((snapshot) => [nameOf(snapshot), snapshot.state]));
        for (const [rule, before] of keptBy(snapshots, policy)) {
          const states = without(before, after.get(rule) ?? new Set()).map((name) => stateOf.get(name));
          expect(states.length).toBe(new Set(states).size);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe("when the policy becomes more generous", () => {
  test("nothing expires that was kept", () => {
    fc.assert(
      fc.property(snapshotsArbitrary(), policyArbitrary, policyArbitrary, (snapshots, policy, extra) => {
        const sum = (a: number | undefined, b: number | undefined) => (a ?? 0) + (b ?? 0);
        const generous: RetentionPolicyInput = {
          keepLast: sum(policy.keepLast, extra.keepLast),
          hourly: sum(policy.hourly, extra.hourly),
          daily: sum(policy.daily, extra.daily),
          weekly: sum(policy.weekly, extra.weekly),
          monthly: sum(policy.monthly, extra.monthly),
          yearly: sum(policy.yearly, extra.yearly),
          keepWithinDays: policy.keepWithinDays,
          maximumAgeDays: policy.maximumAgeDays && extra.maximumAgeDays && policy.maximumAgeDays + extra.maximumAgeDays,
        };
        expect(
          without(keptNames(snapshots, policy), keptNames(snapshots, { ...generous, maximumExpireShare: 1 })),
        ).toEqual([]);
      }),
    );
  });
});

describe("as time goes by", () => {
  test("nothing that expired would be kept again", () => {
    fc.assert(
      fc.property(snapshotsArbitrary(), policyArbitrary, fc.nat(5000), (snapshots, policy, hours) => {
        const later = keptNames(snapshots, policy, now + hours * hour);
        expect(without(later, keptNames(snapshots, policy))).toEqual([]);
      }),
    );
  });

  test("pruning at any moments on the way leaves what pruning once at the end leaves", () => {
    const moments = fc.array(fc.integer({ min: 0, max: 2400 }), { maxLength: 12 });
    fc.assert(
      fc.property(snapshotsArbitrary(), policyArbitrary, moments, (snapshots, policy, hoursAgo) => {
        let stored: RetentionSnapshot[] = [];
        let since = Number.NEGATIVE_INFINITY;
        for (const moment of [...hoursAgo.map((hours) => now - hours * hour).sort((a, b) => a - b), now]) {
          const arrived = snapshots.filter(({ receivedAt }) => receivedAt > since && receivedAt <= moment);
          stored = keptOf([...stored, ...arrived], policy, moment);
          since = moment;
        }
        expect(new Set(stored.map(nameOf))).toEqual(keptNames(snapshots, policy));
      }),
      { numRuns: 400 },
    );
  });
});
