import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";

/** What an attack has before it: two hosts' stored objects, and a client with what was stolen. */
export interface Field {
  /** Signs as the host whose root is in hostile hands. */
  readonly client: S3Client;
  /** The same session over plain HTTP, and over a TLS that is too old. */
  readonly overHttp: S3Client;
  readonly overOldTls: S3Client;
  readonly data: string;
  readonly keyring: string;
  readonly control: string;
  readonly logs: string;
  /** `aws:userid` of the stolen session, and of another host. */
  readonly own: string;
  readonly other: string;
  readonly vaultKey: string;
  readonly otherKey: string;
  /** Of the stolen host's manifest. */
  readonly version: string;
  readonly etag: string;
  /** An upload of the other host, and one of the own, begun by the owner of the account over the own manifest. */
  readonly othersUpload: string;
  readonly ownUpload: { readonly id: string; readonly etag: string; readonly crc32: string };
}

/** Resolves when the attacker got what he wanted. */
export type Attack = (field: Field) => Promise<unknown>;

const far = new Date("2099-01-01T00:00:00Z");
const manifest = (id: string) => `hosts/${id}/mail/s1/manifest.json`;
const stored = ({ data, own }: Field) => ({ Bucket: data, Key: manifest(own) });
const others = ({ data, other }: Field) => ({ Bucket: data, Key: manifest(other) });
const sealed = ({ keyring }: Field, id: string) => ({ Bucket: keyring, Key: `keyring/${id}/o1/k1.age` });
const fresh = ({ data, own }: Field) => ({
  Bucket: data,
  Key: `hosts/${own}/mail/s2/0001.pack`,
  Body: "x",
  IfNoneMatch: "*",
});
const put = (change: (field: Field) => Partial<PutObjectCommandInput>) => (field: Field) =>
  field.client.send(new PutObjectCommand({ ...fresh(field), ...change(field) }));
const expired = { TagSet: [{ Key: "mailark-expired", Value: "true" }] };

/** What would read, or tell of what is there. */
export const curious = {
  "read what it stored": (f) => f.client.send(new GetObjectCommand(stored(f))),
  "read it by its version": (f) => f.client.send(new GetObjectCommand({ ...stored(f), VersionId: f.version })),
  "ask whether it is there": (f) => f.client.send(new HeadObjectCommand(stored(f))),
  "read what another host stored": (f) => f.client.send(new GetObjectCommand(others(f))),
  "read its own keys": (f) => f.client.send(new GetObjectCommand(sealed(f, f.own))),
  "read another host's keys": (f) => f.client.send(new GetObjectCommand(sealed(f, f.other))),
  "read what the controller holds of it": (f) =>
    f.client.send(new GetObjectCommand({ Bucket: f.control, Key: "control/latest/x.json" })),
  "list what it stored": (f) => f.client.send(new ListObjectsV2Command({ Bucket: f.data, Prefix: `hosts/${f.own}/` })),
  "list the fleet": (f) => f.client.send(new ListObjectsV2Command({ Bucket: f.data, Delimiter: "/" })),
  "list the keyring": (f) => f.client.send(new ListObjectsV2Command({ Bucket: f.keyring })),
  "list which requests were logged": (f) => f.client.send(new ListObjectsV2Command({ Bucket: f.logs })),
  "list versions": (f) => f.client.send(new ListObjectVersionsCommand({ Bucket: f.data })),
  "list uploads": (f) => f.client.send(new ListMultipartUploadsCommand({ Bucket: f.data })),
  "list the parts of an upload": (f) => f.client.send(new ListPartsCommand({ ...others(f), UploadId: f.othersUpload })),
  "list the account's buckets": (f) => f.client.send(new ListBucketsCommand({})),
  "read tags": (f) => f.client.send(new GetObjectTaggingCommand(stored(f))),
  "copy what another host stored to its own place": (f) =>
    f.client.send(
      new CopyObjectCommand({
        Bucket: f.data,
        Key: `hosts/${f.own}/copy`,
        CopySource: `${f.data}/${manifest(f.other)}`,
      }),
    ),
} satisfies Record<string, Attack>;

/** What would replace, hide, remove or age out what is there. */
export const destructive = {
  "put other bytes in the place of a manifest": (f) => f.client.send(new PutObjectCommand({ ...stored(f), Body: "x" })),
  "put them there because it knows the old ones": (f) =>
    f.client.send(new PutObjectCommand({ ...stored(f), Body: "x", IfMatch: f.etag })),
  "put other bytes in the place of a key": (f) =>
    f.client.send(new PutObjectCommand({ ...sealed(f, f.own), Body: "x" })),
  "complete an upload over a manifest without the condition": (f) =>
    f.client.send(
      new CompleteMultipartUploadCommand({
        ...stored(f),
        UploadId: f.ownUpload.id,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag: f.ownUpload.etag, ChecksumCRC32: f.ownUpload.crc32 }] },
      }),
    ),
  "copy over a manifest": (f) =>
    f.client.send(
      new CopyObjectCommand({ ...stored(f), CopySource: `elsewhere/public`, MetadataDirective: "REPLACE" }),
    ),
  "hide a manifest behind a delete marker": (f) => f.client.send(new DeleteObjectCommand(stored(f))),
  "delete a version": (f) => f.client.send(new DeleteObjectCommand({ ...stored(f), VersionId: f.version })),
  "delete a version in spite of its lock": (f) =>
    f.client.send(new DeleteObjectCommand({ ...stored(f), VersionId: f.version, BypassGovernanceRetention: true })),
  "delete many at once": async (f) => {
    const { Errors = [] } = await f.client.send(
      new DeleteObjectsCommand({
        Bucket: f.data,
        Delete: { Objects: [{ Key: manifest(f.own) }, { Key: manifest(f.other) }] },
      }),
    );
    if (Errors.length === 2 && Errors.every(({ Code }) => Code === "AccessDenied")) throw denied();
  },
  "delete a key": (f) => f.client.send(new DeleteObjectCommand(sealed(f, f.own))),
  "abort another host's upload": (f) =>
    f.client.send(new AbortMultipartUploadCommand({ ...others(f), UploadId: f.othersUpload })),
  "remove the bucket of logs": (f) => f.client.send(new DeleteBucketCommand({ Bucket: f.logs })),
  "keep no more versions": (f) =>
    f.client.send(new PutBucketVersioningCommand({ Bucket: f.data, VersioningConfiguration: { Status: "Suspended" } })),
  "tag a manifest as expired": (f) => f.client.send(new PutObjectTaggingCommand({ ...stored(f), Tagging: expired })),
  "tag a version as expired": (f) =>
    f.client.send(new PutObjectTaggingCommand({ ...stored(f), VersionId: f.version, Tagging: expired })),
  "take tags away": (f) => f.client.send(new DeleteObjectTaggingCommand(stored(f))),
} satisfies Record<string, Attack>;

