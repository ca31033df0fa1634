import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { type AwsClientStub, mockClient } from "aws-sdk-client-mock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { crc64nvme } from "../../../core/crc64nvme.ts";
import { s3Store } from "../../../core/stores/s3.ts";
import { cutParts, partBytes, partSize } from "../../../core/stores/s3-parts.ts";
import { parseS3Url } from "../../../core/stores/s3-url.ts";
import type { Body } from "../../../core/stores/store.ts";
import { collect, readAll } from "../../fixtures/read-all.ts";

const key = "hosts/h1/mysql/s1/0001.pack";
const open = (settings = "") => s3Store(parseS3Url(`s3://backups/mail?region=eu-central-1${settings}`));
const base64Of = (bytes: Uint8Array) => {
  const sum = crc64nvme();
  sum.update(bytes);
  return Buffer.from(sum.digest(), "hex").toString("base64");
};
/** An error as the SDK throws it. */
const answer = (status: number | undefined, name: string, more: object = {}) =>
  Object.assign(new Error("in the service's words"), {
    name,
    $metadata: status === undefined ? {} : { httpStatusCode: status },
    ...more,
  });
const chunk = Buffer.alloc(1024 * 1024, "x");
const bodyOf = (chunks: number): Body => ({
  async *[Symbol.asyncIterator]() {
    for (let given = 0; given < chunks; given += 1) yield chunk;
  },
});

let s3: AwsClientStub<S3Client>;
beforeEach(() => {
  s3 = mockClient(S3Client);
});
afterEach(() => s3.restore());

/** Every request succeeds, with the checksums that it declares. */
function obliging() {
  s3.on(PutObjectCommand).callsFake(({ ChecksumCRC64NVME }) => ({ ChecksumCRC64NVME }));
  s3.on(CreateMultipartUploadCommand).resolves({ UploadId: "upload-1" });
  s3.on(UploadPartCommand).callsFake(({ PartNumber }) => ({ ETag: `"${PartNumber}"` }));
  s3.on(CompleteMultipartUploadCommand).callsFake(({ ChecksumCRC64NVME }) => ({ ChecksumCRC64NVME }));
  s3.on(AbortMultipartUploadCommand).resolves({});
}

