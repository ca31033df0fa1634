/**
 * What pruning erases of one host, and in which order.
 *
 * A snapshot exists while its manifest does. So manifests go first and what they needed after them: wherever pruning is stopped, every
 * manifest that is left has all of its packs. Before them go the records of the runs that name them, since a record that names a snapshot
 * which is gone tells of a loss. What a stopped pass leaves is named by nothing, and the next pass takes it. A snapshot that another machine
 * brings meanwhile, of packs that lay there, is looked for before packs go.
 */
import { MailarkError } from "./errors.ts";
import type { HostInventory, KnownRun, KnownSnapshot, UnusableSnapshot } from "./inventory.ts";
import {
  addressOfManifest,
  breakGlassPrefix,
  doctorPrefix,
  hostPrefix,
  isDataKey,
  manifestBeside,
  manifestKey,
  runKey,
  type SnapshotAddress,
} from "./keys.ts";
import { type HostPlan, orphanGrace, planRetention } from "./retention.ts";
import type { RetentionPolicyInput } from "./retention-policy.ts";
import { newSnapshotId } from "./snapshot-id.ts";
import type { ObjectEraser, ObjectReader } from "./stores/store.ts";

/** How long the record of a run that stored nothing is kept. */
const failureGrace = 90 * 24 * 3_600_000;

export interface PruneOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Ids of snapshots that stay whatever the policy says. */
  readonly held?: readonly string[];
  /** Ids of unusable snapshots that the operator gives up: they stop nothing any more, and are erased. */
  readonly dropped?: readonly string[];
}

/** Why an object goes. */
export type ErasureReason = "run" | "expired" | "dropped" | "unneeded" | "orphan" | "probe" | "break-glass";

/** One object that goes. */
export interface Erasure {
  readonly key: string;
  readonly bytes: number;
  readonly reason: ErasureReason;
}

export interface PrunePlan extends HostPlan {
  /** What stands in the way where it is `stopped`. */
  readonly unusable: readonly UnusableSnapshot[];
  /** In the order in which they must be erased; empty unless ready. */
  readonly erasures: readonly Erasure[];
  /** Keys of the manifests that it was made of. */
  readonly manifests: ReadonlySet<string>;
}

/**
 * Plans one host. Pure. Everything goes by the store's receipt, never by what the host says of itself. What no snapshot names is old when
 * the store has received something from that host 14 days after it: so what a backup under way has stored is not taken for left over, not
 * even where the clock of this machine is ahead. Nothing of the keyring is ever erased: a key opens every snapshot that it was used for,
 * and keys take next to no room.
 *
 * @throws MailarkError `CONFIG_INVALID` for a bad policy; `ARGUMENT_INVALID` for a held or dropped id that does not fit.
 */
export function planPrune(
  inventory: HostInventory,
  policy: RetentionPolicyInput,
  { now, held = [], dropped = [] }: PruneOptions,
): PrunePlan {
  const { hostId, snapshots, objects } = inventory;
  refuseStrays(inventory, held, dropped);
  const unusable = inventory.unusable.filter(({ snapshotId }) => !dropped.includes(snapshotId));
  const late = newestByName(snapshots, now);
  const packs = objects.filter(({ key }) => isDataKey(key)).map((object) => ({ hostId, ...object }));
  const newest = Math.min(now, newestReceipt(inventory));
  const manifests = new Set([...snapshots, ...inventory.unusable].map(manifestKey));
  const [planned] = planRetention(
    {
      snapshots: snapshots.map((snapshot) => ({
        ...snapshot,
        ...(held.includes(snapshot.snapshotId) && { holds: ["--hold"] }),
        ...(late.has(snapshot) && { newest: true }),
      })),
      unreadable: unusable,
      packs,
    },
    policy,
    { now, newest },
  ).hosts;
  const host: HostPlan = planned ?? nothingStored(hostId);
  if (host.state !== "ready") return { ...host, unusable, erasures: [], manifests };

  const sizes = new Map(objects.map(({ key, bytes }) => [key, bytes]));
  const erasuresOf = (keys: readonly string[], reason: ErasureReason): Erasure[] =>
    keys.map((key) => ({ key, bytes: sizes.get(key) ?? 0, reason }));
  const received = new Map(objects.map(({ key, receivedAt }) => [key, receivedAt]));
  const isStale = (key: string) => newest - received.get(key)! > orphanGrace;
  const expired = host.decisions.filter(({ decision }) => decision === "expire");
  const given = inventory.unusable.filter(({ snapshotId }) => dropped.includes(snapshotId));
  const gone = new Set([...expired, ...given].map(nameOf));
  const probes = objects.map(({ key }) => key).filter((key) => key.startsWith(doctorPrefix(hostId)));
  const isOver = ({ snapshots, receivedAt }: KnownRun) =>
    snapshots.length === 0
      ? newest - receivedAt > failureGrace
      : snapshots.some((snapshot) => gone.has(nameOf(snapshot)));
  // By their names too: a record that could not be read would tell of a loss for ever.
  const over = new Set([
    ...inventory.runs.filter(isOver).map(({ key }) => key),
    ...snapshots.filter((snapshot) => gone.has(nameOf(snapshot))).map(({ runId }) => runKey(hostId, runId)),
  ]);
  return {
    ...host,
    unusable,
    manifests,
    erasures: [
      ...erasuresOf(
        objects.map(({ key }) => key).filter((key) => over.has(key)),
        "run",
      ),
      ...erasuresOf(expired.map(manifestKey), "expired"),
      ...erasuresOf(given.map(manifestKey), "dropped"),
      ...erasuresOf(host.expiredPacks, "unneeded"),
      ...erasuresOf(host.orphans, "orphan"),
      ...erasuresOf(probes.filter(isStale), "probe"),
      ...erasuresOf(staleScripts(inventory, gone).filter(isStale), "break-glass"),
    ],
  };
}

