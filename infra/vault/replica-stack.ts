import { Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { accept } from "../accepted.ts";
import type { Deployment } from "../deployment.ts";
import { bucketArn, bucketName, replicaAlias } from "../names.ts";
import { copyRules } from "./bucket-rules.ts";
import { backupLifecycle, keyringLifecycle, vaultBucket } from "./vault-bucket.ts";
import { vaultKey } from "./vault-key.ts";

/** The copies of data and keyring in another region, under a key of that region. Stateful: nothing in it is removed with the stack. */
export class ReplicaStack extends Stack {
  constructor(scope: Construct, id: string, deployment: Deployment, region: string) {
    super(scope, id, { env: { account: deployment.account, region }, terminationProtection: true });
    const key = vaultKey(this, "Key", replicaAlias(deployment));
    const there = { ...deployment, region };
    const copyOf = (kind: "data" | "keyring") => ({
      bucketName: bucketName(there, kind),
      rules: copyRules(bucketArn(there, kind)),
      key,
    });
    const data = vaultBucket(this, "Data", {
      ...copyOf("data"),
      lifecycleRules: backupLifecycle(deployment.undoDays),
      objectLock: deployment.objectLock,
    });
    const keyring = vaultBucket(this, "Keyring", {
      ...copyOf("keyring"),
      lifecycleRules: keyringLifecycle,
    });
    for (const copy of [data, keyring]) {
      accept(copy, {
        "AwsSolutions-S1": "only S3 itself writes there, and reading it needs a right that no stack grants",
      });
    }
  }
}