describe("a put into S3", () => {
  test("that fits a part is one request, create-only, with size and checksum", async () => {
    obliging();
    await open("&storage-class=STANDARD_IA&kms-key=key-1").put(key, [Buffer.from("1234"), Buffer.from("56789")]);
    expect(s3.calls()).toHaveLength(1);
    expect(s3.commandCalls(PutObjectCommand)[0]!.args[0].input).toMatchObject({
      Bucket: "backups",
      Key: `mail/${key}`,
      IfNoneMatch: "*",
      ContentLength: 9,
      ChecksumCRC64NVME: Buffer.from("ae8b14860a799888", "hex").toString("base64"),
      StorageClass: "STANDARD_IA",
      ServerSideEncryption: "aws:kms",
      SSEKMSKeyId: "key-1",
    });
  });

  test("that is larger goes up in parts, and becomes an object under the same conditions", async () => {
    obliging();
    await open("&storage-class=STANDARD_IA&kms-key=key-1").put(key, bodyOf(33));
    const whole = base64Of(Buffer.concat(Array.from({ length: 33 }, () => chunk)));
    expect(s3.commandCalls(CreateMultipartUploadCommand)[0]!.args[0].input).toMatchObject({
      ChecksumAlgorithm: "CRC64NVME",
      ChecksumType: "FULL_OBJECT",
      StorageClass: "STANDARD_IA",
      SSEKMSKeyId: "key-1",
    });
    const parts = s3.commandCalls(UploadPartCommand).map(({ args }) => args[0].input);
    expect(parts.map(({ PartNumber, ContentLength }) => [PartNumber, ContentLength])).toEqual([
      [1, partBytes],
      [2, partBytes],
      [3, chunk.length],
    ]);
    expect(s3.commandCalls(CompleteMultipartUploadCommand)[0]!.args[0].input).toMatchObject({
      UploadId: "upload-1",
      IfNoneMatch: "*",
      ChecksumCRC64NVME: whole,
      ChecksumType: "FULL_OBJECT",
      MpuObjectSize: 33 * chunk.length,
      MultipartUpload: { Parts: [1, 2, 3].map((PartNumber) => ({ PartNumber, ETag: `"${PartNumber}"` })) },
    });
    expect(s3.commandCalls(AbortMultipartUploadCommand)).toHaveLength(0);
  });

  test("gives the checksum that the store answers, not its own", async () => {
    s3.on(PutObjectCommand).resolves({ ChecksumCRC64NVME: Buffer.alloc(8, 0xab).toString("base64") });
    expect(await open().put(key, [chunk])).toEqual({ bytes: chunk.length, crc64nvme: "ab".repeat(8) });
  });

  test("fails where the store does not say what it received, unless that is known", async () => {
    s3.on(PutObjectCommand).resolves({});
    await expect(open().put(key, [chunk])).rejects.toMatchObject({
      code: "UPLOAD_MISMATCH",
      retryable: false,
      hint: expect.stringContaining("checksum=md5"),
    });
    expect(await open("&checksum=md5").put(key, [Buffer.from("x")])).toEqual({ bytes: 1, crc64nvme: undefined });
    const { input } = s3.commandCalls(PutObjectCommand).at(-1)!.args[0];
    expect(input).toMatchObject({ ContentMD5: "ndTkYSaMgDT1yFZOFVxnpg==" });
    expect(input).not.toHaveProperty("ChecksumCRC64NVME");
  });

  test("looks first where the store can not create conditionally", async () => {
    obliging();
    s3.on(HeadObjectCommand).resolves({ ContentLength: 1, LastModified: new Date() });
    const store = open("&conditional=false");
    await expect(store.put(key, [chunk])).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
    s3.on(HeadObjectCommand).rejects(answer(404, "NotFound"));
    s3.on(GetObjectCommand).rejects(answer(404, "NoSuchKey"));
    await store.put(key, [chunk]);
    expect(s3.commandCalls(PutObjectCommand)[0]!.args[0].input).not.toHaveProperty("IfNoneMatch");
  });

  test("stores nothing unlooked where the store can not create conditionally", async () => {
    obliging();
    const store = open("&conditional=false");
    s3.on(HeadObjectCommand).rejects(answer(403, "UnknownError"));
    s3.on(GetObjectCommand).rejects(answer(403, "AccessDenied"));
    await expect(store.put(key, [chunk])).rejects.toMatchObject({
      code: "STORE_FORBIDDEN",
      hint: expect.stringContaining("allow s3:GetObject and s3:ListBucket"),
    });
    s3.on(HeadObjectCommand).rejects(answer(500, "InternalError"));
    await expect(store.put(key, [chunk])).rejects.toMatchObject({ code: "STORE_BUSY", retryable: true });
    expect(s3.commandCalls(PutObjectCommand)).toHaveLength(0);
  });

  test("has a few parts under way at a time, and no more", async () => {
    obliging();
    let underWay = 0;
    let most = 0;
    s3.on(UploadPartCommand).callsFake(async ({ PartNumber }) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise((resolve) => setTimeout(resolve, 5));
      underWay -= 1;
      return { ETag: `"${PartNumber}"` };
    });
    await open().put(key, bodyOf(16 * 12));
    expect(most).toBe(4);
    expect(s3.commandCalls(UploadPartCommand)).toHaveLength(12);
  });

  test("whose part fails ends at once, also while its body waits, and is given up in the store", async () => {
    obliging();
    s3.on(UploadPartCommand).rejects(answer(403, "AccessDenied"));
    const body: Body = {
      async *[Symbol.asyncIterator]() {
        yield* bodyOf(17) as AsyncIterable<Uint8Array>;
        await new Promise(() => {});
      },
    };
    await expect(open().put(key, body)).rejects.toMatchObject({ code: "STORE_FORBIDDEN" });
    expect(s3.commandCalls(AbortMultipartUploadCommand)[0]!.args[0].input).toMatchObject({ UploadId: "upload-1" });
    expect(s3.commandCalls(CompleteMultipartUploadCommand)).toHaveLength(0);
  });

  test("whose part fails while many are under way tells it", async () => {
    obliging();
    s3.on(UploadPartCommand).callsFake(async ({ PartNumber }) => {
      await new Promise((resolve) => setTimeout(resolve, PartNumber === 2 ? 50 : 200));
      if (PartNumber === 2) throw answer(403, "AccessDenied");
      return { ETag: `"${PartNumber}"` };
    });
    await expect(open().put(key, bodyOf(16 * 12))).rejects.toMatchObject({ code: "STORE_FORBIDDEN" });
    expect(s3.commandCalls(CompleteMultipartUploadCommand)).toHaveLength(0);
    expect(s3.commandCalls(AbortMultipartUploadCommand)).toHaveLength(1);
  });

  test("that finds the key taken at its end says so, and is given up in the store", async () => {
    obliging();
    s3.on(CompleteMultipartUploadCommand).rejects(answer(412, "PreconditionFailed"));
    await expect(open().put(key, bodyOf(20))).rejects.toMatchObject({ code: "OBJECT_EXISTS" });
    expect(s3.commandCalls(AbortMultipartUploadCommand)).toHaveLength(1);
  });

  test("tells its own failure where giving up fails too", async () => {
    obliging();
    s3.on(CompleteMultipartUploadCommand).rejects(answer(500, "InternalError"));
    s3.on(AbortMultipartUploadCommand).rejects(answer(404, "NoSuchUpload"));
    await expect(open().put(key, bodyOf(20))).rejects.toMatchObject({ code: "STORE_UNREACHABLE", retryable: true });
  });
});

