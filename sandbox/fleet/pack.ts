import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { componentPrefix } from "../../core/keys.ts";
import type { RunningCloud } from "../cloud/cloud.ts";
import type { FleetHost } from "./fleet-host.ts";
import { ownersS3 } from "./operator.ts";
import { outputOf } from "./outputs.ts";

/** A pack of a host's newest snapshot of its mail, and where its bytes lie. @throws Error where there is none. */
export async function packOf(cloud: RunningCloud, { hostId }: FleetHost) {
  const bucket = new URL(outputOf(cloud, "Store")).hostname;
  const Prefix = componentPrefix(hostId, "mail");
  const { Contents = [] } = await ownersS3(cloud).send(new ListObjectsV2Command({ Bucket: bucket, Prefix }));
  const key = Contents.map(({ Key = "" }) => Key).findLast((each) => each.endsWith(".pack"));
  if (key === undefined) throw new Error(`no pack below ${Prefix}`);
  return { key, files: cloud.s3.filesOf(bucket, key) };
}
