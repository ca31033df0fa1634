import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { checksumOf } from "../../../sandbox/cloud/s3/checksums.ts";
import { faultRules } from "../../../sandbox/cloud/s3/faults.ts";
import { raw } from "../../fixtures/raw-s3.ts";
import { s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const mebibyte = 1024 * 1024;
const at = { Bucket: "data", Key: "key" };
const large = Buffer.alloc(5 * mebibyte, "large");
const small = Buffer.from("the end");

/** An upload that has these parts. */
async function started(
  parts: readonly Buffer[],
  options: { ChecksumAlgorithm?: "CRC32" | "CRC64NVME" | "SHA256"; ChecksumType?: "FULL_OBJECT" | "COMPOSITE" } = {},
) {
  const directory = scratchDirectory();
  const server = await sandboxS3({ directory });
  const s3 = s3Client(server);
  const { ChecksumAlgorithm = "CRC64NVME" } = options;
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...at, ChecksumAlgorithm, ...options }));
  const Parts: CompletedPart[] = [];
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1;
    const part = await s3.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body, ChecksumAlgorithm }));
    const { ETag, ChecksumCRC32, ChecksumCRC64NVME, ChecksumSHA256 } = part;
    Parts.push({ PartNumber, ETag, ChecksumCRC32, ChecksumCRC64NVME, ChecksumSHA256 });
  }
  const complete = (more: object = {}, chosen = Parts) =>
    s3.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts: chosen }, ...more }));
  const files = () => readdirSync(directory).flatMap((each) => readdirSync(join(directory, each))).length;
  return { server, s3, UploadId, Parts, complete, files };
}