/** What would write where, or as what, a host may not. */
export const intrusive = {
  "create an object of another host": put(({ other }) => ({ Key: `hosts/${other}/mail/s2/manifest.json` })),
  "create a key of another host": put(({ keyring, other }) => ({ Bucket: keyring, Key: `keyring/${other}/o1/k2.age` })),
  "create an object beside all hosts": put(() => ({ Key: "index.json" })),
  "create an object whose place begins with its id": put(({ own }) => ({ Key: `hosts/${own}0/mail/s2/manifest.json` })),
  "create a key in the bucket of data": put(({ own }) => ({ Key: `keyring/${own}/o1/k2.age` })),
  "write what the controller believes": put(({ control }) => ({ Bucket: control, Key: "control/latest/y.json" })),
  "begin an upload of another host": (f) =>
    f.client.send(new CreateMultipartUploadCommand({ Bucket: f.data, Key: `hosts/${f.other}/x` })),
  "add a part to another host's upload": (f) =>
    f.client.send(new UploadPartCommand({ ...others(f), UploadId: f.othersUpload, PartNumber: 2, Body: "x" })),
  "store as a class that takes hours to read": put(() => ({ StorageClass: "DEEP_ARCHIVE" })),
  "begin an upload of such a class": (f) =>
    f.client.send(
      new CreateMultipartUploadCommand({ Bucket: f.data, Key: `hosts/${f.own}/x`, StorageClass: "GLACIER" }),
    ),
  "seal with another key of the account": put(({ otherKey }) => ({
    ServerSideEncryption: "aws:kms",
    SSEKMSKeyId: otherKey,
  })),
  "seal with a key of another account": put(() => ({
    ServerSideEncryption: "aws:kms",
    SSEKMSKeyId: "arn:aws:kms:eu-central-1:999999999999:key/1",
  })),
  "seal with S3's own key": put(() => ({ ServerSideEncryption: "AES256" })),
  "seal with a key that only the caller has": put(() => ({
    SSECustomerAlgorithm: "AES256",
    SSECustomerKey: Buffer.alloc(32).toString("base64"),
    SSECustomerKeyMD5: "cLyPS3KoaSFGi/joRBUGhQ==",
  })),
  "let everybody read it": put(() => ({ ACL: "public-read" })),
  "grant somebody to read it": put(() => ({ GrantRead: "id=1" })),
  "name an access list, even the owner's": put(() => ({ ACL: "bucket-owner-full-control" })),
  "store it with the tag of what expires": put(() => ({ Tagging: "mailark-expired=true" })),
  "begin an upload with that tag": (f) =>
    f.client.send(
      new CreateMultipartUploadCommand({ Bucket: f.data, Key: `hosts/${f.own}/x`, Tagging: "mailark-expired=true" }),
    ),
  "store it to be kept until 2099": put(() => ({ ObjectLockMode: "COMPLIANCE", ObjectLockRetainUntilDate: far })),
  "store it on hold": put(() => ({ ObjectLockLegalHoldStatus: "ON" })),
  "have a manifest kept until 2099": (f) =>
    f.client.send(
      new PutObjectRetentionCommand({ ...stored(f), Retention: { Mode: "COMPLIANCE", RetainUntilDate: far } }),
    ),
  "put a manifest on hold": (f) =>
    f.client.send(new PutObjectLegalHoldCommand({ ...stored(f), LegalHold: { Status: "ON" } })),
  "lock what all will store for a century": (f) =>
    f.client.send(
      new PutObjectLockConfigurationCommand({
        Bucket: f.data,
        ObjectLockConfiguration: {
          ObjectLockEnabled: "Enabled",
          Rule: { DefaultRetention: { Mode: "COMPLIANCE", Days: 36_500 } },
        },
      }),
    ),
  "store over plain HTTP": (f) => f.overHttp.send(new PutObjectCommand(fresh(f))),
  "store over a TLS that is broken": (f) => f.overOldTls.send(new PutObjectCommand(fresh(f))),
} satisfies Record<string, Attack>;

export const attacks: Readonly<Record<string, Attack>> = { ...curious, ...destructive, ...intrusive };

function denied(): Error {
  return Object.assign(new Error("each was denied"), { name: "AccessDenied" });
}
