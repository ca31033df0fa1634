/** What the controller writes down, as schemas. Reading passes over members that it does not know. */
import { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import { componentNames, patterns } from "../../core/keys.ts";
import type { ControlStore, Held } from "./control-store.ts";

const time = z.iso.datetime({ precision: 3 });
const hostId = z.string().regex(patterns.hostId);
const snapshotId = z.string().regex(patterns.snapshotId);
const component = z.enum(componentNames);

/** What the operator approved of a host. Without one, nothing that it signs is believed. */
const host = z.object({
  format: z.literal("mailark-host/1"),
  hostId,
  name: z.string().min(1),
  /** Of the signing keys that count, 64 hex digits each. */
  fingerprints: z.array(z.string().regex(patterns.sha256)).min(1),
});

/**
 * What was found out about a snapshot. `intact`: everything is there as it was signed. `incomplete`: something is missing. `corrupt`: something is not
 * what was signed. `forged`: not signed by a key that was approved. `unenrolled`: nobody approved the host yet.
 */
export const outcomes = ["intact", "incomplete", "corrupt", "forged", "unenrolled"] as const;
export type VerdictOutcome = (typeof outcomes)[number];

const verdict = z.object({
  format: z.literal("mailark-verdict/1"),
  hostId,
  component,
  snapshotId,
  outcome: z.enum(outcomes),
  completeness: z.enum(["complete", "partial"]).optional(),
  judgedAt: time,
  /** When the store received the manifest, by its own clock: what retention goes by. */
  receivedAt: time.optional(),
  /** The versions that were judged, by key: the manifest's, and those of its packs that were measured. */
  versions: z.record(z.string(), z.string()),
  findings: z.array(z.object({ key: z.string(), code: z.string(), message: z.string() })),
  /** How many findings there are in all; the list above ends after 100. */
  findingCount: z.int().nonnegative(),
  /** What is whole and yet odd: half of it gone since the last one. */
  anomalies: z.array(z.string()),
});

const good = z.object({
  snapshotId,
  receivedAt: time,
  cutAt: time,
  /** An incremental needs packs of older snapshots as well. */
  kind: z.enum(["full", "incremental"]),
  /** Of its own packs, as the store has them. */
  bytesStored: z.int().nonnegative(),
  facts: z.record(z.string(), z.int().nonnegative()),
});

/** The last good snapshots of a component, the newest receipt first. The first is `latest`, and what the next run may build on. */
const latest = z.object({ format: z.literal("mailark-latest/1"), hostId, component, good: z.array(good) });

const dispatch = z.object({
  format: z.literal("mailark-dispatch/1"),
  requestId: z.string(),
  requestedBy: z.string(),
  tier: z.string(),
  components: z.array(component),
  at: time,
  commands: z.array(z.object({ commandId: z.string(), machines: z.array(z.string()), base: z.string() })),
  skipped: z.array(z.object({ machine: z.string(), reason: z.string() })),
  /** Who is starting it, and when he has ended at the latest. Absent: everything that should be was started. */
  claim: z.object({ id: z.string(), until: time }).optional(),
});

/** What a host said last of a run for a request: its own word, signed with a key that was approved, and no judgement. */
const run = z.object({
  format: z.literal("mailark-request-run/1"),
  requestId: z.string(),
  hostId,
  host: z.string(),
  runId: snapshotId,
  receivedAt: time,
  startedAt: time,
  finishedAt: time,
  components: z.array(
    z.object({
      component,
      outcome: z.enum(["complete", "partial", "failed"]),
      snapshotId: snapshotId.optional(),
      kind: z.enum(["full", "incremental"]).optional(),
      base: snapshotId.optional(),
      /** Before compression. */
      bytesRead: z.int().nonnegative().optional(),
      bytesStored: z.int().nonnegative().optional(),
      /** Code of the error, where it failed. */
      error: z.string().optional(),
    }),
  ),
});

const schemas = { host, verdict, latest, dispatch, run };
type Kind = keyof typeof schemas;
export type ControlRecord<K extends Kind> = z.infer<(typeof schemas)[K]>;
export type HostRecord = ControlRecord<"host">;
export type Verdict = ControlRecord<"verdict">;
export type Latest = ControlRecord<"latest">;
export type GoodSnapshot = Latest["good"][number];
export type Dispatch = ControlRecord<"dispatch">;
export type RequestRun = ControlRecord<"run">;

/**
 * A record, with the state that it was read from; `undefined` when there is none.
 *
 * @throws MailarkError `STATE_INVALID` when it is none of ours: it is never passed over, for it may hold an approval or a hold.
 */
export async function readRecord<K extends Kind>(
  store: ControlStore,
  kind: K,
  key: string,
  signal?: AbortSignal,
): Promise<{ readonly record: ControlRecord<K>; readonly held: Held } | undefined> {
  const held = await store.read(key, signal);
  if (held === undefined) return undefined;
  const parsed = schemas[kind].safeParse(parsedJson(held.bytes));
  if (parsed.success) return { record: parsed.data as ControlRecord<K>, held };
  const issue = parsed.error.issues[0];
  throw new MailarkError("STATE_INVALID", `${key}: ${issue?.path.join(".")}: ${issue?.message}`, {
    hint: "correct the object in the control bucket, or put an earlier version of it back",
  });
}

export const recordBytes = (record: ControlRecord<Kind>): Buffer => Buffer.from(`${JSON.stringify(record)}\n`);

function parsedJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
