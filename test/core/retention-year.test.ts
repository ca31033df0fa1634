import { describe, expect, test } from "vitest";
import { planRetention } from "../../core/retention.ts";
import type { RetentionPolicyInput } from "../../core/retention-policy.ts";
import type { RetentionSnapshot } from "../../core/retention-rules.ts";

const hour = 3_600_000;

/** Good snapshots every `everyHours` from one time of UTC to another, both included. */
function series(from: string, to: string, everyHours: number): RetentionSnapshot[] {
  const snapshots: RetentionSnapshot[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += everyHours * hour) {
    const snapshotId = new Date(at).toISOString().slice(0, 13);
    snapshots.push({ hostId: "h", component: "mail", snapshotId, receivedAt: at, state: "good", needs: [] });
  }
  return snapshots;
}

function decisionsOn(now: string, snapshots: readonly RetentionSnapshot[], policy: RetentionPolicyInput) {
  const plan = planRetention({ snapshots, unreadable: [], packs: [] }, policy, { now: Date.parse(now) });
  return plan.hosts.flatMap(({ decisions }) => decisions);
}

/** One line for each snapshot that is kept: `2026-11-21T18  daily weekly`. */
function table(now: string, snapshots: readonly RetentionSnapshot[], policy: RetentionPolicyInput): string {
  const rows = decisionsOn(now, snapshots, policy)
    .filter(({ decision }) => decision === "keep")
    .map(({ snapshotId, reasons }) => `${snapshotId}  ${reasons.map(({ rule }) => rule).join(" ")}`);
  return `\n${rows.join("\n")}\n`;
}

describe("a year of snapshots, one every six hours", () => {
  const now = "2026-11-21T20:00:00Z";
  const year = series("2025-11-21T00:00:00Z", "2026-11-21T18:00:00Z", 6);
  const policy = { daily: 7, weekly: 4, monthly: 12, yearly: 2 };

  test("fills every bucket that the policy asks for, with the newest snapshot in it", () => {
    const counts: Record<string, number> = {};
    for (const { reasons } of decisionsOn(now, year, policy)) {
      for (const { rule } of reasons) counts[rule] = (counts[rule] ?? 0) + 1;
    }
    expect(year).toHaveLength(1464);
    expect(counts).toMatchObject({ daily: 7, weekly: 4, monthly: 12, yearly: 2, base: 9, "last-good": 1 });
  });

  test("leaves what a person would expect", () => {
    expect(table(now, year, policy)).toBe(`
2026-11-21T18  last-good daily weekly monthly yearly base
2026-11-21T12  base
2026-11-21T06  base
2026-11-21T00  base
2026-11-20T18  daily base
2026-11-20T12  base
2026-11-20T06  base
2026-11-20T00  base
2026-11-19T18  daily base
2026-11-18T18  daily
2026-11-17T18  daily
2026-11-16T18  daily
2026-11-15T18  daily weekly
2026-11-08T18  weekly
2026-11-01T18  weekly
2026-10-31T18  monthly
2026-09-30T18  monthly
2026-08-31T18  monthly
2026-07-31T18  monthly
2026-06-30T18  monthly
2026-05-31T18  monthly
2026-04-30T18  monthly
2026-03-31T18  monthly
2026-02-28T18  monthly
2026-01-31T18  monthly
2025-12-31T18  monthly yearly
`);
  });

  test("keeps less of it under a legal maximum of 90 days", () => {
    expect(table(now, year, { weekly: 2, monthly: 12, yearly: 2, maximumAgeDays: 90 })).toBe(`
2026-11-21T18  last-good weekly monthly yearly base
2026-11-21T12  base
2026-11-21T06  base
2026-11-21T00  base
2026-11-20T18  base
2026-11-20T12  base
2026-11-20T06  base
2026-11-20T00  base
2026-11-19T18  base
2026-11-15T18  weekly
2026-10-31T18  monthly
2026-09-30T18  monthly
2026-08-31T18  monthly
`);
  });
});

describe("a host that fell silent half a year ago", () => {
  const silent = series("2026-01-01T00:00:00Z", "2026-05-20T18:00:00Z", 6);

  test("keeps its last days, weeks and months, because nothing newer came", () => {
    expect(table("2026-11-21T20:00:00Z", silent, { daily: 3, weekly: 2, monthly: 3 })).toBe(`
2026-05-20T18  last-good daily weekly monthly base
2026-05-19T18  daily
2026-05-18T18  daily
2026-05-17T18  weekly
2026-04-30T18  monthly
2026-03-31T18  monthly
`);
  });

  test("keeps its last good snapshot alone once all of it is past the legal maximum", () => {
    expect(table("2026-11-21T20:00:00Z", silent, { daily: 3, weekly: 2, monthly: 3, maximumAgeDays: 30 })).toBe(`
2026-05-20T18  last-good maximum-age
`);
  });
});

describe("a host that sends garbage since it was captured three weeks ago", () => {
  const good = series("2026-10-01T00:00:00Z", "2026-10-31T00:00:00Z", 24);
  const garbage = series("2026-11-01T00:00:00Z", "2026-11-21T18:00:00Z", 6).map((snapshot) => {
    return { ...snapshot, state: "bad" as const };
  });

  test("pushes none of its good snapshots out", () => {
    const now = "2026-11-21T20:00:00Z";
    const goodOnes = (text: string) => text.split("\n").filter((line) => line.startsWith("2026-10"));
    expect(goodOnes(table(now, [...good, ...garbage], { daily: 3, weekly: 2 }))).toEqual([
      "2026-10-31T00  last-good daily weekly base",
      "2026-10-30T00  daily",
      "2026-10-29T00  daily",
      "2026-10-25T00  weekly",
    ]);
    expect(goodOnes(table(now, good, { daily: 3, weekly: 2 }))).toHaveLength(4);
  });
});
