import type { S3Options } from "../s3/server.ts";
import type { Resource, Stack } from "../template/stack.ts";
import { inPlace, only } from "../understood.ts";

type Wanted = NonNullable<S3Options["buckets"]>[number];

/**
 * The buckets of the stacks in one region, as the sandbox's S3 makes them.
 *
 * @throws Error for a property that is not understood, or that this S3 could not keep.
 */
export function bucketsOf(stacks: readonly Stack[], region: string): readonly Wanted[] {
  return stacks
    .filter((stack) => stack.region === region)
    .flatMap(({ resources }) => resources)
    .filter(({ type }) => type === "AWS::S3::Bucket")
    .map((bucket) => inPlace(bucket, () => ({ name: bucket.ref, ...settingsOf(bucket) })));
}

/** Not acted on by S3 itself, or (lifecycle, events, replication) not here. */
const passedOver = [
  ...["BucketName", "LifecycleConfiguration", "LoggingConfiguration", "NotificationConfiguration"],
  ...["PublicAccessBlockConfiguration", "ReplicationConfiguration", "Tags"],
];

function settingsOf(bucket: Resource): Omit<Wanted, "name"> {
  const { VersioningConfiguration, BucketEncryption, OwnershipControls, ...rest } = bucket.properties;
  const { ObjectLockEnabled, ObjectLockConfiguration, ...others } = rest;
  only(bucket, passedOver, others);
  const ownership = OwnershipControls?.Rules?.[0]?.ObjectOwnership ?? "BucketOwnerEnforced";
  if (ownership !== "BucketOwnerEnforced") throw new Error(`unknown ownership of objects: ${ownership}`);
  const versioning = VersioningConfiguration?.Status;
  if (versioning !== undefined && versioning !== "Enabled") throw new Error(`unknown versioning: ${versioning}`);
  const encryption = BucketEncryption?.ServerSideEncryptionConfiguration?.[0]?.ServerSideEncryptionByDefault;
  const { SSEAlgorithm = "AES256", KMSMasterKeyID } = encryption ?? {};
  if ((SSEAlgorithm === "aws:kms") !== (KMSMasterKeyID !== undefined) || !/^(aws:kms|AES256)$/.test(SSEAlgorithm)) {
    throw new Error(`unknown encryption: ${JSON.stringify(encryption)}`);
  }
  const retention = ObjectLockConfiguration?.Rule?.DefaultRetention;
  if (retention !== undefined && !(Number.isInteger(retention.Days) && retention.Years === undefined)) {
    throw new Error(`unknown retention: ${JSON.stringify(retention)}`);
  }
  return {
    versioned: versioning === "Enabled",
    objectLock: ObjectLockEnabled === true,
    ...(retention && { keptByDefault: { mode: retention.Mode, days: retention.Days } }),
    ...(KMSMasterKeyID && { kmsKeyId: KMSMasterKeyID }),
  };
}