describe("a multipart upload", () => {
  test("is no object before it is complete, and then one", async () => {
    const { s3, complete } = await started([large, small]);
    await expect(s3.send(new HeadObjectCommand(at))).rejects.toMatchObject({ name: "NotFound" });
    const { ETag } = await complete();
    expect(ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
    const got = await s3.send(new GetObjectCommand({ ...at, Range: `bytes=${large.length - 3}-${large.length + 2}` }));
    expect(await got.Body!.transformToString()).toBe(`${large.subarray(-3)}the`);
    await expect(complete()).rejects.toMatchObject({ name: "NoSuchUpload" });
  });

  test("has a checksum of its parts' checksums, or of the whole, as it was asked for", async () => {
    const whole = Buffer.concat([large, small]);
    const composite = checksumOf("SHA256", Buffer.concat([large, small].map((part) => checksumOf("SHA256", part))));
    const sha256 = await started([large, small], { ChecksumAlgorithm: "SHA256" });
    expect((await sha256.complete()).ChecksumSHA256).toBe(`${composite.toString("base64")}-2`);
    const crc32 = await started([large, small], { ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
    expect((await crc32.complete()).ChecksumCRC32).toBe(checksumOf("CRC32", whole).toString("base64"));
    const crc64 = await started([large, small]);
    const ChecksumCRC64NVME = checksumOf("CRC64NVME", whole).toString("base64");
    expect(await crc64.complete({ ChecksumCRC64NVME })).toMatchObject({ ChecksumCRC64NVME });
  });

  test("has no checksum of the whole from hashes, nor one of parts from CRC64NVME", async () => {
    for (const [ChecksumAlgorithm, ChecksumType] of [
      ["SHA256", "FULL_OBJECT"],
      ["CRC64NVME", "COMPOSITE"],
    ] as const) {
      await expect(started([], { ChecksumAlgorithm, ChecksumType })).rejects.toMatchObject({ name: "InvalidRequest" });
    }
  });

  test.each<[string, object, string]>([
    ["another checksum of the whole", { ChecksumCRC64NVME: "AAAAAAAAAAA=" }, "BadDigest"],
    ["another size", { MpuObjectSize: 1 }, "InvalidRequest"],
    ["another type of checksum", { ChecksumType: "COMPOSITE" }, "InvalidRequest"],
  ])("is not completed with %s, and can still be", async (_, more, name) => {
    const { complete } = await started([large, small]);
    await expect(complete(more)).rejects.toMatchObject({ name });
    await complete({ MpuObjectSize: large.length + small.length });
  });

  test("tells a wrong checksum of the whole when asked to", async () => {
    const { server, complete } = await started([large, small]);
    server.settings.faults = faultRules([{ fault: { kind: "wrong-checksum" } }]);
    const { ChecksumCRC64NVME } = await complete();
    const right = checksumOf("CRC64NVME", Buffer.concat([large, small])).toString("base64");
    expect(ChecksumCRC64NVME).toHaveLength(right.length);
    expect(ChecksumCRC64NVME).not.toBe(right);
  });

  test("is not completed with parts that it has not", async () => {
    const { Parts, complete } = await started([large, small]);
    const [first, second] = Parts as [CompletedPart, CompletedPart];
    await expect(complete({}, [second, first])).rejects.toMatchObject({ name: "InvalidPartOrder" });
    for (const wrong of [{ ETag: '"0"' }, { PartNumber: 3 }, { ChecksumCRC64NVME: "AAAAAAAAAAA=" }]) {
      await expect(complete({}, [first, { ...second, ...wrong }])).rejects.toMatchObject({ name: "InvalidPart" });
    }
    await expect(complete({}, [])).rejects.toMatchObject({ name: "MalformedXML" });
  });

  test("of composite checksums is not completed without them", async () => {
    const { Parts, complete } = await started([large, small], { ChecksumAlgorithm: "CRC32" });
    const bare = Parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag }));
    await expect(complete({}, bare)).rejects.toMatchObject({ name: "InvalidRequest" });
    await complete();
  });

  test("has no part under 5 MiB but the last", async () => {
    const { complete } = await started([large.subarray(1), small]);
    await expect(complete()).rejects.toMatchObject({ name: "EntityTooSmall" });
  });

  test("takes only parts with its own checksum, and only from 1 to 10,000", async () => {
    const { server, s3, UploadId } = await started([]);
    const part = (more: object) =>
      s3.send(new UploadPartCommand({ ...at, UploadId, PartNumber: 1, Body: small, ...more }));
    await expect(part({ ChecksumAlgorithm: "CRC32" })).rejects.toMatchObject({ name: "InvalidRequest" });
    const ChecksumAlgorithm = "CRC64NVME";
    await expect(part({ ChecksumAlgorithm, PartNumber: 10_001 })).rejects.toMatchObject({ name: "InvalidArgument" });
    const wrong = { "x-amz-checksum-crc64nvme": "AAAAAAAAAAA=" };
    const path = `/data/key?partNumber=1&uploadId=${UploadId}`;
    expect((await raw(server.url, { method: "PUT", path, headers: wrong, body: small })).code).toBe("BadDigest");
    await part({ ChecksumAlgorithm });
  });

  test("takes a part without a checksum only where one of the whole is kept", async () => {
    for (const [ChecksumAlgorithm, code] of [
      ["CRC64NVME", undefined],
      ["SHA256", "InvalidRequest"],
    ] as const) {
      const { server, UploadId } = await started([], { ChecksumAlgorithm });
      const path = `/data/key?partNumber=1&uploadId=${UploadId}`;
      expect((await raw(server.url, { method: "PUT", path, body: small })).code).toBe(code);
    }
  });

  test("replaces a part that is sent again, and forgets parts that are not listed", async () => {
    const { s3, UploadId, Parts, complete, files } = await started([large, small, small]);
    const again = { ...at, UploadId, PartNumber: 2, Body: "other", ChecksumAlgorithm: "CRC64NVME" } as const;
    const { ETag } = await s3.send(new UploadPartCommand(again));
    expect(files()).toBe(3);
    await complete({}, [Parts[0]!, { PartNumber: 2, ETag }]);
    const got = await s3.send(new GetObjectCommand({ ...at, Range: "bytes=-5" }));
    expect(await got.Body!.transformToString()).toBe("other");
    expect(files()).toBe(2);
  });

  test("that is aborted leaves nothing", async () => {
    const { s3, UploadId, complete, files } = await started([large, small]);
    await s3.send(new AbortMultipartUploadCommand({ ...at, UploadId }));
    expect(files()).toBe(0);
    await expect(complete()).rejects.toMatchObject({ name: "NoSuchUpload" });
  });

  test("creates once", async () => {
    const { s3, UploadId, complete } = await started([large, small]);
    await s3.send(new PutObjectCommand({ ...at, Body: "first" }));
    await expect(complete({ IfNoneMatch: "*" })).rejects.toMatchObject({ name: "PreconditionFailed" });
    await s3.send(new AbortMultipartUploadCommand({ ...at, UploadId }));
    expect((await s3.send(new HeadObjectCommand(at))).ContentLength).toBe(5);
  });

  test("is listed with its parts until it ends, page by page", async () => {
    const { s3, UploadId, Parts, complete } = await started([large, small, small]);
    const { UploadId: other } = await s3.send(new CreateMultipartUploadCommand({ ...at, Key: "key/b" }));
    const list = async (more: object = {}) => s3.send(new ListMultipartUploadsCommand({ Bucket: "data", ...more }));
    expect((await list()).Uploads?.map((each) => each.UploadId)).toEqual([UploadId, other]);
    const first = await list({ MaxUploads: 1 });
    expect(first).toMatchObject({ IsTruncated: true, NextKeyMarker: "key", NextUploadIdMarker: UploadId });
    const second = await list({ KeyMarker: first.NextKeyMarker, UploadIdMarker: first.NextUploadIdMarker });
    expect(second.Uploads?.map((each) => each.UploadId)).toEqual([other]);

    const parts = await s3.send(new ListPartsCommand({ ...at, UploadId, MaxParts: 2 }));
    expect(parts.Parts).toMatchObject(
      Parts.slice(0, 2).map(({ ChecksumCRC32: _, ChecksumSHA256: __, ...part }) => part),
    );
    const rest = await s3.send(new ListPartsCommand({ ...at, UploadId, PartNumberMarker: parts.NextPartNumberMarker }));
    expect(rest.Parts?.map(({ PartNumber }) => PartNumber)).toEqual([3]);
    await complete({}, Parts.slice(0, 2));
    expect((await list()).Uploads?.map((each) => each.UploadId)).toEqual([other]);
  });
});
