import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { dispatchPorts } from "../runtime/dispatch-ports.ts";
import { handler as wrapped } from "../runtime/handler.ts";
import { parsed } from "../runtime/parsed.ts";
import { type DispatchPorts, dispatchBackup } from "./dispatch-backup.ts";
import { dispatchRequest } from "./request.ts";

let ports: DispatchPorts | undefined;

/** Woken by a schedule and by the API, or invoked by whoever may, with the same event. */
export const handler = wrapped(async (event: unknown, { logger, metrics, signal }) => {
  const request = parsed(dispatchRequest, event, "event");
  ports ??= dispatchPorts();
  const record = await dispatchBackup(ports, request, signal);
  const started = record.commands.reduce((sum, { machines }) => sum + machines.length, 0);
  metrics.addMetric("HostsStarted", MetricUnit.Count, started);
  metrics.addMetric("HostsSkipped", MetricUnit.Count, record.skipped.length);
  logger.info("backups were started", { requestId: record.requestId, started, skipped: record.skipped.length });
  return record;
});