/**
 * When the store received the newest thing that it has of a host, in milliseconds since 1970; -Infinity where it has nothing. A loop, because
 * a call takes a hundred thousand arguments and no more.
 */
export function newestReceipt({ objects }: Pick<HostInventory, "objects">): number {
  return objects.reduce((newest, { receivedAt }) => Math.max(newest, receivedAt), Number.NEGATIVE_INFINITY);
}

/**
 * Erases one after the other, in their order. What throws, or kills, leaves whole snapshots; the same plan may be carried out again.
 *
 * Another machine may bring a snapshot meanwhile, of packs that lay there and that no snapshot named. So before anything goes that a snapshot
 * could name, the manifests are listed again: with one that the plan does not know, all of it is left to the next pass. And right before a pack
 * or closure goes whose own manifest the plan does not know, that one is asked for.
 */
export async function carryOut(
  { hostId, manifests, erasures }: Pick<PrunePlan, "hostId" | "manifests" | "erasures">,
  reader: Pick<ObjectReader, "list" | "head">,
  eraser: ObjectEraser,
  { signal, erased }: { readonly signal: AbortSignal; readonly erased?: (erasure: Erasure) => void },
): Promise<void> {
  const mayBeNamed = ({ key }: Erasure) => isDataKey(key) || key.startsWith(breakGlassPrefix(hostId));
  let grown: boolean | undefined;
  for (const erasure of erasures) {
    signal.throwIfAborted();
    if (mayBeNamed(erasure)) {
      grown ??= await hasOthers();
      if (grown) continue;
      const own = isDataKey(erasure.key) ? manifestBeside(erasure.key) : undefined;
      if (own !== undefined && !manifests.has(own) && (await reader.head(own, { signal }))) continue;
    }
    await eraser.erase(erasure.key, { signal });
    erased?.(erasure);
  }

  async function hasOthers(): Promise<boolean> {
    for await (const row of reader.list(hostPrefix(hostId), { signal })) {
      if ("key" in row && addressOfManifest(row.key) && !manifests.has(row.key)) return true;
    }
    return false;
  }
}

/**
 * The newest snapshot of each component by its name, where another was received after it: a store that was away is brought older ones later,
 * and they would pass for newer. One name cannot keep more than one snapshot, whoever chose it.
 */
function newestByName(snapshots: readonly KnownSnapshot[], now: number): Set<KnownSnapshot> {
  const newest = new Set<KnownSnapshot>();
  const present = newSnapshotId(now).split("-")[0]!;
  for (const ofOne of Map.groupBy(snapshots, ({ component }) => component).values()) {
    const past = ofOne.filter(({ snapshotId }) => snapshotId.split("-")[0]! <= present);
    const [byName] = past.toSorted((a, b) => (a.snapshotId < b.snapshotId ? 1 : -1));
    if (byName && ofOne.some(({ receivedAt }) => receivedAt > byName.receivedAt)) newest.add(byName);
  }
  return newest;
}

/**
 * Versions of the restore script that no snapshot names, but the newest of them: a run under way names that one when it is done. What a
 * run of an older version misses, the next one stores again.
 */
function staleScripts({ hostId, snapshots, objects }: HostInventory, gone: ReadonlySet<string>): string[] {
  const prefix = breakGlassPrefix(hostId);
  const versionOf = (key: string) => key.slice(prefix.length).split("/")[0]!;
  const scripts = objects.filter(({ key }) => key.startsWith(prefix)).sort((a, b) => b.receivedAt - a.receivedAt);
  const named = new Set(
    snapshots.filter((snapshot) => !gone.has(nameOf(snapshot))).map(({ breakGlass }) => breakGlass),
  );
  if (scripts[0]) named.add(versionOf(scripts[0].key));
  return scripts.map(({ key }) => key).filter((key) => !named.has(versionOf(key)));
}

function refuseStrays(
  { snapshots, unusable }: HostInventory,
  held: readonly string[],
  dropped: readonly string[],
): void {
  const usable = new Set(snapshots.map(({ snapshotId }) => snapshotId));
  const broken = new Set(unusable.map(({ snapshotId }) => snapshotId));
  const both = held.find((id) => dropped.includes(id));
  if (both !== undefined) {
    throw new MailarkError("ARGUMENT_INVALID", `snapshot ${both} is both held and dropped`, {
      hint: "nothing was erased; say which of the two is meant",
    });
  }
  const lost = held.find((id) => !usable.has(id) && !broken.has(id));
  if (lost !== undefined) {
    throw new MailarkError("ARGUMENT_INVALID", `there is no snapshot ${lost} to hold`, {
      hint: "`mailark list` shows what the store holds; a hold that holds nothing is a mistake",
    });
  }
  const whole = dropped.find((id) => !broken.has(id));
  if (whole !== undefined) {
    throw new MailarkError("ARGUMENT_INVALID", `there is no unusable snapshot ${whole} to drop`, {
      hint: "only what can not be used is given up by its id; what is whole is kept or expires by the policy",
    });
  }
}

const nameOf = ({ component, snapshotId }: Pick<SnapshotAddress, "component" | "snapshotId">) =>
  `${component}/${snapshotId}`;

const nothingStored = (hostId: string): HostPlan => ({
  hostId,
  state: "ready",
  decisions: [],
  expiredPacks: [],
  orphans: [],
  bytes: 0,
  proposed: { snapshots: 0, packs: 0, bytes: 0 },
});
