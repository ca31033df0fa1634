import { S3Client } from "@aws-sdk/client-s3";
import { SSMClient } from "@aws-sdk/client-ssm";
import { systemClock } from "../../core/ports/clock.ts";
import type { DispatchPorts } from "../dispatch/dispatch-backup.ts";
import { environment } from "./environment.ts";
import { s3ControlStore } from "./s3-control-store.ts";
import { ssmFleet } from "./ssm-fleet.ts";

/** The real ones, as the stack's variables name them. */
export const dispatchPorts = (): DispatchPorts => ({
  fleet: ssmFleet(new SSMClient({}), {
    document: environment("BACKUP_DOCUMENT"),
    tag: { key: environment("HOST_TAG_KEY"), value: environment("HOST_TAG_VALUE") },
  }),
  control: s3ControlStore(new S3Client({}), environment("CONTROL_BUCKET")),
  clock: systemClock,
});
