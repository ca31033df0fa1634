import { S3Client } from "@aws-sdk/client-s3";
import type { ControlStore } from "../../lambdas/control/control-store.ts";
import { s3ControlStore } from "../../lambdas/runtime/s3-control-store.ts";
import type { RunningCloud } from "../cloud/cloud.ts";
import { outputOf } from "./outputs.ts";

/** The control bucket, as the account's owner reaches it. */
export function controlBucket({ s3, root, stacks }: RunningCloud): ControlStore {
  const { accessKeyId, secretAccessKey } = root;
  const client = new S3Client({
    endpoint: s3.url,
    region: s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  return s3ControlStore(client, outputOf({ stacks }, "ControlBucket"));
}