describe("the parts of a body", () => {
  test("grow, so that what S3 takes holds terabytes", () => {
    const sizes = Array.from({ length: 10_000 }, (_, index) => partSize(index + 1));
    expect(sizes[0]).toBe(16 * 1024 * 1024);
    expect(sizes.reduce((sum, size) => sum + size)).toBeGreaterThan(4 * 1024 ** 4);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(5 * 1024 ** 3);
  });

  test.each([
    [[], [0]],
    [[5], [5]],
    [[partBytes], [partBytes]],
    [
      [partBytes, 1],
      [partBytes, 1],
    ],
    [[partBytes * 2 + 7], [partBytes, partBytes, 7]],
    [
      [partBytes - 1, 0, 3],
      [partBytes, 2],
    ],
  ])("of chunks of %o bytes have %o", async (chunks, expected) => {
    const parts = await collect(cutParts(chunks.map((bytes) => Buffer.alloc(bytes))));
    expect(parts.map(({ bytes }) => bytes)).toEqual(expected);
    expect(parts.map(({ last }) => last)).toEqual(expected.map((_, index) => index === expected.length - 1));
  });
});

describe("a refusal of S3", () => {
  test.each([
    [403, "AccessDenied", "STORE_FORBIDDEN", /s3:PutObject/],
    [403, "InvalidAccessKeyId", "STORE_FORBIDDEN", /does not know these credentials/],
    [403, "SignatureDoesNotMatch", "STORE_FORBIDDEN", /secret key/],
    [400, "ExpiredToken", "STORE_FORBIDDEN", /have expired/],
    [undefined, "CredentialsProviderError", "STORE_FORBIDDEN", /no credentials/],
    [404, "NoSuchBucket", "STORE_UNREACHABLE", /no bucket/],
    [301, "PermanentRedirect", "STORE_UNREACHABLE", /another region/],
    [400, "AuthorizationHeaderMalformed", "STORE_UNREACHABLE", /another region/],
    [501, "NotImplemented", "STORE_UNREACHABLE", /can not do/],
    [400, "InvalidStorageClass", "STORE_UNREACHABLE", /InvalidStorageClass/],
    [400, "Unknown", "STORE_UNREACHABLE", /without a reason/],
  ])("%s %s is told as %s and not tried again", async (status, name, code, message) => {
    s3.on(PutObjectCommand).rejects(answer(status, name));
    await expect(open().put(key, [chunk])).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      hint: expect.any(String),
      retryable: false,
    });
  });

  test.each([
    [403, "RequestTimeTooSkewed", "STORE_BUSY", /clock/],
    [409, "ConditionalRequestConflict", "STORE_BUSY", /later/],
    [503, "SlowDown", "STORE_BUSY", /later/],
    [503, "ServiceUnavailable", "STORE_UNREACHABLE", /503/],
    [500, "InternalError", "STORE_UNREACHABLE", /500/],
    [400, "RequestTimeout", "STORE_UNREACHABLE", /out of order/],
    [404, "NoSuchUpload", "STORE_UNREACHABLE", /lost an upload/],
    [400, "BadDigest", "UPLOAD_MISMATCH", /other bytes/],
  ])("%s %s is %s and worth another try", async (status, name, code, message) => {
    s3.on(PutObjectCommand).rejects(answer(status, name));
    await expect(open().put(key, [chunk])).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      retryable: true,
    });
  });

  test.each([
    ["ECONNRESET", "TimeoutError", true, /does not answer \(ECONNRESET\)/],
    [undefined, "TimeoutError", true, /does not answer \(timeout\)/],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "Error", false, /TLS/],
  ])("on the way, %s (%s), is told; worth another try: %s", async (code, name, retryable, message) => {
    s3.on(PutObjectCommand).rejects(answer(undefined, name, { code }));
    await expect(open().put(key, [chunk])).rejects.toMatchObject({
      code: "STORE_UNREACHABLE",
      message: expect.stringMatching(message),
      hint: expect.any(String),
      retryable,
    });
  });

  const refused = { code: "ECONNREFUSED", syscall: "connect" };
  const late =
    "@smithy/node-http-handler - the request socket did not establish a connection with the server within 10 ms.";
  test.each([
    [Object.assign(new Error("refused"), refused), /does not answer \(ECONNREFUSED\)/],
    [
      Object.assign(new AggregateError([Object.assign(new Error(), refused)]), { code: "ECONNREFUSED" }),
      /ECONNREFUSED/,
    ],
    [Object.assign(new Error("unknown"), { code: "ENOTFOUND", syscall: "getaddrinfo" }), /name of the store/],
    [Object.assign(new Error(late), { name: "TimeoutError" }), /does not answer \(timeout\)/],
  ])("before it was sent has certainly done nothing: %s", async (thrown, message) => {
    s3.on(PutObjectCommand).rejects(thrown);
    await expect(open().put(key, [chunk])).rejects.toMatchObject({
      code: "STORE_BUSY",
      message: expect.stringMatching(message),
      hint: expect.any(String),
      retryable: true,
    });
  });

  test("names the region of the bucket", async () => {
    s3.on(PutObjectCommand).rejects(answer(301, "PermanentRedirect", { Region: "eu-west-1" }));
    await expect(open().put(key, [chunk])).rejects.toMatchObject({ hint: expect.stringContaining("region=eu-west-1") });
    s3.on(PutObjectCommand).rejects(
      answer(301, "Unknown", { $response: { headers: { "x-amz-bucket-region": "eu-west-2" } } }),
    );
    await expect(open().put(key, [chunk])).rejects.toMatchObject({ hint: expect.stringContaining("region=eu-west-2") });
  });

  test("to read says that other credentials are needed", async () => {
    s3.on(HeadObjectCommand).rejects(answer(403, "Unknown"));
    s3.on(GetObjectCommand).rejects(answer(403, "AccessDenied"));
    s3.on(ListObjectsV2Command).rejects(answer(403, "AccessDenied"));
    const expected = { code: "STORE_FORBIDDEN", hint: expect.stringContaining("reading needs other credentials") };
    await expect(open().head(key)).rejects.toMatchObject(expected);
    await expect(readAll(open().get(key))).rejects.toMatchObject(expected);
    await expect(collect(open().list(""))).rejects.toMatchObject(expected);
  });
});

