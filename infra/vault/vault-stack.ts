import { CfnOutput, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import type { Key } from "aws-cdk-lib/aws-kms";
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import type { Deployment } from "../deployment.ts";
import { drillIdentity } from "../host/drill-identity.ts";
import { hostIdentity } from "../host/host-identity.ts";
import { bucketArn, bucketName, storeUrl, vaultAlias } from "../names.ts";
import { createOnlyRules } from "./bucket-rules.ts";
import { replicate } from "./replication.ts";
import { announceObjects, backupLifecycle, controlLifecycle, keyringLifecycle, vaultBucket } from "./vault-bucket.ts";
import { vaultKey } from "./vault-key.ts";

/** What backups lie in. */
export interface Vault {
  readonly data: Bucket;
  readonly keyring: Bucket;
  readonly control: Bucket;
  readonly key: Key;
}

/** Everything that must outlive mistakes: buckets, their key, and who may write there. Nothing in it is removed with the stack. */
export class VaultStack extends Stack implements Vault {
  readonly data: Bucket;
  readonly keyring: Bucket;
  readonly control: Bucket;
  readonly key: Key;

  constructor(scope: Construct, id: string, deployment: Deployment) {
    const { account, region, storageClass } = deployment;
    super(scope, id, { env: { account, region }, terminationProtection: true });
    const nameOf = (kind: "data" | "keyring" | "control" | "logs") => bucketName(deployment, kind);
    this.key = vaultKey(this, "Key", vaultAlias(deployment));
    const key = this.key;
    const accessLogs = new Bucket(this, "AccessLogs", {
      bucketName: nameOf("logs"),
      // The log service writes to buckets under S3's own key only.
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      lifecycleRules: [{ id: "old-logs", expiration: Duration.days(deployment.logDays) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const rulesOf = (kind: "data" | "keyring", prefix: string) =>
      createOnlyRules({ bucketArn: bucketArn(deployment, kind), prefix, keyArn: key.keyArn, storageClass });
    this.data = vaultBucket(this, "Data", {
      bucketName: nameOf("data"),
      key,
      accessLogs,
      lifecycleRules: backupLifecycle(deployment.undoDays),
      objectLock: deployment.objectLock,
      rules: rulesOf("data", "hosts"),
    });
    announceObjects(this.data);
    this.keyring = vaultBucket(this, "Keyring", {
      bucketName: nameOf("keyring"),
      key,
      accessLogs,
      lifecycleRules: keyringLifecycle,
      rules: rulesOf("keyring", "keyring"),
    });
    this.control = vaultBucket(this, "Control", {
      bucketName: nameOf("control"),
      key,
      accessLogs,
      lifecycleRules: controlLifecycle,
    });
    const { replicaRegion } = deployment;
    if (replicaRegion !== undefined) {
      replicate(this, { from: deployment, to: { ...deployment, region: replicaRegion }, vault: this });
    }
    hostIdentity(this, deployment, key.keyArn);
    drillIdentity(this, deployment, key.keyArn);
    new CfnOutput(this, "Store", {
      value: storeUrl(deployment),
      description: "URL of the store in a host's configuration",
    });
    new CfnOutput(this, "ControlBucket", {
      value: bucketName(deployment, "control"),
      description: "where hosts are approved, below control/hosts/",
    });
  }
}
