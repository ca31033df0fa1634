/**
 * Which snapshots of one component stay. What wins over what, strongest first:
 *
 * 1. A legal hold, the last good snapshot (without one, the best there is), the newest drilled one. They win over the
 *    maximum age, with a warning: law may order a deletion, but only a person may leave a host without any backup.
 * 2. The maximum age. What cannot be dated, because its receipt time is yet to come, is not too old.
 * 3. Any rule that keeps: the policy's, and those that keep what is unverified, under suspicion, or possibly in use.
 *
 * A span counts the newest so many buckets *that have a snapshot*, not so many back from today: a host that fell silent
 * keeps its history, and only a new snapshot, or the maximum age, makes an old one expire.
 *
 * A bucket keeps its newest good snapshot and only without one its newest partial. A partial bucket takes a place among
 * the newest buckets, but never pushes a good one out: good ones are counted among themselves. Bad and unverified
 * snapshots fill no bucket, so garbage sent by a captured host ages nothing out.
 */
import type { SnapshotAddress } from "./keys.ts";
import type { RetentionRules } from "./retention-policy.ts";
import type { Reason, Span } from "./retention-reason.ts";

const hour = 3_600_000;
const day = 24 * hour;

/** A run may take this long, which is the longest that the controller lets a command run. */
const baseGrace = 48 * hour;
const evidenceGrace = 14 * day;

/** What retention must know of a snapshot. All times are in milliseconds since 1970. */
export interface RetentionSnapshot extends SnapshotAddress {
  /** When the store first received its manifest, by the store's clock; never what the host claims. */
  readonly receivedAt: number;
  /** The newest verdict: `partial` is intact, but known to lack something; `unverified` has no verdict yet. */
  readonly state: "good" | "partial" | "bad" | "unverified";
  /** When this verdict was **first** given; a bad snapshot stays for 14 days from then. Absent: from its receipt. */
  readonly judgedAt?: number;
  /** The newest drill that it passed. Absent: it passed none. */
  readonly drilledAt?: number;
  /** It is the newest of its component by its own time, though not by its receipt: older ones were copied to the store after it. */
  readonly newest?: true;
  /** The legal holds that cover it. */
  readonly holds?: readonly string[];
  /** Keys of all objects that its closure lists, and of the closure itself. */
  readonly needs: readonly string[];
}

/** What becomes of one snapshot, with at least one reason. */
export interface Decision extends SnapshotAddress {
  readonly decision: "keep" | "expire";
  readonly reasons: readonly [Reason, ...Reason[]];
}

/** Decides on all snapshots of one component of one host; newest first, whatever the order they came in. */
export function decideComponent(
  snapshots: readonly RetentionSnapshot[],
  rules: RetentionRules,
  now: number,
): Decision[] {
  const isReceived = ({ receivedAt }: RetentionSnapshot) => receivedAt >= 0 && receivedAt <= now;
  const received = snapshots.filter(isReceived).sort(byNewest);
  const misdated = snapshots.filter((snapshot) => !isReceived(snapshot)).sort(byId);
  const newestFirst = [...misdated, ...received];
  const claims = new Map<RetentionSnapshot, Reason[]>(newestFirst.map((snapshot) => [snapshot, []]));
  const claim = (snapshot: RetentionSnapshot | undefined, reason: Reason) => {
    if (snapshot) claims.get(snapshot)?.push(reason);
  };

  for (const snapshot of newestFirst) {
    for (const hold of snapshot.holds ?? []) claim(snapshot, { rule: "hold", hold });
  }
  for (const snapshot of misdated) claim(snapshot, { rule: "clock" });
  claimSafety(received, claim);
  claimPolicy(received, rules, now, claim);
  claimUndecided(received, now, claim);

  const oldest = now - (rules.maximumAgeDays ?? Number.POSITIVE_INFINITY) * day;
  return newestFirst.map((snapshot) => {
    const isTooOld = isReceived(snapshot) && snapshot.receivedAt < oldest;
    return decide(snapshot, claims.get(snapshot) ?? [], isTooOld ? rules.maximumAgeDays : undefined);
  });
}

type Claim = (snapshot: RetentionSnapshot | undefined, reason: Reason) => void;

/** Of two received in the same millisecond, the one whose id sorts last is the newer. */
function byNewest(a: RetentionSnapshot, b: RetentionSnapshot): number {
  return b.receivedAt - a.receivedAt || byId(a, b);
}

function byId(a: RetentionSnapshot, b: RetentionSnapshot): number {
  return a.snapshotId < b.snapshotId ? 1 : -1;
}

function claimSafety(received: readonly RetentionSnapshot[], claim: Claim): void {
  const newest = (state: RetentionSnapshot["state"]) => received.find((snapshot) => snapshot.state === state);
  const good = newest("good");
  if (good) claim(good, { rule: "last-good" });
  else claim(newest("partial") ?? newest("unverified") ?? newest("bad"), { rule: "last-resort" });

  for (const snapshot of received) if (snapshot.newest) claim(snapshot, { rule: "newest" });

  const drilled = received.filter(({ drilledAt }) => drilledAt !== undefined);
  const proof = drilled.find(({ state }) => state !== "bad") ?? drilled[0];
  claim(proof, { rule: "drilled", drilledAt: proof?.drilledAt ?? 0 });
}

