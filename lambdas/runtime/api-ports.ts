import { S3Client } from "@aws-sdk/client-s3";
import { systemClock } from "../../core/ports/clock.ts";
import type { RequestPorts } from "../api/request-backup.ts";
import { environment } from "./environment.ts";
import { eventSender } from "./events.ts";
import { s3ControlStore } from "./s3-control-store.ts";

/** The real ones, as the stack's variables name them. */
export function apiPorts(): RequestPorts {
  const send = eventSender();
  return {
    control: s3ControlStore(new S3Client({}), environment("CONTROL_BUCKET")),
    clock: systemClock,
    ask: (request) => send("Backup Requested", [request]),
  };
}
