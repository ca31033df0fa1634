import { createHash } from "node:crypto";
import { notImplemented, S3Error } from "./errors.ts";

type Headers = Readonly<Record<string, string>>;

/** What a PUT says of an object beside its bytes, tags and lock. */
export interface Attributes {
  /** `content-type` and its like, and the metadata, as they are given back. */
  readonly headers: Headers;
  readonly storageClass: string;
  readonly encryption: Encryption;
}

export interface Encryption {
  readonly algorithm: "AES256" | "aws:kms" | "customer";
  readonly kmsKeyId?: string | undefined;
  readonly bucketKey?: boolean;
  /** Of a key that the caller holds: SSE-C. */
  readonly customerKeyMd5?: string;
}

const kept = [
  "content-type",
  "content-disposition",
  "content-encoding",
  "content-language",
  "cache-control",
  "expires",
] as const;
const storageClasses = [
  "STANDARD",
  "REDUCED_REDUNDANCY",
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER",
  "DEEP_ARCHIVE",
  "GLACIER_IR",
];
const largestMetadata = 2048;

export function attributesOf(headers: Headers, bucket: { readonly kmsKeyId: string | undefined }): Attributes {
  checkAccessList(headers);
  const storageClass = headers["x-amz-storage-class"] ?? "STANDARD";
  if (!storageClasses.includes(storageClass)) {
    throw new S3Error("InvalidStorageClass", "The storage class you specified is not valid");
  }
  return { headers: keptHeaders(headers), storageClass, encryption: encryptionOf(headers, bucket) };
}

/** Buckets are made without access lists nowadays ("bucket owner enforced"): only this one changes nothing. */
function checkAccessList(headers: Headers): void {
  const grants = Object.keys(headers).some((name) => name.startsWith("x-amz-grant-"));
  if (grants || ![undefined, "bucket-owner-full-control"].includes(headers["x-amz-acl"])) {
    throw new S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs");
  }
}

function keptHeaders(headers: Headers): Headers {
  const metadata = Object.entries(headers).filter(([name]) => name.startsWith("x-amz-meta-"));
  const size = metadata.reduce((sum, [name, value]) => sum + name.length - "x-amz-meta-".length + value.length, 0);
  if (size > largestMetadata) {
    throw new S3Error("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size");
  }
  const encoding = headers["content-encoding"]
    ?.split(/\s*,\s*/)
    .filter((each) => each !== "aws-chunked" && each !== "")
    .join(",");
  const plain = kept.flatMap((name) => {
    const value = name === "content-encoding" ? encoding : headers[name];
    return value === undefined || value === "" ? [] : [[name, value]];
  });
  return { "content-type": "binary/octet-stream", ...Object.fromEntries(plain), ...Object.fromEntries(metadata) };
}

function encryptionOf(headers: Headers, bucket: { readonly kmsKeyId: string | undefined }): Encryption {
  const algorithm = headers["x-amz-server-side-encryption"];
  const kmsKeyId = headers["x-amz-server-side-encryption-aws-kms-key-id"];
  const customerKeyMd5 = customerKeyOf(headers);
  if (customerKeyMd5 !== undefined) {
    if (algorithm !== undefined) throw new S3Error("InvalidArgument", "SSE-C and SSE-S3 or SSE-KMS exclude each other");
    return { algorithm: "customer", customerKeyMd5 };
  }
  if (kmsKeyId !== undefined && algorithm !== "aws:kms") {
    throw new S3Error("InvalidArgument", "a KMS key id is given without x-amz-server-side-encryption: aws:kms");
  }
  if (algorithm === "aws:kms") {
    return {
      algorithm,
      kmsKeyId: kmsKeyId ?? bucket.kmsKeyId,
      ...(headers["x-amz-server-side-encryption-bucket-key-enabled"] === "true" && { bucketKey: true }),
    };
  }
  if (algorithm !== undefined && algorithm !== "AES256") throw notImplemented(`server-side encryption "${algorithm}"`);
  if (algorithm === undefined && bucket.kmsKeyId !== undefined)
    return { algorithm: "aws:kms", kmsKeyId: bucket.kmsKeyId };
  return { algorithm: "AES256" };
}

/** The MD5 of the key that the caller sends for SSE-C. */
export function customerKeyOf(headers: Headers): string | undefined {
  const name = "x-amz-server-side-encryption-customer";
  const [algorithm, key, md5] = [headers[`${name}-algorithm`], headers[`${name}-key`], headers[`${name}-key-md5`]];
  if (algorithm === undefined && key === undefined && md5 === undefined) return undefined;
  const bytes = Buffer.from(key ?? "", "base64");
  if (algorithm !== "AES256" || bytes.length !== 32 || createHash("md5").update(bytes).digest("base64") !== md5) {
    throw new S3Error("InvalidArgument", "The customer's key, its algorithm and its MD5 do not belong together");
  }
  return md5;
}

/** An ETag is the MD5 of the bytes only where S3's own keys encrypt them. */
export function etagIsMd5({ encryption }: Attributes): boolean {
  return encryption.algorithm === "AES256";
}

export function encryptionHeaders({ encryption }: Attributes): Record<string, string> {
  const { algorithm, kmsKeyId, bucketKey, customerKeyMd5 } = encryption;
  if (algorithm === "customer") {
    return {
      "x-amz-server-side-encryption-customer-algorithm": "AES256",
      "x-amz-server-side-encryption-customer-key-md5": customerKeyMd5!,
    };
  }
  return {
    "x-amz-server-side-encryption": algorithm,
    ...(kmsKeyId !== undefined && { "x-amz-server-side-encryption-aws-kms-key-id": kmsKeyId }),
    ...(bucketKey && { "x-amz-server-side-encryption-bucket-key-enabled": "true" }),
  };
}
