import { describe, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { type Inventory, planRetention } from "../../core/retention.ts";
import type { RetentionSnapshot } from "../../core/retention-rules.ts";

const now = Date.parse("2026-11-21T12:00:00Z");
const day = 24 * 3_600_000;

function snapshot(snapshotId: string, ageDays: number, rest: Partial<RetentionSnapshot> = {}): RetentionSnapshot {
  return {
    ...{ hostId: "h", component: "mail", snapshotId, receivedAt: now - ageDays * day, state: "good", needs: [] },
    ...rest,
  };
}

function pack(key: string, { bytes = 100, ageDays = 100, hostId = "h" } = {}) {
  return { hostId, key, bytes, receivedAt: now - ageDays * day };
}

function plan(inventory: Partial<Inventory>, policy: Parameters<typeof planRetention>[1] = { keepLast: 1 }) {
  const { hosts } = planRetention({ snapshots: [], unreadable: [], packs: [], ...inventory }, policy, { now });
  return hosts;
}

describe("a pack", () => {
  const snapshots = [
    snapshot("new", 10, { needs: ["shared", "new only"] }),
    snapshot("old", 20, { needs: ["shared", "old only"] }),
  ];
  const packs = [pack("shared"), pack("new only"), pack("old only")];

  test("expires when only expiring snapshots list it", () => {
    const [host] = plan({ snapshots, packs });
    expect(host).toMatchObject({ state: "ready", expiredPacks: ["old only"], orphans: [], bytes: 300 });
    expect(host?.proposed).toEqual({ snapshots: 1, packs: 1, bytes: 100 });
  });

  test("stays when a held snapshot lists it", () => {
    const held = snapshot("old", 20, { needs: ["shared", "old only"], holds: ["case 7"] });
    expect(plan({ snapshots: [snapshots[0]!, held], packs })[0]).toMatchObject({ state: "ready", expiredPacks: [] });
  });

  test("stays when a snapshot of another component lists it", () => {
    const other = snapshot("other", 30, { component: "mysql", needs: ["old only"] });
    expect(plan({ snapshots: [...snapshots, other], packs })[0]).toMatchObject({ state: "ready", expiredPacks: [] });
  });

  test("is not held by a snapshot of another host, which has no business naming it", () => {
    const foreign = snapshot("foreign", 1, { hostId: "x", needs: ["old only"] });
    const [host, other] = plan({ snapshots: [...snapshots, foreign], packs });
    expect(host?.expiredPacks).toEqual(["old only"]);
    expect(other).toMatchObject({ hostId: "x", expiredPacks: [], orphans: [] });
  });

  test("is not expired when the store does not have it", () => {
    expect(plan({ snapshots, packs: packs.slice(0, 2) })[0]).toMatchObject({ state: "ready", expiredPacks: [] });
  });

  test("counts once when a listing names it twice", () => {
    const [host] = plan({ snapshots, packs: [...packs, ...packs] });
    expect(host).toMatchObject({ bytes: 300, expiredPacks: ["old only"] });
  });
});

describe("an orphan, which no snapshot lists", () => {
  const snapshots = [snapshot("new", 1, { needs: ["kept"] })];

  test("expires when it was received more than 14 days ago", () => {
    const packs = [pack("kept", { bytes: 1000 }), pack("left", { ageDays: 15 }), pack("young", { ageDays: 14 })];
    expect(plan({ snapshots, packs })[0]).toMatchObject({ state: "ready", expiredPacks: [], orphans: ["left"] });
  });

  test("stays when its receipt time is ahead of the present or is none", () => {
    const packs = [
      pack("kept", { bytes: 1000 }),
      pack("future", { ageDays: -400 }),
      pack("none", { ageDays: Number.NaN }),
    ];
    expect(plan({ snapshots, packs })[0]?.orphans).toEqual([]);
  });

  test("counts towards the share limit, for vanished manifests would make orphans of everything", () => {
    expect(plan({ packs: [pack("all that there is")] })[0]).toMatchObject({ state: "refused", orphans: [] });
  });
});

describe("a manifest that cannot be read", () => {
  const snapshots = [snapshot("new", 10, { needs: ["a"] }), snapshot("old", 20, { needs: ["b"] })];
  const packs = [pack("a", { bytes: 1000 }), pack("b"), pack("orphan")];
  const unreadable = [
    { hostId: "h", component: "mysql", snapshotId: "2026-09" },
    { hostId: "h", component: "mail", snapshotId: "2026-08" },
  ] as const;

  test("stops every expiry of its host, in all components, and says which it is", () => {
    const [host] = plan({ snapshots, packs, unreadable });
    expect(host).toMatchObject({ state: "stopped", expiredPacks: [], orphans: [] });
    expect(host?.why).toMatch(/^manifest of mail\/2026-08 and 1 more cannot be read/);
    expect(host?.decisions.map(({ decision }) => decision)).toEqual(["keep", "keep"]);
    expect(host?.proposed).toEqual({ snapshots: 1, packs: 2, bytes: 200 });
  });

  test("leaves the reasons visible for which a snapshot would have expired", () => {
    const [host] = plan({ snapshots, packs, unreadable });
    expect(host?.decisions[1]).toMatchObject({
      snapshotId: "old",
      reasons: [{ rule: "withheld" }, { rule: "no-rule" }],
    });
  });

  test("does not stop another host", () => {
    const elsewhere = [{ hostId: "x", component: "mail", snapshotId: "2026-08" }] as const;
    const hosts = plan({ snapshots, packs, unreadable: elsewhere });
    expect(hosts.map(({ hostId, state }) => `${hostId} ${state}`)).toEqual(["h ready", "x stopped"]);
  });
});

describe("the share limit", () => {
  const snapshots = [snapshot("new", 10, { needs: ["a"] }), snapshot("old", 20, { needs: ["b"] })];
  const half = [pack("a", { bytes: 500 }), pack("b", { bytes: 500 })];
  const more = [pack("a", { bytes: 499 }), pack("b", { bytes: 501 })];

  test("lets a plan pass that expires just as much as it allows", () => {
    expect(plan({ snapshots, packs: half })[0]).toMatchObject({ state: "ready", expiredPacks: ["b"] });
  });

  test("refuses a plan that would expire more, and nothing in it expires", () => {
    const [host] = plan({ snapshots, packs: more });
    expect(host).toMatchObject({ state: "refused", expiredPacks: [], proposed: { packs: 1, bytes: 501 } });
    expect(host?.why).toBe(
      "would expire 51 % of this host's bytes, more than the 50 % allowed at once: look at the plan and, if it is meant, raise maximumExpireShare for one pass",
    );
    expect(host?.decisions.every(({ decision }) => decision === "keep")).toBe(true);
  });

  test("is the policy's, and 1 switches it off", () => {
    expect(plan({ snapshots, packs: half }, { keepLast: 1, maximumExpireShare: 0.4 })[0]?.state).toBe("refused");
    expect(plan({ packs: [pack("all")] }, { keepLast: 1, maximumExpireShare: 1 })[0]?.orphans).toEqual(["all"]);
  });

  test("refuses when a size is not a number", () => {
    const packs = [pack("a"), pack("b", { bytes: Number.NaN })];
    expect(plan({ snapshots, packs })[0]?.state).toBe("refused");
  });
});

describe("a plan", () => {
  test("follows the rules of each component", () => {
    const snapshots = (["mail", "mysql"] as const).flatMap((component) => [
      snapshot("new", 10, { component }),
      snapshot("old", 20, { component }),
    ]);
    const [host] = plan({ snapshots }, { keepLast: 1, components: { mysql: { keepLast: 2 } } });
    expect(host?.decisions.map((d) => `${d.component} ${d.snapshotId} ${d.decision}`)).toEqual([
      "mail new keep",
      "mail old expire",
      "mysql new keep",
      "mysql old keep",
    ]);
  });

  test("of an empty inventory is empty", () => {
    expect(plan({})).toEqual([]);
  });

  test("is not made of a bad policy", () => {
    expect(() => plan({}, { daily: -7 })).toThrow(MailarkError);
  });

  test("is not made when a snapshot is listed twice, for it would take two places", () => {
    expect(() => plan({ snapshots: [snapshot("a", 1), snapshot("a", 2)] })).toThrow("snapshot mail/a is listed twice");
    expect(plan({ snapshots: [snapshot("a", 1), snapshot("a", 1, { component: "mysql" })] })).toHaveLength(1);
  });
});
