import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { MailarkError } from "../../core/errors.ts";
import { environment } from "../runtime/environment.ts";
import { handler as wrapped } from "../runtime/handler.ts";
import { verifyPorts } from "../runtime/verify-ports.ts";
import { readEvent } from "./event.ts";
import { noteRun } from "./note-run.ts";
import { type SweepPorts, sweep } from "./sweep.ts";
import { type VerifyPorts, verifySnapshot } from "./verify-snapshot.ts";

let ports: (VerifyPorts & SweepPorts) | undefined;

/** Woken by a manifest or the record of a run that arrives, by a request for one snapshot, and by the schedules of sweeps. */
export const handler = wrapped(async (event: unknown, { logger, metrics, signal }) => {
  ports ??= verifyPorts();
  const wanted = readEvent(event, environment("DATA_BUCKET"));
  if (wanted === undefined) {
    throw new MailarkError("ARGUMENT_INVALID", "the event asks for nothing that this function does", {
      hint: 'send {"sweep": "unjudged"}, {"sweep": "deep"}, or an event of a manifest',
    });
  }
  if ("sweep" in wanted) {
    const asked = await sweep(ports, wanted.sweep === "deep", signal);
    metrics.addMetric("SweepsDone", MetricUnit.Count, 1);
    logger.info("verifications were asked for", { sweep: wanted.sweep, asked });
    return { asked };
  }
  if ("run" in wanted) {
    const noted = await noteRun(ports, wanted.run, signal);
    logger.info("a run was told of", { ...wanted.run, noted: noted !== undefined, requestId: noted?.requestId });
    return { noted: noted !== undefined };
  }
  const verdict = await verifySnapshot(ports, { ...wanted, signal });
  const intact = verdict.outcome === "intact";
  metrics.addMetric("SnapshotsIntact", MetricUnit.Count, intact ? 1 : 0);
  metrics.addMetric("SnapshotsRefused", MetricUnit.Count, intact ? 0 : 1);
  const { hostId, component, snapshotId, outcome, findingCount } = verdict;
  logger.info("a snapshot was judged", { hostId, component, snapshotId, outcome, findingCount });
  return { outcome, findingCount };
});
