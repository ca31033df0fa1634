/**
 * What may expire, and why. A plan only says so: it is carried out elsewhere.
 *
 * Whatever is unknown keeps. Nothing expires for a host while one of its manifests cannot be read, or when the plan would
 * take an unlikely share of its bytes; in both cases the plan itself lists nothing to expire, so that a caller that looks
 * at nothing else does no harm. A host is planned by itself: no snapshot of another host can hold or free its packs.
 */

import { MailarkError } from "./errors.ts";
import type { SnapshotAddress } from "./keys.ts";
import { parseRetentionPolicy, type RetentionPolicy, type RetentionPolicyInput, rulesFor } from "./retention-policy.ts";
import { type Decision, decideComponent, type RetentionSnapshot } from "./retention-rules.ts";

/** Longer than the 7 days (in milliseconds) in which a later run may adopt what a failed one left. */
export const orphanGrace = 14 * 24 * 3_600_000;

/** A stored object that snapshots need: a pack, a closure, a chunk of a log. */
export interface StoredPack {
  readonly hostId: string;
  readonly key: string;
  readonly bytes: number;
  /** When the store received it, by the store's clock, in milliseconds since 1970. */
  readonly receivedAt: number;
}

/** Everything that a store holds of one or several hosts, each of them complete. */
export interface Inventory {
  readonly snapshots: readonly RetentionSnapshot[];
  /** Snapshots that are there, but whose manifest or closure could not be read or understood, for whatever reason. */
  readonly unreadable: readonly SnapshotAddress[];
  /** From a listing made **before** the manifests were listed, or a snapshot that arrives in between loses its packs. */
  readonly packs: readonly StoredPack[];
}

export interface HostPlan {
  readonly hostId: string;
  /**
   * `ready`: may be carried out. `stopped`: a manifest cannot be read, so nothing expires. `refused`: more would expire
   * than the policy allows at once, so nothing does.
   */
  readonly state: "ready" | "stopped" | "refused";
  /** Why it is not ready, and what to do. Absent when it is. */
  readonly why?: string;
  /** One for every snapshot, by component, newest first. */
  readonly decisions: readonly Decision[];
  /** Keys that only expiring snapshots list. Sorted; empty unless ready. */
  readonly expiredPacks: readonly string[];
  /** Keys that no snapshot lists, older by more than 14 days than the newest thing of the store. Sorted; empty unless ready. */
  readonly orphans: readonly string[];
  /** All bytes that the host stores in packs. */
  readonly bytes: number;
  /** What expires or, in a plan that is not ready, what would if nothing stood in the way. */
  readonly proposed: { readonly snapshots: number; readonly packs: number; readonly bytes: number };
}

export interface RetentionPlan {
  /** Sorted by host. */
  readonly hosts: readonly HostPlan[];
}

/**
 * Decides for every snapshot and every pack in the inventory. Pure: the same inventory in any order gives the same plan,
 * and a plan of what was kept keeps all of it.
 *
 * Pruning every day leaves exactly what pruning once at the end would have left.
 *
 * @param options.now milliseconds since 1970.
 * @param options.newest when the store received the newest thing that it has, which what no snapshot lists is old against. Default: `now`.
 * @throws MailarkError `CONFIG_INVALID` for a bad policy; `INTERNAL` when a snapshot is listed twice.
 */
export function planRetention(
  inventory: Inventory,
  policy: RetentionPolicyInput,
  { now, newest = now }: { readonly now: number; readonly newest?: number },
): RetentionPlan {
  const checked = parseRetentionPolicy(policy);
  const snapshots = Map.groupBy(inventory.snapshots, ({ hostId }) => hostId);
  const unreadable = Map.groupBy(inventory.unreadable, ({ hostId }) => hostId);
  const packs = Map.groupBy(inventory.packs, ({ hostId }) => hostId);
  const hostIds = [...new Set([...snapshots.keys(), ...unreadable.keys(), ...packs.keys()])].sort();
  return {
    hosts: hostIds.map((hostId) =>
      planHost(
        hostId,
        {
          snapshots: snapshots.get(hostId) ?? [],
          unreadable: unreadable.get(hostId) ?? [],
          packs: packs.get(hostId) ?? [],
        },
        checked,
        { now, newest },
      ),
    ),
  };
}

