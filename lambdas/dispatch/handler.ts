import { MetricUnit } from "@aws-lambda-powertools/metrics";
import { S3Client } from "@aws-sdk/client-s3";
import { SSMClient } from "@aws-sdk/client-ssm";
import { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import { componentNames } from "../../core/keys.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { environment } from "../runtime/environment.ts";
import { handler as wrapped } from "../runtime/handler.ts";
import { s3ControlStore } from "../runtime/s3-control-store.ts";
import { ssmFleet } from "../runtime/ssm-fleet.ts";
import { type DispatchPorts, dispatchBackup } from "./dispatch-backup.ts";

const request = z.strictObject({
  requestId: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/),
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
  ports ??= {
    fleet: ssmFleet(new SSMClient({}), {
      document: environment("BACKUP_DOCUMENT"),
      tag: { key: environment("HOST_TAG_KEY"), value: environment("HOST_TAG_VALUE") },
    }),
    control: s3ControlStore(new S3Client({}), environment("CONTROL_BUCKET")),
    clock: systemClock,
  };
  const record = await dispatchBackup(ports, parsed.data, signal);
  const started = record.commands.reduce((sum, { machines }) => sum + machines.length, 0);
  metrics.addMetric("HostsStarted", MetricUnit.Count, started);
  metrics.addMetric("HostsSkipped", MetricUnit.Count, record.skipped.length);
  logger.info("backups were started", { requestId: record.requestId, started, skipped: record.skipped.length });
  return record;
});
