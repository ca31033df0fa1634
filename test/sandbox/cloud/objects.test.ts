import { createHash } from "node:crypto";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { raw, rawWithPause } from "../../fixtures/raw-s3.ts";
import { s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";

const at = { Bucket: "data", Key: "key" };
const put = (s3: S3Client, Body: string, more: object = {}) => s3.send(new PutObjectCommand({ ...at, Body, ...more }));
const textOf = async (s3: S3Client, more: object = {}) =>
  (await s3.send(new GetObjectCommand({ ...at, ...more }))).Body!.transformToString();

describe("an object", () => {
  test("comes back with what was said of it", async () => {
    const s3 = s3Client(await sandboxS3());
    const said = {
      CacheControl: "no-store",
      ContentType: "application/x-pack",
      ContentEncoding: "zstd",
      Metadata: { host: "h1" },
      StorageClass: "STANDARD_IA",
      ServerSideEncryption: "aws:kms",
      SSEKMSKeyId: "arn:aws:kms:us-east-1:1:key/k",
      BucketKeyEnabled: true,
    } as const;
    const answer = await put(s3, "bytes", { ...said, Tagging: "a=1&b=2" });
    const {
      CacheControl: _1,
      ContentType: _2,
      ContentEncoding: _3,
      Metadata: _4,
      StorageClass: _5,
      ...encryption
    } = said;
    expect(answer).toMatchObject(encryption);
    expect(await s3.send(new HeadObjectCommand(at))).toMatchObject({ ...said, ContentLength: 5, TagCount: 2 });
  });

  test("has the MD5 as its ETag only under S3's own keys", async () => {
    const s3 = s3Client(await sandboxS3());
    const md5 = `"${createHash("md5").update("bytes").digest("hex")}"`;
    expect((await put(s3, "bytes")).ETag).toBe(md5);
    const { ETag } = await put(s3, "bytes", { ServerSideEncryption: "aws:kms" });
    expect(ETag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(ETag).not.toBe(md5);
  });

  test.each([
    ["bytes=0-0", "0", "bytes 0-0/10"],
    ["bytes=3-5", "345", "bytes 3-5/10"],
    ["bytes=7-", "789", "bytes 7-9/10"],
    ["bytes=-2", "89", "bytes 8-9/10"],
    ["bytes=8-100", "89", "bytes 8-9/10"],
  ])("is read in the range %s", async (Range, text, ContentRange) => {
    const s3 = s3Client(await sandboxS3());
    await put(s3, "0123456789");
    const got = await s3.send(new GetObjectCommand({ ...at, Range }));
    expect([got.$metadata.httpStatusCode, got.ContentRange]).toEqual([206, ContentRange]);
    expect(await got.Body!.transformToString()).toBe(text);
  });

  test("has no range behind its end", async () => {
    const s3 = s3Client(await sandboxS3());
    await put(s3, "0123456789");
    for (const Range of ["bytes=10-", "bytes=-0"]) {
      await expect(textOf(s3, { Range })).rejects.toMatchObject({ name: "InvalidRange" });
    }
  });

  test("under a customer's key is read with that key alone", async () => {
    const s3 = s3Client(await sandboxS3());
    const keyOf = (text: string) => {
      const key = createHash("sha256").update(text).digest();
      const SSECustomerKeyMD5 = createHash("md5").update(key).digest("base64");
      return { SSECustomerAlgorithm: "AES256", SSECustomerKey: key.toString("base64"), SSECustomerKeyMD5 };
    };
    await put(s3, "bytes", keyOf("one"));
    expect(await textOf(s3, keyOf("one"))).toBe("bytes");
    await expect(textOf(s3)).rejects.toMatchObject({ name: "InvalidRequest" });
    await expect(textOf(s3, keyOf("two"))).rejects.toMatchObject({ name: "InvalidRequest" });
  });

  test("is copied with its metadata and tags, or with others", async () => {
    const s3 = s3Client(await sandboxS3());
    await put(s3, "bytes", { Metadata: { host: "h1" }, Tagging: "a=1" });
    const copy = (Key: string, more: object = {}) =>
      s3.send(new CopyObjectCommand({ Bucket: "plain", Key, CopySource: "data/key", ...more }));
    await copy("same");
    await copy("other", { MetadataDirective: "REPLACE", Metadata: { host: "h2" }, TaggingDirective: "REPLACE" });
    const head = async (Key: string) => s3.send(new HeadObjectCommand({ Bucket: "plain", Key }));
    expect(await head("same")).toMatchObject({ Metadata: { host: "h1" }, TagCount: 1, ContentLength: 5 });
    expect(await head("other")).toMatchObject({ Metadata: { host: "h2" } });
    expect((await head("other")).TagCount).toBeUndefined();
    expect(await textOf(s3, { Bucket: "plain", Key: "same" })).toBe("bytes");
    await expect(copy("same", { IfNoneMatch: "*" })).rejects.toMatchObject({ name: "PreconditionFailed" });
  });

  test("has tags, which change without a new version", async () => {
    const s3 = s3Client(await sandboxS3());
    const { VersionId } = await put(s3, "bytes");
    const tags = async () => (await s3.send(new GetObjectTaggingCommand(at))).TagSet;
    const TagSet = [{ Key: "expired", Value: "2026-11-22" }];
    await s3.send(new PutObjectTaggingCommand({ ...at, Tagging: { TagSet } }));
    expect(await tags()).toEqual(TagSet);
    expect((await s3.send(new HeadObjectCommand(at))).VersionId).toBe(VersionId);
    await s3.send(new DeleteObjectTaggingCommand(at));
    expect(await tags()).toEqual([]);
    const twice = s3.send(new PutObjectTaggingCommand({ ...at, Tagging: { TagSet: [...TagSet, ...TagSet] } }));
    await expect(twice).rejects.toMatchObject({ name: "InvalidTag" });
  });
});

describe("versions", () => {
  test("are kept, and read and removed by their ids", async () => {
    const s3 = s3Client(await sandboxS3());
    const { VersionId: first } = await put(s3, "first");
    const { VersionId: second } = await put(s3, "second");
    expect(await textOf(s3)).toBe("second");
    expect(await textOf(s3, { VersionId: first })).toBe("first");
    await s3.send(new DeleteObjectCommand({ ...at, VersionId: second }));
    expect(await textOf(s3)).toBe("first");
    await expect(textOf(s3, { VersionId: second })).rejects.toMatchObject({ name: "NoSuchVersion" });
  });

  test("are hidden by a delete marker, and not lost", async () => {
    const s3 = s3Client(await sandboxS3());
    const { VersionId: first } = await put(s3, "first");
    const { DeleteMarker, VersionId: marker } = await s3.send(new DeleteObjectCommand(at));
    expect(DeleteMarker).toBe(true);
    await expect(textOf(s3)).rejects.toMatchObject({ name: "NoSuchKey" });
    await expect(textOf(s3, { VersionId: marker })).rejects.toMatchObject({ name: "MethodNotAllowed" });
    expect(await textOf(s3, { VersionId: first })).toBe("first");
    await s3.send(new DeleteObjectCommand({ ...at, VersionId: marker }));
    expect(await textOf(s3)).toBe("first");
  });

  test("are not kept in a bucket without them", async () => {
    const s3 = s3Client(await sandboxS3());
    const plain = { Bucket: "plain" };
    expect((await put(s3, "first", plain)).VersionId).toBeUndefined();
    await put(s3, "second", plain);
    expect(await textOf(s3, plain)).toBe("second");
    expect((await s3.send(new DeleteObjectCommand({ ...at, ...plain }))).DeleteMarker).toBeUndefined();
    await expect(textOf(s3, plain)).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  test("that are suspended leave the older ones alone", async () => {
    const s3 = s3Client(await sandboxS3());
    const { VersionId: kept } = await put(s3, "kept");
    const VersioningConfiguration = { Status: "Suspended" } as const;
    await s3.send(new PutBucketVersioningCommand({ Bucket: "data", VersioningConfiguration }));
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket: "data" }))).Status).toBe("Suspended");
    await put(s3, "second");
    expect((await put(s3, "third")).VersionId).toBe("null");
    expect(await textOf(s3, { VersionId: kept })).toBe("kept");
    expect((await s3.send(new DeleteObjectCommand(at))).VersionId).toBe("null");
    expect(await textOf(s3, { VersionId: kept })).toBe("kept");
  });

  test("are removed many at a time, each with its own outcome", async () => {
    const s3 = s3Client(await sandboxS3());
    const { VersionId } = await put(s3, "first");
    const Objects = [{ Key: "key", VersionId }, { Key: "absent" }];
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket: "data", Delete: { Objects } }));
    expect(Deleted).toMatchObject([
      { Key: "key", VersionId },
      { Key: "absent", DeleteMarker: true },
    ]);
    await expect(textOf(s3)).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  test("are overwritten while their rule is off", async () => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    server.rules.versions = false;
    const { VersionId } = await put(s3, "first");
    await put(s3, "second");
    expect(await textOf(s3, { VersionId })).toBe("second");
  });
});

