import { describe, expect, test } from "vitest";
import { parseRetentionPolicy, type RetentionPolicyInput, rulesFor } from "../../core/retention-policy.ts";
import { explainReason, type Reason } from "../../core/retention-reason.ts";
import { decideComponent, type RetentionSnapshot } from "../../core/retention-rules.ts";

const now = Date.parse("2026-11-21T12:00:00Z");

type Written = Partial<RetentionSnapshot> & { readonly at: string };

/** A snapshot received `at` that time of UTC, and named after it. */
function snapshot({ at, ...rest }: Written): RetentionSnapshot {
  const receivedAt = Date.parse(at.length > 10 ? `${at}Z` : `${at}T00:00:00Z`);
  return { hostId: "h", component: "mail", snapshotId: at, receivedAt, state: "good", needs: [], ...rest };
}

/** What is kept, each with its rules: `2026-11-20: daily weekly`. */
function kept(policy: RetentionPolicyInput, written: readonly Written[]): string[] {
  return decide(policy, written)
    .filter(({ decision }) => decision === "keep")
    .map(({ snapshotId, reasons }) => `${snapshotId}: ${reasons.map(({ rule }) => rule).join(" ")}`);
}

function decide(policy: RetentionPolicyInput, written: readonly Written[]) {
  return decideComponent(written.map(snapshot), rulesFor(parseRetentionPolicy(policy), "mail"), now);
}

describe("buckets", () => {
  test("keep their newest good snapshot, and count only days that have one", () => {
    expect(
      kept({ daily: 3 }, [
        { at: "2026-11-18T18:00" },
        { at: "2026-11-18T06:00" },
        { at: "2026-10-02T23:59" },
        { at: "2026-10-02T00:00" },
        { at: "2026-09-30T12:00" },
        { at: "2026-09-29T12:00" },
      ]),
    ).toEqual(["2026-11-18T18:00: last-good daily base", "2026-10-02T23:59: daily", "2026-09-30T12:00: daily"]);
  });

  test("prefer a good snapshot to a newer partial one", () => {
    expect(
      kept({ daily: 2 }, [
        { at: "2026-11-17T18:00" },
        { at: "2026-11-12T18:00", state: "partial" },
        { at: "2026-11-12T06:00" },
        { at: "2026-11-12T00:00" },
      ]),
    ).toEqual(["2026-11-17T18:00: last-good daily base", "2026-11-12T06:00: daily"]);
  });

  test("keep the newest partial snapshot where none is good", () => {
    expect(
      kept({ daily: 2 }, [
        { at: "2026-11-17" },
        { at: "2026-11-12T18:00", state: "partial" },
        { at: "2026-11-12T06:00", state: "partial" },
        { at: "2026-11-12T20:00", state: "bad", snapshotId: "bad" },
      ]).at(-1),
    ).toBe("2026-11-12T18:00: daily");
  });

  test("are not filled by bad and unverified snapshots", () => {
    expect(
      kept({ daily: 1 }, [
        { at: "2026-10-20", state: "bad" },
        { at: "2026-10-19", state: "unverified" },
        { at: "2026-10-18" },
      ]),
    ).toEqual(["2026-10-19: unverified", "2026-10-18: last-good daily base"]);
  });

  test("of partial snapshots push no good one out, however many they are", () => {
    const partial = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"].map(
      (at) => ({ at, state: "partial" }) as const,
    );
    expect(kept({ daily: 2 }, [...partial, { at: "2026-10-31" }, { at: "2026-10-30" }, { at: "2026-10-29" }])).toEqual([
      "2026-11-04: daily base",
      "2026-11-03: daily",
      "2026-10-31: last-good daily base",
      "2026-10-30: daily",
    ]);
  });

  test("are named in UTC, with ISO weeks that belong to the year of their Thursday", () => {
    const bucketsOf = (at: string) =>
      decide({ hourly: 1, daily: 1, weekly: 1, monthly: 1, yearly: 1 }, [{ at }])[0]?.reasons.flatMap((reason) =>
        "bucket" in reason ? [reason.bucket] : [],
      );
    expect(bucketsOf("2024-12-30T23:59")).toEqual(["2024-12-30T23Z", "2024-12-30", "2025-W01", "2024-12", "2024"]);
    expect(bucketsOf("2021-01-03T00:00")).toEqual(["2021-01-03T00Z", "2021-01-03", "2020-W53", "2021-01", "2021"]);
    expect(bucketsOf("2026-01-05T00:00")?.[2]).toBe("2026-W02");
  });
});

