import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import type { CloudEvent, Service } from "../../../sandbox/cloud/service.ts";
import { s3Client } from "../../fixtures/sandbox-s3.ts";
import { accountId, smallCloud } from "../../fixtures/small-cloud.ts";

async function shop() {
  const events: CloudEvent[] = [];
  const bus: Service = {
    ...{ name: "events", types: [], make() {} },
    publish: async (event) => void events.push(event),
  };
  const bucket = (BucketName: string, more: object = {}) => ({
    Type: "AWS::S3::Bucket",
    Properties: { BucketName, VersioningConfiguration: { Status: "Enabled" }, ...more },
  });
  const NotificationConfiguration = { EventBridgeConfiguration: { EventBridgeEnabled: true } };
  const resources = { Wares: bucket("wares", { NotificationConfiguration }), Quiet: bucket("quiet") };
  const cloud = await smallCloud(resources, { services: [() => bus] });
  return { cloud, events, s3: s3Client(cloud.s3, cloud.root) };
}

test("an object that was put is told of as EventBridge has it, and nothing of a bucket that tells nothing", async () => {
  const { cloud, events, s3 } = await shop();
  const key = "a b/ü.txt";
  const { VersionId, ETag, $metadata } = await s3.send(
    new PutObjectCommand({ Bucket: "wares", Key: key, Body: "12345" }),
  );
  await s3.send(new PutObjectCommand({ Bucket: "quiet", Key: key, Body: "1" }));
  await cloud.settle();
  expect(events).toEqual([
    {
      source: "aws.s3",
      "detail-type": "Object Created",
      resources: ["arn:aws:s3:::wares"],
      detail: {
        version: "0",
        bucket: { name: "wares" },
        object: {
          ...{ key, size: 5, etag: ETag?.replaceAll('"', ""), "version-id": VersionId },
          sequencer: expect.stringMatching(/^[0-9A-F]{16}$/),
        },
        "request-id": $metadata.requestId,
        requester: accountId,
        "source-ip-address": "127.0.0.1",
        reason: "PutObject",
      },
    },
  ]);
});

test("each way to make an object is told of, in its order; what was refused is not", async () => {
  const { cloud, events, s3 } = await shop();
  const target = { Bucket: "wares", Key: "a" };
  await s3.send(new PutObjectCommand({ ...target, Body: "1" }));
  await expect(s3.send(new PutObjectCommand({ ...target, Body: "2", IfNoneMatch: "*" }))).rejects.toThrow();
  await s3.send(new CopyObjectCommand({ ...target, CopySource: "wares/a", MetadataDirective: "REPLACE" }));
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: "CRC32" }));
  const part = { ...target, UploadId, PartNumber: 1, Body: "123" };
  const { ETag, ChecksumCRC32 } = await s3.send(new UploadPartCommand(part));
  const MultipartUpload = { Parts: [{ ETag, ChecksumCRC32, PartNumber: 1 }] };
  await s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }));
  await cloud.settle();
  const told = events.map(({ detail }) => detail as { reason: string; object: { size: number; sequencer: string } });
  expect(told.map(({ reason, object }) => [reason, object.size])).toEqual([
    ["PutObject", 1],
    ["CopyObject", 1],
    ["CompleteMultipartUpload", 3],
  ]);
  const order = told.map(({ object }) => object.sequencer);
  expect(order).toEqual([...new Set(order)].sort());
});
