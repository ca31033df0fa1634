/**
 * Whether every host still sends what it should. An objective is the recovery point objective: how old the last good
 * snapshot of a component may be.
 */
import { MailarkError } from "./errors.ts";

/**
 * The last good snapshot of one component of one host: when the store received it or, where there never was one, since
 * when the host is known. In milliseconds since 1970, by the store's or the controller's clock, never the host's.
 */
export type LastGood = Watched & ({ readonly receivedAt: number } | { readonly knownSince: number });

/** What is watched: one component of one host. */
export interface Watched {
  readonly hostId: string;
  readonly component: string;
}

export interface Freshness extends Watched {
  /** `late`: past its objective. `never`: there was no good snapshot yet; it is overdue when `dueSeconds` is below 0. */
  readonly state: "fresh" | "late" | "never";
  /** Whole seconds since the last good snapshot or, without one, since the host is known. */
  readonly ageSeconds: number;
  /** Seconds until the objective is missed; below 0: seconds since then. */
  readonly dueSeconds: number;
}

/**
 * What became of one component between two assessments. `late`: its objective is missed, by lateness or because nothing
 * ever came. `recovered`: it is met again. `unwatched`: the assessment no longer mentions it, which ends its alarm too
 * and should be somebody's decision.
 */
export interface FreshnessEvent extends Watched {
  readonly kind: "late" | "recovered" | "unwatched";
  /** As it is now; for `unwatched`, as it was last. */
  readonly freshness: Freshness;
}

/**
 * Judges every host and component in `latest` that has an objective, sorted by host and component. One that comes twice
 * counts once, by its best evidence. A time ahead of the present counts as far from it as the same time ago, so that a
 * wrong date cannot silence the alarm.
 *
 * @param objectives seconds per component. A component without one is left out of the result.
 * @throws MailarkError `CONFIG_INVALID` for an objective that is not a number above 0.
 */
export function assessFreshness(
  latest: readonly LastGood[],
  objectives: Readonly<Record<string, number>>,
  options: { readonly now: number },
): Freshness[] {
  for (const [component, seconds] of Object.entries(objectives)) checkObjective(component, seconds);
  const assessed = latest
    .filter(({ component }) => Object.hasOwn(objectives, component))
    .map((last) => assess(last, objectives[last.component] ?? 0, options.now));
  return [...distinct(assessed).values()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/**
 * What became late, recovered or is no longer watched since the previous assessment. Told once each: an assessment
 * compared with itself has no events, and over any series of them `late` and its end alternate for every component.
 *
 * @param previous `undefined` when there is none yet: everything that is overdue is then told.
 */
export function compareFreshness(
  previous: readonly Freshness[] | undefined,
  current: readonly Freshness[],
): FreshnessEvent[] {
  const before = distinct(previous ?? []);
  const after = distinct(current);
  const events: FreshnessEvent[] = [];
  for (const [name, freshness] of after) {
    const last = before.get(name);
    const wasOverdue = last !== undefined && isOverdue(last);
    if (isOverdue(freshness) !== wasOverdue) events.push(event(wasOverdue ? "recovered" : "late", freshness));
  }
  for (const [name, freshness] of before) {
    if (!after.has(name)) events.push(event("unwatched", freshness));
  }
  return events;
}

/** Whether its objective is missed: an alarm stands for as long as this is true. */
export function isOverdue({ dueSeconds }: Freshness): boolean {
  return !(dueSeconds >= 0);
}

function checkObjective(component: string, seconds: number): void {
  if (Number.isFinite(seconds) && seconds > 0) return;
  throw new MailarkError(
    "CONFIG_INVALID",
    `recovery point objective of ${component} must be a number of seconds above 0, received ${seconds}`,
    { hint: "correct the objective, such as 86400 for one day" },
  );
}

function assess(last: LastGood, objectiveSeconds: number, now: number): Freshness {
  const { hostId, component } = last;
  const since = "receivedAt" in last ? last.receivedAt : last.knownSince;
  const ageSeconds = Math.floor(Math.abs(now - since) / 1000);
  const dueSeconds = objectiveSeconds - ageSeconds;
  const freshness = { hostId, component, ageSeconds, dueSeconds };
  if (!("receivedAt" in last)) return { ...freshness, state: "never" };
  return { ...freshness, state: isOverdue({ ...freshness, state: "fresh" }) ? "late" : "fresh" };
}

function distinct(assessed: readonly Freshness[]): Map<string, Freshness> {
  const byName = new Map<string, Freshness>();
  for (const freshness of assessed) {
    const name = nameOf(freshness);
    const other = byName.get(name);
    if (!other || isBetter(freshness, other)) byName.set(name, freshness);
  }
  return byName;
}

/** A snapshot is better than none, and a newer one than an older; of two without any, the longer known host counts. */
function isBetter(a: Freshness, b: Freshness): boolean {
  const isNone = a.state === "never";
  if (isNone !== (b.state === "never")) return !isNone;
  if (a.ageSeconds === b.ageSeconds) return a.dueSeconds > b.dueSeconds;
  return isNone ? a.ageSeconds > b.ageSeconds : a.ageSeconds < b.ageSeconds;
}

/** No host id or component contains a slash: both are parts of a key. */
function nameOf({ hostId, component }: Watched): string {
  return `${hostId}/${component}`;
}

function event(kind: FreshnessEvent["kind"], freshness: Freshness): FreshnessEvent {
  return { kind, hostId: freshness.hostId, component: freshness.component, freshness };
}
