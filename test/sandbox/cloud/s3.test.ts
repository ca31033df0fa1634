import { Readable } from "node:stream";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { crc64nvme } from "../../../core/crc64nvme.ts";
import { s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";

const mebibyte = 1024 * 1024;

describe("the sandbox's S3", () => {
  test("gives back what was put, with its checksum", async () => {
    const s3 = s3Client(await sandboxS3());
    const put = await s3.send(new PutObjectCommand({ Bucket: "data", Key: "a b/ü+(1)", Body: "hello" }));
    const got = await s3.send(new GetObjectCommand({ Bucket: "data", Key: "a b/ü+(1)", ChecksumMode: "ENABLED" }));
    expect(await got.Body!.transformToString()).toBe("hello");
    expect(got).toMatchObject({ ETag: put.ETag, VersionId: put.VersionId, ChecksumCRC32: "NhCmhg==" });
  });

  test("takes a stream in chunks, with its checksum at the end", async () => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    const bytes = Buffer.alloc(3 * mebibyte, "stream");
    const Body = Readable.from([bytes.subarray(0, mebibyte), bytes.subarray(mebibyte)]);
    await s3.send(new PutObjectCommand({ Bucket: "data", Key: "key", Body, ContentLength: bytes.length }));
    const got = await s3.send(new GetObjectCommand({ Bucket: "data", Key: "key" }));
    expect(Buffer.from(await got.Body!.transformToByteArray()).equals(bytes)).toBe(true);
    expect(server.requests[0]!.bytesIn).toBeGreaterThan(bytes.length);
  });

  test("puts parts together, and tells the checksum of the whole", async () => {
    const s3 = s3Client(await sandboxS3());
    const target = { Bucket: "data", Key: "key", ChecksumAlgorithm: "CRC64NVME" } as const;
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...target, ChecksumType: "FULL_OBJECT" }));
    const bodies = [5 * mebibyte, 6 * mebibyte + 1, 17].map((size, index) => Buffer.alloc(size, `part ${index}`));
    const Parts = [];
    for (const [index, Body] of bodies.entries()) {
      const PartNumber = index + 1;
      const { ETag } = await s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
      Parts.push({ ETag, PartNumber });
    }
    const whole = Buffer.concat(bodies);
    const crc = crc64nvme();
    crc.update(whole);
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ Bucket: "data", Key: "key", UploadId, MultipartUpload: { Parts } }),
    );
    expect(done.ChecksumCRC64NVME).toBe(Buffer.from(crc.digest(), "hex").toString("base64"));
    const got = await s3.send(new GetObjectCommand({ Bucket: "data", Key: "key", Range: "bytes=5242870-11534350" }));
    const range = Buffer.from(await got.Body!.transformToByteArray());
    expect(range.equals(whole.subarray(5242870, 11534351))).toBe(true);
  });
});
