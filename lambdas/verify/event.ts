import { z } from "zod";
import {
  addressOfManifest,
  addressOfRun,
  componentNames,
  patterns,
  type RunAddress,
  type SnapshotAddress,
} from "../../core/keys.ts";
import type { Verdict } from "../control/records.ts";

/** What an event asks for. */
export type Wanted =
  | { readonly address: SnapshotAddress; readonly again: boolean; readonly deep: boolean }
  | { readonly run: RunAddress }
  | { readonly sweep: "unjudged" | "deep" };

const created = z.object({
  "detail-type": z.literal("Object Created"),
  source: z.literal("aws.s3"),
  detail: z.object({ bucket: z.object({ name: z.string() }), object: z.object({ key: z.string() }) }),
});

const requested = z.object({
  "detail-type": z.literal("Verification Requested"),
  detail: z.object({
    hostId: z.string().regex(patterns.hostId),
    component: z.enum(componentNames),
    snapshotId: z.string().regex(patterns.snapshotId),
    deep: z.boolean(),
  }),
});

const swept = z.strictObject({ sweep: z.enum(["unjudged", "deep"]) });

/**
 * `undefined`: nothing that verification is for, such as an object that is neither a manifest nor the record of a run.
 *
 * @param bucket the only one that hosts store snapshots and records in.
 */
export function readEvent(event: unknown, bucket: string): Wanted | undefined {
  const arrival = created.safeParse(event);
  if (arrival.success) {
    const { detail } = arrival.data;
    if (detail.bucket.name !== bucket) return undefined;
    const run = addressOfRun(detail.object.key);
    if (run) return { run };
    const address = addressOfManifest(detail.object.key);
    return address && { address, again: false, deep: false };
  }
  const request = requested.safeParse(event);
  if (request.success) {
    const { deep, ...address } = request.data.detail;
    return { address, again: true, deep };
  }
  return swept.safeParse(event).data;
}

/** What is announced of a verdict. `alert`: somebody should look. */
export function verdictDetail(verdict: Verdict, hostName: string | undefined) {
  const { hostId, component, snapshotId, outcome, findingCount, anomalies, findings } = verdict;
  return {
    hostId,
    host: hostName ?? hostId,
    component,
    snapshotId,
    outcome,
    findingCount,
    anomalies: anomalies.slice(0, 10),
    findings: findings.slice(0, 5),
    alert: outcome !== "intact" || anomalies.length > 0,
  };
}