describe("a conditional put", () => {
  test("creates once", async () => {
    const s3 = s3Client(await sandboxS3());
    await put(s3, "first", { IfNoneMatch: "*" });
    const again = put(s3, "second", { IfNoneMatch: "*" });
    await expect(again).rejects.toMatchObject({ name: "PreconditionFailed", $metadata: { httpStatusCode: 412 } });
    expect(await textOf(s3)).toBe("first");
  });

  test("passes over a delete marker", async () => {
    const s3 = s3Client(await sandboxS3());
    await put(s3, "first");
    await s3.send(new DeleteObjectCommand(at));
    await put(s3, "second", { IfNoneMatch: "*" });
    expect(await textOf(s3)).toBe("second");
  });

  test("replaces only what it names", async () => {
    const s3 = s3Client(await sandboxS3());
    const { ETag } = await put(s3, "first");
    await put(s3, "second", { IfMatch: ETag });
    await expect(put(s3, "third", { IfMatch: ETag })).rejects.toMatchObject({ name: "PreconditionFailed" });
    expect(await textOf(s3)).toBe("second");
  });

  test.each([
    ["created", (s3: S3Client) => put(s3, "theirs"), "theirs"],
    [
      "created and hidden",
      async (s3: S3Client) => put(s3, "x").then(() => s3.send(new DeleteObjectCommand(at))),
      undefined,
    ],
  ])("conflicts with a call that has %s the key meanwhile", async (_, meanwhile, left) => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    const headers = { "if-none-match": "*" };
    const asked = { method: "PUT", path: "/data/key", headers, body: Buffer.from("0123456789") };
    const answer = await rawWithPause(server.url, asked, async () => {
      await expect.poll(() => server.requests[0]?.bytesIn).toBe(5);
      await meanwhile(s3);
    });
    expect(answer).toMatchObject({ status: 409, code: "ConditionalRequestConflict" });
    if (left !== undefined) expect(await textOf(s3)).toBe(left);
    else await expect(textOf(s3)).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  test("is an ordinary one while its rule is off", async () => {
    const server = await sandboxS3();
    server.rules.conditions = false;
    const s3 = s3Client(server);
    await put(s3, "first", { IfNoneMatch: "*" });
    await put(s3, "second", { IfNoneMatch: "*" });
    expect(await textOf(s3)).toBe("second");
  });

  test("of two at the same time lets exactly one pass", async () => {
    const s3 = s3Client(await sandboxS3());
    const all = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => put(s3, `${n}`, { IfNoneMatch: "*" })));
    const winner = all.findIndex(({ status }) => status === "fulfilled");
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await textOf(s3)).toBe(String(winner));
  });
});

