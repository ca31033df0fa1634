import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import { componentNames, patterns } from "../../core/keys.ts";
import { dispatchPorts } from "../runtime/dispatch-ports.ts";
import { handler as wrapped } from "../runtime/handler.ts";
import { type DispatchPorts, dispatchBackup } from "./dispatch-backup.ts";

const request = z.strictObject({
  requestId: z.string().regex(patterns.requestId),
  requestedBy: z.string().min(1).max(200),
  tier: z.string().regex(/^[a-z]{1,32}$/),
  components: z.array(z.enum(componentNames)).min(1),
});

let ports: DispatchPorts | undefined;

/** Woken by a schedule, or invoked by whoever may, with the same event. */
export const handler = wrapped(async (event: unknown, { logger, metrics, signal }) => {
  const parsed = request.safeParse(event);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new MailarkError("ARGUMENT_INVALID", `${issue?.path.join(".") || "event"}: ${issue?.message}`);
  }
  ports ??= dispatchPorts();
  const record = await dispatchBackup(ports, parsed.data, signal);
  const started = record.commands.reduce((sum, { machines }) => sum + machines.length, 0);
  metrics.addMetric("HostsStarted", MetricUnit.Count, started);
  metrics.addMetric("HostsSkipped", MetricUnit.Count, record.skipped.length);
  logger.info("backups were started", { requestId: record.requestId, started, skipped: record.skipped.length });
  return record;
});
