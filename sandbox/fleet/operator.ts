import { S3Client } from "@aws-sdk/client-s3";
import type { ControlStore } from "../../lambdas/control/control-store.ts";
import { s3ControlStore } from "../../lambdas/runtime/s3-control-store.ts";
import type { RunningCloud } from "../cloud/cloud.ts";
import { outputOf } from "./outputs.ts";

/** S3, as the account's owner reaches it. */
export function ownersS3({ s3, root }: Pick<RunningCloud, "s3" | "root">): S3Client {
  const { accessKeyId, secretAccessKey } = root;
  return new S3Client({
    endpoint: s3.url,
    region: s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
}

/** The control bucket, as the account's owner reaches it. */
export function controlBucket(cloud: Pick<RunningCloud, "s3" | "root" | "stacks">): ControlStore {
  return s3ControlStore(ownersS3(cloud), outputOf(cloud, "ControlBucket"));
}