function planHost(
  hostId: string,
  inventory: Inventory,
  policy: RetentionPolicy,
  { now, newest }: { readonly now: number; readonly newest: number },
): HostPlan {
  refuseDuplicates(inventory.snapshots);
  const decisions = decideAll(inventory.snapshots, policy, now);
  const packs = new Map(inventory.packs.map((pack) => [pack.key, pack]));
  const { expiredPacks, orphans } = judgePacks(inventory.snapshots, decisions, packs, newest);

  const bytes = sumBytes(packs.values());
  const expiring = [...expiredPacks, ...orphans];
  const proposed = {
    snapshots: decisions.filter(({ decision }) => decision === "expire").length,
    packs: expiring.length,
    bytes: sumBytes(expiring),
  };
  const base = { hostId, bytes, proposed };

  const obstacle = findObstacle(inventory.unreadable, proposed.bytes, bytes, policy.maximumExpireShare);
  if (obstacle) return { ...base, ...obstacle, decisions: decisions.map(withhold), expiredPacks: [], orphans: [] };
  return { ...base, state: "ready", decisions, expiredPacks: keysOf(expiredPacks), orphans: keysOf(orphans) };
}

function refuseDuplicates(snapshots: readonly RetentionSnapshot[]): void {
  const seen = new Set<string>();
  for (const { component, snapshotId } of snapshots) {
    const name = `${component}/${snapshotId}`;
    if (seen.has(name)) throw new MailarkError("INTERNAL", `snapshot ${name} is listed twice`);
    seen.add(name);
  }
}

function decideAll(snapshots: readonly RetentionSnapshot[], policy: RetentionPolicy, now: number): Decision[] {
  const components = Map.groupBy(snapshots, ({ component }) => component);
  return [...components.keys()]
    .sort()
    .flatMap((component) => decideComponent(components.get(component) ?? [], rulesFor(policy, component), now));
}

function judgePacks(
  snapshots: readonly RetentionSnapshot[],
  decisions: readonly Decision[],
  packs: ReadonlyMap<string, StoredPack>,
  newest: number,
): { expiredPacks: StoredPack[]; orphans: StoredPack[] } {
  const nameOf = ({ component, snapshotId }: SnapshotAddress) => `${component}/${snapshotId}`;
  const kept = new Set(decisions.filter(({ decision }) => decision === "keep").map(nameOf));
  const listed = new Set<string>();
  const needed = new Set<string>();
  for (const snapshot of snapshots) {
    const isKept = kept.has(nameOf(snapshot));
    for (const key of snapshot.needs) {
      listed.add(key);
      if (isKept) needed.add(key);
    }
  }
  const unneeded = [...packs.values()].filter(({ key }) => !needed.has(key));
  return {
    expiredPacks: unneeded.filter(({ key }) => listed.has(key)),
    orphans: unneeded.filter(({ key, receivedAt }) => !listed.has(key) && newest - receivedAt > orphanGrace),
  };
}

function sumBytes(packs: Iterable<StoredPack>): number {
  let sum = 0;
  for (const { bytes } of packs) sum += bytes;
  return sum;
}

function findObstacle(
  unreadable: readonly SnapshotAddress[],
  expiringBytes: number,
  bytes: number,
  maximumShare: number,
): { state: "stopped" | "refused"; why: string } | undefined {
  const [first, ...others] = unreadable.toSorted((a, b) => (a.snapshotId < b.snapshotId ? -1 : 1));
  if (first) {
    const more = others.length === 0 ? "" : ` and ${others.length} more`;
    return {
      state: "stopped",
      why: `manifest of ${first.component}/${first.snapshotId}${more} cannot be read, so what it needs is unknown: find out why with verify`,
    };
  }
  // Written so that a size that is not a number refuses as well.
  if (expiringBytes === 0 || expiringBytes <= bytes * maximumShare) return undefined;
  const percent = Math.ceil((expiringBytes / bytes) * 100);
  return {
    state: "refused",
    why: `would expire ${percent} % of this host's bytes, more than the ${Math.round(maximumShare * 1000) / 10} % allowed at once: look at the plan and, if it is meant, raise maximumExpireShare for one pass`,
  };
}

function withhold(decision: Decision): Decision {
  if (decision.decision === "keep") return decision;
  return { ...decision, decision: "keep", reasons: [{ rule: "withheld" }, ...decision.reasons] };
}

function keysOf(packs: readonly StoredPack[]): string[] {
  return packs.map(({ key }) => key).sort();
}
