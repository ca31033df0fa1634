import { Duration, RemovalPolicy } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  type IBucket,
  type LifecycleRule,
  ObjectLockRetention,
  ObjectOwnership,
} from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { expiredTag } from "../../core/keys.ts";
import type { ObjectLock } from "../config.ts";

export interface VaultBucketProps {
  readonly bucketName: string;
  readonly key: IKey;
  readonly lifecycleRules: LifecycleRule[];
  /** Statements of the bucket's policy, beside the one that demands TLS. @default none */
  readonly rules?: readonly PolicyStatement[];
  /** Where requests are logged to. @default nowhere */
  readonly accessLogs?: IBucket;
  /** @default { mode: "off" } */
  readonly objectLock?: ObjectLock;
}

/**
 * A bucket with versions, under the vault's key, closed to the public and to plain HTTP, that outlives its stack. Its name is fixed, so that hosts,
 * replicas and a stack that is made anew agree on it.
 */
export function vaultBucket(scope: Construct, id: string, props: VaultBucketProps): Bucket {
  const bucket = new Bucket(scope, id, {
    bucketName: props.bucketName,
    versioned: true,
    encryption: BucketEncryption.KMS,
    encryptionKey: props.key,
    bucketKeyEnabled: true,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    lifecycleRules: props.lifecycleRules,
    removalPolicy: RemovalPolicy.RETAIN,
    ...(props.accessLogs && {
      serverAccessLogsBucket: props.accessLogs,
      serverAccessLogsPrefix: `${id.toLowerCase()}/`,
    }),
    ...lockOf(props.objectLock ?? { mode: "off" }),
  });
  for (const rule of props.rules ?? []) bucket.addToResourcePolicy(rule);
  return bucket;
}

/** Tells EventBridge of what arrives. The switch of the construct library would add a function with rights of its own. */
export function announceObjects(bucket: Bucket): void {
  (bucket.node.defaultChild as CfnBucket).notificationConfiguration = {
    eventBridgeConfiguration: { eventBridgeEnabled: true },
  };
}

function lockOf(lock: ObjectLock) {
  if (lock.mode === "off") return {};
  const days = Duration.days(lock.days);
  return {
    objectLockEnabled: true,
    objectLockDefaultRetention:
      lock.mode === "compliance" ? ObjectLockRetention.compliance(days) : ObjectLockRetention.governance(days),
  };
}

/**
 * What S3 removes by itself. Only what retention has tagged expires, and it can be brought back for the undo window; a delete marker that nobody
 * meant hides an object, and removes none.
 */
export function backupLifecycle(undoDays: number): LifecycleRule[] {
  return [
    {
      id: "expired-by-retention",
      tagFilters: { [expiredTag.key]: expiredTag.value },
      expiration: Duration.days(1),
      noncurrentVersionExpiration: Duration.days(undoDays),
    },
    { id: "unfinished-uploads", abortIncompleteMultipartUploadAfter: Duration.days(3) },
  ];
}

/** Small objects that are replaced often: the last months of their versions are the history. */
export const controlLifecycle: LifecycleRule[] = [
  {
    id: "old-versions",
    noncurrentVersionExpiration: Duration.days(90),
    abortIncompleteMultipartUploadAfter: Duration.days(3),
  },
];
/** Keys are never removed by a rule. */
export const keyringLifecycle: LifecycleRule[] = [
  { id: "unfinished-uploads", abortIncompleteMultipartUploadAfter: Duration.days(3) },
];