function claimPolicy(received: readonly RetentionSnapshot[], rules: RetentionRules, now: number, claim: Claim): void {
  for (const snapshot of received) {
    if (now - snapshot.receivedAt < rules.keepWithinDays * day) {
      claim(snapshot, { rule: "within", days: rules.keepWithinDays });
    }
  }
  const usable = received.filter(isUsable);
  for (const { snapshot, place } of fill(usable, rules.keepLast, ({ snapshotId }) => snapshotId)) {
    claim(snapshot, { rule: "last", place });
  }
  for (const [span, bucketOf] of Object.entries(buckets) as [Span, (time: Date) => string][]) {
    for (const { snapshot, bucket } of fill(usable, rules[span], (s) => bucketOf(new Date(s.receivedAt)))) {
      claim(snapshot, { rule: span, bucket });
    }
  }
}

function isUsable({ state }: RetentionSnapshot): boolean {
  return state === "good" || state === "partial";
}

/** One snapshot for each of the newest `count` buckets; `newestFirst` holds good and partial ones only. */
function fill(
  newestFirst: readonly RetentionSnapshot[],
  count: number,
  bucketOf: (snapshot: RetentionSnapshot) => string,
): { snapshot: RetentionSnapshot; bucket: string; place: number }[] {
  const filled = new Map<string, RetentionSnapshot>();
  for (const snapshot of newestFirst) {
    const bucket = bucketOf(snapshot);
    const present = filled.get(bucket);
    if (!present || (present.state === "partial" && snapshot.state === "good")) filled.set(bucket, snapshot);
  }
  let good = 0;
  return [...filled]
    .map(([bucket, snapshot], index) => {
      const place = snapshot.state === "good" ? ++good : index + 1;
      return { snapshot, bucket, place };
    })
    .filter(({ place }) => place <= count);
}

const buckets: Record<Span, (time: Date) => string> = {
  hourly: (time) => `${time.toISOString().slice(0, 13)}Z`,
  daily: (time) => time.toISOString().slice(0, 10),
  weekly: isoWeek,
  monthly: (time) => time.toISOString().slice(0, 7),
  yearly: (time) => time.toISOString().slice(0, 4),
};

/** ISO 8601: a week starts on Monday and belongs to the year that holds its Thursday. */
function isoWeek(time: Date): string {
  const midnight = Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate());
  const thursday = new Date(midnight + (4 - (time.getUTCDay() || 7)) * day);
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * day));
  return `${year}-W${String(week).padStart(2, "0")}`;
}

function claimUndecided(received: readonly RetentionSnapshot[], now: number, claim: Claim): void {
  const before = now - baseGrace;
  const usable = received.filter(isUsable);
  const newestBefore = [
    usable.find(({ receivedAt }) => receivedAt <= before),
    usable.find(({ receivedAt, state }) => receivedAt <= before && state === "good"),
  ];
  for (const snapshot of received) {
    const { state, receivedAt, judgedAt } = snapshot;
    if (isUsable(snapshot) && (receivedAt > before || newestBefore.includes(snapshot))) {
      claim(snapshot, { rule: "base" });
    }
    if (state === "unverified") claim(snapshot, { rule: "unverified" });
    if (state === "bad" && now - Math.max(receivedAt, judgedAt ?? receivedAt) < evidenceGrace) {
      claim(snapshot, { rule: "evidence" });
    }
  }
}

const overrulesMaximumAge = {
  hold: "a legal hold covers it",
  "last-good": "it is the last good snapshot; take a new one, or remove the component for good",
  "last-resort": "its component has nothing better; take a new one, or remove the component for good",
  newest: "it is the newest by its own time",
  drilled: "it is the newest one that a drill restored; run a drill on a newer one",
} as const;

/** `exceededDays` is the maximum age where the snapshot is older than that. */
function decide(
  { hostId, component, snapshotId, state }: RetentionSnapshot,
  claims: readonly Reason[],
  exceededDays: number | undefined,
): Decision {
  const name = { hostId, component, snapshotId };
  if (exceededDays === undefined) {
    const [first, ...others] = claims;
    if (first) return { ...name, decision: "keep", reasons: [first, ...others] };
    return { ...name, decision: "expire", reasons: [{ rule: state === "bad" ? "bad" : "no-rule" }] };
  }
  const tooOld = { rule: "maximum-age", days: exceededDays } as const;
  const [first, ...others] = claims.filter(({ rule }) => rule in overrulesMaximumAge);
  if (!first) return { ...name, decision: "expire", reasons: [tooOld] };
  const because = overrulesMaximumAge[first.rule as keyof typeof overrulesMaximumAge];
  const warning = `kept beyond the maximum of ${exceededDays} days: ${because}`;
  return { ...name, decision: "keep", reasons: [first, ...others, { ...tooOld, warning }] };
}
