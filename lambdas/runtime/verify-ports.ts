import { S3Client } from "@aws-sdk/client-s3";
import { systemClock } from "../../core/ports/clock.ts";
import { verdictDetail } from "../verify/event.ts";
import type { SweepPorts } from "../verify/sweep.ts";
import type { VerifyPorts } from "../verify/verify-snapshot.ts";
import { environment } from "./environment.ts";
import { eventSender } from "./events.ts";
import { s3ControlStore } from "./s3-control-store.ts";
import { measureIn, vaultReader } from "./s3-vault.ts";

/** The real ones, as the stack's variables name them. */
export function verifyPorts(): VerifyPorts & SweepPorts {
  const buckets = {
    data: environment("DATA_BUCKET"),
    keyring: environment("KEYRING_BUCKET"),
    region: environment("AWS_REGION"),
  };
  const client = new S3Client({});
  const send = eventSender();
  return {
    vault: vaultReader(buckets),
    measure: measureIn(client, buckets.data),
    control: s3ControlStore(client, environment("CONTROL_BUCKET")),
    clock: systemClock,
    announce: (verdict, hostName) => send("Snapshot Judged", [verdictDetail(verdict, hostName)]),
    request: (addresses, deep) =>
      send(
        "Verification Requested",
        addresses.map((address) => ({ ...address, deep })),
      ),
  };
}
