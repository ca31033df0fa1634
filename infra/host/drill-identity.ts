import { Aws, type Stack } from "aws-cdk-lib";
import { ManagedPolicy, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { acceptWildcards } from "../accepted.ts";
import type { Deployment } from "../deployment.ts";
import { bucketArn, drillKeyParameter } from "../names.ts";

/**
 * A policy for a machine that proves backups: it reads every host's data, and the drill key that opens it. **Never attach it to a mail host**: whoever is
 * root there could read every backup of the fleet.
 */
export function drillIdentity(stack: Stack, deployment: Deployment, keyArn: string): void {
  const { name, account, region } = deployment;
  const [data, keyring] = [bucketArn(deployment, "data"), bucketArn(deployment, "keyring")];
  const objects = [`${data}/hosts/*`, `${keyring}/keyring/*`];
  const policy = new ManagedPolicy(stack, "DrillPolicy", {
    managedPolicyName: `${name}-drill`,
    description: "A machine for restore drills reads every backup and the drill key; never for a mail host",
    statements: [
      new PolicyStatement({ sid: "Read", actions: ["s3:GetObject"], resources: objects }),
      new PolicyStatement({ sid: "List", actions: ["s3:ListBucket"], resources: [data, keyring] }),
      new PolicyStatement({
        sid: "Unseal",
        actions: ["kms:Decrypt"],
        resources: [keyArn],
        conditions: {
          StringEquals: { "kms:ViaService": [`s3.${region}.amazonaws.com`, `ssm.${region}.amazonaws.com`] },
        },
      }),
      new PolicyStatement({
        sid: "DrillKey",
        actions: ["ssm:GetParameter"],
        resources: [`arn:${Aws.PARTITION}:ssm:${region}:${account}:parameter${drillKeyParameter(deployment)}`],
      }),
    ],
  });
  acceptWildcards(policy, objects, "a drill may be of any host");
}