describe("keepLast", () => {
  test("counts good snapshots, so that neither garbage nor partial ones push them out", () => {
    expect(
      kept({ keepLast: 2 }, [
        { at: "2026-10-09", state: "bad" },
        { at: "2026-10-08", state: "partial" },
        { at: "2026-10-07" },
        { at: "2026-10-06", state: "partial" },
        { at: "2026-10-05" },
        { at: "2026-10-04" },
      ]),
    ).toEqual(["2026-10-08: last base", "2026-10-07: last-good last base", "2026-10-05: last"]);
  });
});

describe("keepWithinDays", () => {
  test("keeps everything that is younger, in whatever state", () => {
    expect(
      kept({ keepWithinDays: 30 }, [
        { at: "2026-10-31" },
        { at: "2026-10-25", state: "partial" },
        { at: "2026-10-23", state: "bad" },
        { at: "2026-10-22T12:00" },
        { at: "2026-10-20" },
      ]),
    ).toEqual(["2026-10-31: last-good within base", "2026-10-25: within", "2026-10-23: within"]);
  });
});

describe("the safety rules", () => {
  test("keep the last good snapshot, however much came after it", () => {
    expect(
      kept({ keepLast: 1 }, [
        { at: "2026-11-01", state: "bad" },
        { at: "2026-10-31", state: "bad" },
        { at: "2020-01-01" },
        { at: "2019-01-01" },
      ]),
    ).toEqual(["2020-01-01: last-good last base"]);
  });

  test.each([
    ["partial", ["partial", "unverified", "bad"]],
    ["unverified", ["unverified", "bad"]],
    ["bad", ["bad"]],
  ] as const)("keep the newest %s snapshot of a component that has nothing better", (best, states) => {
    const written = states.flatMap((state) => [
      { at: "2020-02-02", snapshotId: `new ${state}`, state },
      { at: "2020-01-01", snapshotId: `old ${state}`, state },
    ]);
    expect(kept({ keepLast: 1, maximumAgeDays: 30 }, written)).toEqual([`new ${best}: last-resort maximum-age`]);
  });

  test("keep the newest snapshot that a drill restored, by its receipt and not by the day of the drill", () => {
    const written = [
      { at: "2026-11-01" },
      { at: "2026-05-02", drilledAt: Date.parse("2026-05-03") },
      { at: "2026-05-01", drilledAt: Date.parse("2026-11-20") },
    ];
    expect(kept({ keepLast: 1 }, written)).toEqual(["2026-11-01: last-good last base", "2026-05-02: drilled"]);
  });

  test("prefer a drilled snapshot that is still intact to a newer one that has become bad since", () => {
    const bad = { at: "2026-05-02", drilledAt: 1, state: "bad" } as const;
    const intact = { at: "2026-05-01", drilledAt: 1 };
    expect(kept({ keepLast: 1 }, [{ at: "2026-11-01" }, bad, intact])).toContain("2026-05-01: drilled");
    expect(kept({ keepLast: 1 }, [{ at: "2026-11-01" }, bad])).toContain("2026-05-02: drilled");
  });

  test("keep what was the newest within the last two days, because a run under way may build on it", () => {
    expect(
      kept({ keepLast: 1 }, [
        { at: "2026-11-21T06:00" },
        { at: "2026-11-20T06:00" },
        { at: "2026-11-19T12:01", state: "partial" },
        { at: "2026-11-19T11:00", state: "partial" },
        { at: "2026-11-19T10:00", state: "partial" },
        { at: "2026-11-18" },
        { at: "2026-11-17" },
      ]),
    ).toEqual([
      "2026-11-21T06:00: last-good last base",
      "2026-11-20T06:00: base",
      "2026-11-19T12:01: base",
      "2026-11-19T11:00: base",
      "2026-11-18: base",
    ]);
  });

  test("keep what is not verified yet", () => {
    const written = [{ at: "2026-11-01" }, { at: "2026-06-01", state: "unverified" }] as const;
    expect(kept({ keepLast: 1 }, written)).toContain("2026-06-01: unverified");
  });

  test("keep a bad snapshot for 14 days from its receipt, or from the verdict if that came later", () => {
    expect(
      kept({ keepLast: 1 }, [
        { at: "2026-11-21" },
        { at: "2026-11-07T12:01", state: "bad" },
        { at: "2026-11-07T12:00", state: "bad" },
        { at: "2026-05-02", state: "bad", judgedAt: Date.parse("2026-11-20") },
        { at: "2026-05-01", state: "bad", judgedAt: Date.parse("2026-05-01") },
      ]),
    ).toEqual(["2026-11-21: last-good last base", "2026-11-07T12:01: evidence", "2026-05-02: evidence"]);
  });
});

