import { Bucket } from "./bucket.ts";
import { malformedXml, S3Error } from "./errors.ts";
import { type Exchange, type Reply, xmlReply } from "./exchange.ts";
import { type LockConfiguration, lockConfiguration, lockConfigurationDocument, requireLock } from "./object-lock.ts";
import { childrenOf, element, textOf, Xml, xmlDocument } from "./xml.ts";

export async function createBucket(exchange: Exchange): Promise<Reply> {
  const { call, world } = exchange;
  if (call.headers["content-length"] !== undefined && call.headers["content-length"] !== "0") {
    const document = await exchange.document("CreateBucketConfiguration");
    childrenOf(document, ["LocationConstraint"]);
    const region = textOf(document, "LocationConstraint");
    if (region !== undefined && region !== world.region) {
      throw new S3Error("InvalidRequest", "The specified location-constraint is not valid");
    }
  }
  if (world.buckets.has(call.bucket)) {
    throw new S3Error("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded.");
  }
  const bucket = makeBucket({
    name: call.bucket,
    createdAt: world.clock.now(),
    objectLock: call.headers["x-amz-bucket-object-lock-enabled"]?.toLowerCase() === "true",
  });
  world.buckets.set(bucket.name, bucket);
  return { status: 200, headers: { location: `/${bucket.name}` } };
}

/** @throws S3Error when the name is none for a bucket. */
export function makeBucket(wanted: {
  readonly name: string;
  readonly createdAt: number;
  readonly versioned?: boolean | undefined;
  readonly objectLock?: boolean | undefined;
  readonly keptByDefault?: LockConfiguration["default"];
  readonly kmsKeyId?: string | undefined;
}): Bucket {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(wanted.name)) {
    throw new S3Error("InvalidBucketName", "The specified bucket is not valid.");
  }
  const bucket = new Bucket(wanted);
  if (wanted.versioned || wanted.objectLock) bucket.versioning = "Enabled";
  if (wanted.objectLock) bucket.lock = { default: wanted.keptByDefault };
  return bucket;
}

export function headBucket({ bucket, world }: Exchange): Reply {
  return bucket && { status: 200, headers: { "x-amz-bucket-region": world.region } };
}

export function deleteBucket({ bucket, world }: Exchange): Reply {
  if (!bucket.empty) throw new S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty");
  world.buckets.delete(bucket.name);
  return { status: 204 };
}

export function getBucketLocation({ bucket, world }: Exchange): Reply {
  const region = world.region === "us-east-1" ? "" : world.region;
  return bucket && xmlReply(xmlDocument("LocationConstraint", [new Xml(region)]));
}

export function getBucketVersioning({ bucket }: Exchange): Reply {
  return xmlReply(xmlDocument("VersioningConfiguration", [element("Status", bucket.versioning)]));
}

export async function putBucketVersioning(exchange: Exchange): Promise<Reply> {
  const document = await exchange.document("VersioningConfiguration");
  childrenOf(document, ["Status"]);
  const status = textOf(document, "Status");
  if (status !== "Enabled" && status !== "Suspended") throw malformedXml();
  const { bucket } = exchange;
  if (status === "Suspended" && bucket.lock !== undefined) {
    throw new S3Error(
      "InvalidBucketState",
      "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
    );
  }
  bucket.versioning = status;
  return { status: 200 };
}

export function getBucketEncryption({ bucket }: Exchange): Reply {
  const algorithm = bucket.kmsKeyId === undefined ? "AES256" : "aws:kms";
  const byDefault = [element("SSEAlgorithm", algorithm), element("KMSMasterKeyID", bucket.kmsKeyId)];
  const rule = element("Rule", [
    element("ApplyServerSideEncryptionByDefault", byDefault),
    element("BucketKeyEnabled", false),
  ]);
  return xmlReply(xmlDocument("ServerSideEncryptionConfiguration", [rule]));
}

export function getObjectLockConfiguration({ bucket }: Exchange): Reply {
  if (bucket.lock === undefined) {
    throw new S3Error(
      "ObjectLockConfigurationNotFoundError",
      "Object Lock configuration does not exist for this bucket",
    );
  }
  return xmlReply(xmlDocument("ObjectLockConfiguration", lockConfigurationDocument(bucket.lock)));
}

export async function putObjectLockConfiguration(exchange: Exchange): Promise<Reply> {
  const configuration = lockConfiguration(await exchange.document("ObjectLockConfiguration"));
  requireLock(exchange.bucket.lock);
  exchange.bucket.lock = configuration;
  return { status: 200 };
}
