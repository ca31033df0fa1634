import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { type Credential, createOnly, type Need } from "../../../sandbox/cloud/s3/credentials.ts";
import { owner, s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";

const denied = { name: "AccessDenied" };
const kmsKeyId = "arn:aws:kms:us-east-1:1:key/data";
const host: Credential = {
  accessKeyId: "ASIAHOST",
  secretAccessKey: "the host's secret",
  sessionToken: "the host's token",
  name: "host",
  allow: createOnly("vault", "hosts/h1/"),
};

/** A vault as on AWS (versions, a KMS key), with an object of this host, one of another, and the host's client. */
async function vault() {
  const buckets = [{ name: "vault", versioned: true, objectLock: true, kmsKeyId }];
  const server = await sandboxS3({ credentials: [owner, host], buckets });
  const s3 = s3Client(server);
  for (const Key of ["hosts/h1/old", "hosts/h2/old"]) {
    await s3.send(new PutObjectCommand({ Bucket: "vault", Key, Body: Key }));
  }
  server.requests.length = 0;
  return { server, s3, client: s3Client(server, host) };
}

describe("create-only credentials", () => {
  test("are enough to create an object, whole or in parts, and to abort", async () => {
    const { server, client } = await vault();
    const at = { Bucket: "vault", Key: "hosts/h1/new" };
    const first = await client.send(new PutObjectCommand({ ...at, Body: "bytes", IfNoneMatch: "*" }));
    expect(first).toMatchObject({ ServerSideEncryption: "aws:kms", SSEKMSKeyId: kmsKeyId });
    const other = { ...at, Key: "hosts/h1/parts", ChecksumAlgorithm: "CRC64NVME" } as const;
    const begin = async () => (await client.send(new CreateMultipartUploadCommand(other))).UploadId;
    const UploadId = await begin();
    const { ETag } = await client.send(new UploadPartCommand({ ...other, UploadId, PartNumber: 1, Body: "bytes" }));
    const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
    const complete = { Bucket: other.Bucket, Key: other.Key, UploadId, MultipartUpload };
    await expect(client.send(new CompleteMultipartUploadCommand(complete))).rejects.toMatchObject(denied);
    await client.send(new CompleteMultipartUploadCommand({ ...complete, IfNoneMatch: "*" }));
    const { Bucket, Key } = other;
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId: await begin() }));
    expect(new Set(server.requests.map(({ who }) => who))).toEqual(new Set(["host"]));
  });

  const own = { Bucket: "vault", Key: "hosts/h1/old" };
  const fresh = { Bucket: "vault", Key: "hosts/h1/new", Body: "x", IfNoneMatch: "*" };
  const Retention = { Mode: "COMPLIANCE", RetainUntilDate: new Date(Date.now() + 86_400_000) } as const;
  const { Mode: ObjectLockMode, RetainUntilDate: ObjectLockRetainUntilDate } = Retention;

  test.each([
    ["read", new GetObjectCommand(own)],
    ["look at what is there", new HeadObjectCommand(own)],
    ["learn what is absent", new HeadObjectCommand({ ...own, Key: "hosts/h1/absent" })],
    ["list", new ListObjectsV2Command({ Bucket: "vault", Prefix: "hosts/h1/" })],
    ["list versions", new ListObjectVersionsCommand({ Bucket: "vault", Prefix: "hosts/h1/" })],
    ["list uploads", new ListMultipartUploadsCommand({ Bucket: "vault" })],
    ["list parts", new ListPartsCommand({ ...own, UploadId: "any" })],
    ["overwrite", new PutObjectCommand({ ...own, Body: "x" })],
    ["overwrite what it knows", new PutObjectCommand({ ...own, Body: "x", IfMatch: "etag" })],
    ["hide", new DeleteObjectCommand(own)],
    ["delete a version", new DeleteObjectCommand({ ...own, VersionId: "any" })],
    ["copy its own", new CopyObjectCommand({ ...fresh, Body: undefined, CopySource: "vault/hosts/h1/old" } as never)],
    ["tag", new PutObjectTaggingCommand({ ...own, Tagging: { TagSet: [] } })],
    ["read tags", new GetObjectTaggingCommand(own)],
    ["retain", new PutObjectRetentionCommand({ ...own, Retention })],
    ["tag what it creates", new PutObjectCommand({ ...fresh, Tagging: "expired=yes" })],
    ["lock what it creates", new PutObjectCommand({ ...fresh, ObjectLockMode, ObjectLockRetainUntilDate })],
    ["choose a storage class", new PutObjectCommand({ ...fresh, StorageClass: "GLACIER" })],
    ["choose an access list", new PutObjectCommand({ ...fresh, ACL: "public-read" })],
    ["grant", new PutObjectCommand({ ...fresh, GrantRead: 'uri="http://acs.amazonaws.com/groups/global/AllUsers"' })],
    ["choose a key", new PutObjectCommand({ ...fresh, ServerSideEncryption: "aws:kms", SSEKMSKeyId: "arn:other" })],
    ["create with another host", new PutObjectCommand({ ...fresh, Key: "hosts/h2/new" })],
    ["create with a host whose name begins alike", new PutObjectCommand({ ...fresh, Key: "hosts/h11/new" })],
    ["create in another bucket", new PutObjectCommand({ ...fresh, Bucket: "other" })],
    ["read how versions are kept", new GetBucketVersioningCommand({ Bucket: "vault" })],
  ] as [string, PutObjectCommand][])("are not enough to %s", async (_, command) => {
    const { server, client } = await vault();
    await expect(client.send(command)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    expect(server.requests).toMatchObject([{ code: "AccessDenied" }]);
  });

  test("delete nothing of many either", async () => {
    const { s3, client } = await vault();
    const Delete = { Objects: [{ Key: own.Key }, { Key: "hosts/h2/old" }] };
    const { Errors, Deleted } = await client.send(new DeleteObjectsCommand({ Bucket: "vault", Delete }));
    expect(Deleted).toBeUndefined();
    expect(Errors?.map(({ Code }) => Code)).toEqual(["AccessDenied", "AccessDenied"]);
    expect((await s3.send(new ListObjectsV2Command({ Bucket: "vault" }))).KeyCount).toBe(2);
  });
});

