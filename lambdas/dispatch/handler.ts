import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { dispatchPorts } from "../runtime/dispatch-ports.ts";
import { handler as wrapped } from "../runtime/handler.ts";
import { parsed } from "../runtime/parsed.ts";
import { type DispatchPorts, dispatchBackup } from "./dispatch-backup.ts";
import { dispatchRequest } from "./request.ts";

let ports: DispatchPorts | undefined;

/** Woken by a schedule and by the API, or invoked by whoever may, with the same event. */
export const handler = wrapped(async (event: unknown, { logger, metrics, ...time }) => {
  const request = parsed(dispatchRequest, event, "event");
  ports ??= dispatchPorts();
  const { record, now } = await dispatchBackup(ports, request, time);
  const started = record.commands.reduce((sum, { machines }) => sum + machines.length, 0);
  const skipped = record.skipped.length;
  metrics.addMetric("HostsStarted", MetricUnit.Count, now ? started : 0);
  metrics.addMetric("HostsSkipped", MetricUnit.Count, now ? skipped : 0);
  logger.info("backups were started", { requestId: record.requestId, now, started, skipped });
  return record;
});