describe("reading from S3", () => {
  test("a bucket that is not there is not an object that is absent", async () => {
    s3.on(HeadObjectCommand).rejects(answer(404, "NotFound"));
    s3.on(GetObjectCommand).rejects(answer(404, "NoSuchBucket"));
    await expect(open().head(key)).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
    await expect(readAll(open().get(key))).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
    s3.on(GetObjectCommand).rejects(answer(404, "NoSuchKey"));
    expect(await open().head(key)).toBeUndefined();
  });

  test("an object that was replaced between two pieces is not put together", async () => {
    const size = 10_000_000;
    s3.on(GetObjectCommand).callsFake(({ Range, IfMatch }) => {
      if (IfMatch !== undefined) throw answer(412, "PreconditionFailed");
      const [start, last] = Range.match(/\d+/g).map(Number);
      const end = Math.min(last + 1, size);
      return {
        Body: Readable.from([Buffer.alloc(end - start)]),
        ContentRange: `bytes ${start}-${end - 1}/${size}`,
        ETag: '"1"',
      };
    });
    const read = readAll(open().get(key)).then(({ length }) => length);
    await expect(read).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  });

  test("an answer of other bytes than were asked for is damage", async () => {
    s3.on(GetObjectCommand).callsFake(() => ({
      Body: Readable.from([Buffer.alloc(10)]),
      ContentRange: "bytes 0-9/100",
    }));
    await expect(readAll(open().get(key, { range: { start: 0, end: 11 } }))).rejects.toMatchObject({
      code: "OBJECT_CORRUPT",
    });
  });

  test.each([{}, { IsTruncated: true }])("a listing that breaks off is not taken for a whole one: %o", async (page) => {
    s3.on(ListObjectsV2Command).resolves(page);
    await expect(collect(open().list(""))).rejects.toMatchObject({ code: "STORE_UNREACHABLE", retryable: true });
  });

  test("what others have put into the bucket is not listed", async () => {
    const LastModified = new Date("2026-11-21T02:00:00Z");
    const names = ["hosts/a b", "hosts/ä", "hosts/.x", "hosts/x/", "hosts/y"];
    s3.on(ListObjectsV2Command).resolves({
      Contents: names.map((name) => ({ Key: `mail/${name}`, Size: 1, LastModified })),
      CommonPrefixes: [{ Prefix: "mail/host s/" }, { Prefix: "mail/keyring/" }],
      IsTruncated: false,
    });
    const rows = await collect(open().list(""));
    expect(rows).toEqual([{ key: "hosts/y", bytes: 1, receivedAt: LastModified.getTime() }, { prefix: "keyring/" }]);
  });
});