describe("credentials that may not list", () => {
  test("tell one who may read and not list nothing of what is absent", async () => {
    const reader = { ...owner, allow: ({ action }: Need) => action !== "s3:ListBucket" };
    const s3 = s3Client(await sandboxS3({ credentials: [reader] }));
    await s3.send(new PutObjectCommand({ Bucket: "data", Key: "key", Body: "bytes" }));
    await s3.send(new HeadObjectCommand({ Bucket: "data", Key: "key" }));
    for (const at of [{ Key: "absent" }, { Key: "key", VersionId: "absent" }]) {
      const head = s3.send(new HeadObjectCommand({ Bucket: "data", ...at }));
      await expect(head).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    }
  });
});

describe("what a call needs", () => {
  const needs: Need[] = [];
  const asked = async (command: PutObjectCommand) => {
    const noted: Credential = { ...owner, allow: (need) => needs.push(need) > 0 };
    const buckets = [{ name: "vault", versioned: true, objectLock: true, kmsKeyId }];
    const server = await sandboxS3({ credentials: [noted], buckets });
    needs.length = 0;
    await s3Client(server)
      .send(command)
      .catch(() => {});
    return needs.map(({ action, resource }) => `${action} ${resource.replace("arn:aws:s3:::", "")}`);
  };

  test.each([
    [new GetObjectCommand({ Bucket: "vault", Key: "k" }), ["s3:GetObject vault/k", "s3:ListBucket vault"]],
    [
      new GetObjectCommand({ Bucket: "vault", Key: "k", VersionId: "v" }),
      ["s3:GetObjectVersion vault/k", "s3:ListBucket vault"],
    ],
    [
      new PutObjectCommand({ Bucket: "vault", Key: "k", Body: "x" }),
      ["s3:PutObject vault/k", `kms:GenerateDataKey ${kmsKeyId}`],
    ],
    [
      new PutObjectCommand({
        Bucket: "vault",
        Key: "k",
        Tagging: "a=1",
        Body: "x",
        ACL: "private",
        ObjectLockLegalHoldStatus: "ON",
      }),
      [
        "s3:PutObject vault/k",
        "s3:PutObjectTagging vault/k",
        "s3:PutObjectAcl vault/k",
        "s3:PutObjectLegalHold vault/k",
        `kms:GenerateDataKey ${kmsKeyId}`,
      ],
    ],
    [
      new CreateMultipartUploadCommand({ Bucket: "vault", Key: "k" }),
      ["s3:PutObject vault/k", `kms:GenerateDataKey ${kmsKeyId}`, `kms:Decrypt ${kmsKeyId}`],
    ],
    [new DeleteObjectCommand({ Bucket: "vault", Key: "k" }), ["s3:DeleteObject vault/k"]],
    [
      new DeleteObjectCommand({ Bucket: "vault", Key: "k", VersionId: "v", BypassGovernanceRetention: true }),
      ["s3:DeleteObjectVersion vault/k", "s3:BypassGovernanceRetention vault/k"],
    ],
    [new ListObjectsV2Command({ Bucket: "vault" }), ["s3:ListBucket vault"]],
    [new ListObjectVersionsCommand({ Bucket: "vault" }), ["s3:ListBucketVersions vault"]],
  ] as [PutObjectCommand, string[]][])("%o", async (command, expected) => {
    expect(await asked(command)).toEqual(expected);
  });

  test("comes with the condition keys of the call", async () => {
    await asked(
      new PutObjectCommand({
        Bucket: "vault",
        Key: "k",
        IfNoneMatch: "*",
        Body: "x",
        StorageClass: "GLACIER",
        Tagging: "a=1",
      }),
    );
    expect(needs[0]!.context).toMatchObject({
      "s3:ObjectCreationOperation": "true",
      "s3:if-none-match": "*",
      "s3:x-amz-storage-class": "GLACIER",
      "s3:RequestObjectTag/a": "1",
    });
    await asked(new CreateMultipartUploadCommand({ Bucket: "vault", Key: "k" }) as never);
    expect(needs[0]!.context).toMatchObject({ "s3:ObjectCreationOperation": "false" });
    expect(needs[1]!.context).toEqual({ "kms:ViaService": "s3.us-east-1.amazonaws.com" });
    await asked(new ListObjectsV2Command({ Bucket: "vault", Prefix: "a/", Delimiter: "/", MaxKeys: 5 }) as never);
    expect(needs[0]!.context).toMatchObject({ "s3:prefix": "a/", "s3:delimiter": "/", "s3:max-keys": "5" });
    await asked(new GetObjectCommand({ Bucket: "vault", Key: "k", VersionId: "v" }) as never);
    expect(needs[0]!.context).toMatchObject({ "s3:VersionId": "v" });
  });
});
