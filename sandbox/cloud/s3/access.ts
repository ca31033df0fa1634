import type { Version } from "./bucket.ts";
import type { Need } from "./credentials.ts";
import type { OperationName } from "./operations.ts";
import { tagsOfHeader } from "./tags.ts";

/** What is known of a call when it is judged. */
export interface Judged {
  readonly operation: OperationName;
  readonly region: string;
  /** Empty where the call names none. */
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string>>;
  /** The version that the call names, or the newest one; absent: there is none, or it is a delete marker. */
  readonly existing: Version | undefined;
  /** The KMS key that encrypts what the bucket gets, where the call names none. */
  readonly kmsKeyId: string | undefined;
  readonly now: number;
}

/**
 * Everything that a call does, in the words of IAM. A call passes when its caller may do each of these.
 * Sources: "Required permissions for Amazon S3 API operations" and "Actions, resources, and condition keys for Amazon
 * S3" (service authorization reference).
 */
export function needsOf(call: Judged): readonly Need[] {
  return table[call.operation](call);
}

/** To know that an object is absent, one must be allowed to list. */
export function listing(bucket: string, key: string): Need {
  return { action: "s3:ListBucket", resource: bucketArn(bucket), context: { "s3:prefix": key } };
}

/** What one row of `DeleteObjects`, or `DeleteObject`, needs. */
export function deleting(call: Judged, key: string, versionId: string | undefined): readonly Need[] {
  const context = { ...version(versionId), ...existingTags(call) };
  return [
    need(versionId === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion", objectArn(call.bucket, key), context),
    ...(bypasses(call) ? [need("s3:BypassGovernanceRetention", objectArn(call.bucket, key), context)] : []),
  ];
}

/** What reading the source of `CopyObject` needs. */
export function copying(
  call: Judged,
  source: { readonly bucket: string; readonly key: string; readonly versionId: string | undefined },
  existing: Version | undefined,
): readonly Need[] {
  return reading({ ...call, ...source, query: versionQuery(source.versionId), existing });
}

type Needs = (call: Judged) => readonly Need[];

const table: Record<OperationName, Needs> = {
  ListBuckets: () => [need("s3:ListAllMyBuckets", "*")],
  CreateBucket: (call) => [
    ...onBucket("s3:CreateBucket")(call),
    ...(call.headers["x-amz-bucket-object-lock-enabled"] === "true"
      ? [...onBucket("s3:PutBucketObjectLockConfiguration")(call), ...onBucket("s3:PutBucketVersioning")(call)]
      : []),
  ],
  HeadBucket: onBucket("s3:ListBucket"),
  DeleteBucket: onBucket("s3:DeleteBucket"),
  GetBucketLocation: onBucket("s3:GetBucketLocation"),
  GetBucketVersioning: onBucket("s3:GetBucketVersioning"),
  PutBucketVersioning: onBucket("s3:PutBucketVersioning"),
  GetBucketEncryption: onBucket("s3:GetEncryptionConfiguration"),
  GetObjectLockConfiguration: onBucket("s3:GetBucketObjectLockConfiguration"),
  PutObjectLockConfiguration: onBucket("s3:PutBucketObjectLockConfiguration"),
  ListObjectsV2: onBucket("s3:ListBucket"),
  ListObjectVersions: onBucket("s3:ListBucketVersions"),
  ListMultipartUploads: onBucket("s3:ListBucketMultipartUploads"),
  /** Judged row by row: {@link deleting}. */
  DeleteObjects: () => [],

  PutObject: (call) => [...writing(call, true), ...encrypting(call)],
  /** Its source is judged when it is known: {@link copying}. */
  CopyObject: (call) => [...writing(call, true), ...encrypting(call)],
  GetObject: reading,
  HeadObject: reading,
  DeleteObject: (call) => deleting(call, call.key, call.query.get("versionId")),

  CreateMultipartUpload: (call) => [...writing(call, false), ...encrypting(call), ...decrypting(call, kmsKeyOf(call))],
  UploadPart: (call) => [...writing(call, false), ...encrypting(call), ...decrypting(call, kmsKeyOf(call))],
  CompleteMultipartUpload: (call) => [...writing(call, true), ...decrypting(call, kmsKeyOf(call))],
  AbortMultipartUpload: onObject("s3:AbortMultipartUpload"),
  ListParts: onObject("s3:ListMultipartUploadParts"),

  GetObjectTagging: onVersion("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
  PutObjectTagging: onVersion("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
  DeleteObjectTagging: onVersion("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
  GetObjectRetention: onObject("s3:GetObjectRetention"),
  PutObjectRetention: (call) => [
    ...onObject("s3:PutObjectRetention")(call),
    ...(bypasses(call) ? onObject("s3:BypassGovernanceRetention")(call) : []),
  ],
  GetObjectLegalHold: onObject("s3:GetObjectLegalHold"),
  PutObjectLegalHold: onObject("s3:PutObjectLegalHold"),
};

/** Condition keys that are a header, or a query parameter, of the call. */
const headerKeys = [
  "if-match",
  "if-none-match",
  "x-amz-acl",
  "x-amz-content-sha256",
  "x-amz-copy-source",
  "x-amz-metadata-directive",
  "x-amz-server-side-encryption",
  "x-amz-server-side-encryption-aws-kms-key-id",
  "x-amz-server-side-encryption-customer-algorithm",
  "x-amz-storage-class",
];
const lockKeys = {
  "x-amz-object-lock-mode": "s3:object-lock-mode",
  "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
  "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
};
const queryKeys = ["delimiter", "max-keys", "prefix"];

function writing(call: Judged, creates: boolean): readonly Need[] {
  const { headers, now } = call;
  const tags = [...tagsOfHeader(headers["x-amz-tagging"])];
  const until = headers["x-amz-object-lock-retain-until-date"];
  const context = {
    ...contextOf(call),
    "s3:ObjectCreationOperation": String(creates),
    ...Object.fromEntries(
      Object.entries(lockKeys).flatMap(([header, key]) => (headers[header] ? [[key, headers[header]]] : [])),
    ),
    ...(until && {
      "s3:object-lock-remaining-retention-days": String(Math.floor((Date.parse(until) - now) / 86_400_000)),
    }),
    ...Object.fromEntries(tags.map(([key, value]) => [`s3:RequestObjectTag/${key}`, value])),
    ...(tags.length > 0 && { "s3:RequestObjectTagKeys": tags.map(([key]) => key).join(",") }),
  };
  const sends = (header: string) => Object.keys(headers).some((name) => name.startsWith(header));
  const actions = [
    "s3:PutObject",
    ...(sends("x-amz-tagging") ? ["s3:PutObjectTagging"] : []),
    ...(sends("x-amz-acl") || sends("x-amz-grant-") ? ["s3:PutObjectAcl"] : []),
    ...(sends("x-amz-object-lock-mode") || sends("x-amz-object-lock-retain") ? ["s3:PutObjectRetention"] : []),
    ...(sends("x-amz-object-lock-legal-hold") ? ["s3:PutObjectLegalHold"] : []),
  ];
  return actions.map((action) => need(action, objectArn(call.bucket, call.key), context));
}

function reading(call: Judged): readonly Need[] {
  return [
    ...onVersion("s3:GetObject", "s3:GetObjectVersion")(call),
    ...decrypting(call, call.existing?.content?.attributes.encryption.kmsKeyId),
  ];
}

function encrypting(call: Judged): readonly Need[] {
  return kms("kms:GenerateDataKey", call, kmsKeyOf(call));
}

function decrypting(call: Judged, kmsKeyId: string | undefined): readonly Need[] {
  return kms("kms:Decrypt", call, kmsKeyId);
}

function kms(action: string, { region }: Judged, kmsKeyId: string | undefined): readonly Need[] {
  if (kmsKeyId === undefined) return [];
  return [need(action, kmsKeyId, { "kms:ViaService": `s3.${region}.amazonaws.com` })];
}

function kmsKeyOf({ headers, kmsKeyId }: Judged): string | undefined {
  if (headers["x-amz-server-side-encryption-customer-algorithm"] !== undefined) return undefined;
  if (headers["x-amz-server-side-encryption"] === "AES256") return undefined;
  return headers["x-amz-server-side-encryption-aws-kms-key-id"] ?? kmsKeyId;
}

function onBucket(action: string): Needs {
  return (call) => [need(action, bucketArn(call.bucket), contextOf(call))];
}

function onObject(action: string): Needs {
  return (call) => [need(action, objectArn(call.bucket, call.key), { ...contextOf(call), ...existingTags(call) })];
}

function onVersion(action: string, withVersion: string): Needs {
  return (call) => onObject(call.query.has("versionId") ? withVersion : action)(call);
}

function need(action: string, resource: string, context: Need["context"] = {}): Need {
  return { action, resource, context };
}

function contextOf({ headers, query }: Judged): Record<string, string> {
  const found = [
    ...headerKeys.map((name) => [`s3:${name}`, headers[name]]),
    ...queryKeys.map((name) => [`s3:${name}`, query.get(name)]),
    ["s3:VersionId", query.get("versionId")],
  ];
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

function existingTags({ existing }: Judged): Record<string, string> {
  return Object.fromEntries(
    [...(existing?.content?.tags ?? [])].map(([key, value]) => [`s3:ExistingObjectTag/${key}`, value]),
  );
}

function version(versionId: string | undefined): Record<string, string> {
  return versionId === undefined ? {} : { "s3:VersionId": versionId };
}

function versionQuery(versionId: string | undefined): ReadonlyMap<string, string> {
  return new Map(versionId === undefined ? [] : [["versionId", versionId]]);
}

function bypasses({ headers }: Judged): boolean {
  return headers["x-amz-bypass-governance-retention"]?.toLowerCase() === "true";
}

function bucketArn(bucket: string): string {
  return `arn:aws:s3:::${bucket}`;
}

function objectArn(bucket: string, key: string): string {
  return `arn:aws:s3:::${bucket}/${key}`;
}