describe("what the server does not know it refuses by name", () => {
  test.each<[string, string, Record<string, string>, string]>([
    ["GET", "/data?policy", {}, "GET on a bucket with policy"],
    ["GET", "/data", {}, "GET on a bucket"],
    ["GET", "/data?list-type=2&marker=a", {}, "marker"],
    ["GET", "/data/key?partNumber=1", {}, "partNumber"],
    ["GET", "/data/key?response-content-type=a", {}, "response-content-type"],
    ["PUT", "/data/key", { "x-amz-website-redirect-location": "/" }, "x-amz-website-redirect-location"],
    ["PUT", "/data/key", { "x-amz-checksum-xxhash3": "AAAA" }, "x-amz-checksum-xxhash3"],
    ["PUT", "/data/key", { "if-none-match": '"etag"' }, "If-None-Match"],
    ["GET", "/data/key", { "if-modified-since": "Sun, 22 Nov 2026 00:00:00 GMT" }, "if-modified-since"],
    ["PUT", "/data/key?partNumber=1&uploadId=x", { "x-amz-copy-source": "data/key" }, "partNumber"],
    ["PATCH", "/data/key", {}, "PATCH"],
  ])("%s %s %o", async (method, path, headers, named) => {
    const server = await sandboxS3();
    const answer = await raw(server.url, { method, path, headers });
    expect(answer).toMatchObject({ status: 501, code: "NotImplemented" });
    expect(answer.text).toContain(named);
  });

  test("and a bucket in the host's name", async () => {
    const server = await sandboxS3();
    const answer = await raw(server.url, { method: "GET", path: "/key", headers: { host: "data.localhost" } });
    expect(answer.code).toBe("NotImplemented");
  });

  test.each([
    ["no XML", "<Delete", "MalformedXML"],
    ["another document", "<Tagging/>", "MalformedXML"],
    ["an unknown element", "<Delete><Thing/></Delete>", "MalformedXML"],
    ["an attribute", '<Delete a="1"><Object><Key>a</Key></Object></Delete>', "MalformedXML"],
    [
      "an entity of its own",
      '<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
      "MalformedXML",
    ],
    ["an entity that nobody knows", "<Delete><Object><Key>&b;</Key></Object></Delete>", "MalformedXML"],
    ["two roots", "<Delete/><Delete/>", "MalformedXML"],
    ["endless depth", `${"<Delete>".repeat(100_000)}`, "MalformedXML"],
    ["five megabytes", `<Delete>${" ".repeat(5_000_000)}</Delete>`, "MaxMessageLengthExceeded"],
    ["no row", "<Delete></Delete>", "MalformedXML"],
  ])("a document with %s", async (_, body, code) => {
    const server = await sandboxS3();
    const headers = { "content-md5": createHash("md5").update(body).digest("base64") };
    expect((await raw(server.url, { method: "POST", path: "/data?delete", headers, body })).code).toBe(code);
  });
});