describe("the maximum age", () => {
  const everything = { keepLast: 100, daily: 100, yearly: 10, maximumAgeDays: 30 };

  test("wins over every rule of the policy, and over what is unverified or evidence", () => {
    expect(
      kept(everything, [
        { at: "2026-11-21" },
        { at: "2026-10-22T12:00" },
        { at: "2026-10-22T11:59" },
        { at: "2026-10-01", state: "unverified" },
        { at: "2026-10-02", state: "bad", judgedAt: now },
        { at: "2025-06-01" },
      ]),
    ).toEqual(["2026-11-21: last-good last daily yearly base", "2026-10-22T12:00: last daily base"]);
  });

  test("loses against a legal hold, the last good snapshot and the newest drilled one, with a warning that says so", () => {
    const decisions = decide(everything, [
      { at: "2026-03-03" },
      { at: "2026-02-02", drilledAt: 1 },
      { at: "2026-01-01", state: "bad", holds: ["case 7", "case 9"] },
    ]);
    expect(decisions.map(({ decision, reasons }) => [decision, ...reasons.map(explainReason)])).toEqual([
      [
        "keep",
        "last good snapshot of this component",
        "kept beyond the maximum of 30 days: it is the last good snapshot; take a new one, or remove the component for good",
      ],
      [
        "keep",
        "newest snapshot that a drill restored, on 1970-01-01",
        "kept beyond the maximum of 30 days: it is the newest one that a drill restored; run a drill on a newer one",
      ],
      [
        "keep",
        'legal hold "case 7"',
        'legal hold "case 9"',
        "kept beyond the maximum of 30 days: a legal hold covers it",
      ],
    ]);
  });
});

describe("a snapshot from the future", () => {
  test("is kept, takes no place and no bucket, and is not the last good one", () => {
    expect(
      kept({ keepLast: 1, yearly: 1, maximumAgeDays: 3650 }, [
        { at: "2099-01-01", drilledAt: 1 },
        { at: "2026-11-21T12:00:01" },
        { at: "2026-11-01", drilledAt: 1 },
        { at: "2026-10-01" },
      ]),
    ).toEqual(["2099-01-01: clock", "2026-11-21T12:00:01: clock", "2026-11-01: last-good drilled last yearly base"]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1])(
    "is what a receipt time of %s counts as",
    (receivedAt) => {
      const written = [{ at: "2026-11-01" }, { at: "2026-10-01", receivedAt }, { at: "2026-09-01" }];
      expect(kept({ keepLast: 1, maximumAgeDays: 3000 }, written)).toEqual([
        "2026-10-01: clock",
        "2026-11-01: last-good last base",
      ]);
    },
  );
});

describe("a reason", () => {
  const reasons: Reason[] = [
    { rule: "hold", hold: "case 7" },
    { rule: "last-good" },
    { rule: "last-resort" },
    { rule: "drilled", drilledAt: 0 },
    { rule: "clock" },
    { rule: "base" },
    { rule: "unverified" },
    { rule: "evidence" },
    { rule: "within", days: 7 },
    { rule: "last", place: 3 },
    { rule: "weekly", bucket: "2026-W47" },
    { rule: "maximum-age", days: 365 },
    { rule: "bad" },
    { rule: "no-rule" },
    { rule: "withheld" },
  ];

  test("of every rule reads as half a sentence", () => {
    const sentences = reasons.map(explainReason);
    for (const sentence of sentences) expect(sentence).toMatch(/^[a-z].*[^.]$/);
    expect(new Set(sentences).size).toBe(reasons.length);
    expect(sentences).toContain("weekly snapshot of 2026-W47");
  });
});
