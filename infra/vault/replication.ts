import { Aws, type Stack } from "aws-cdk-lib";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { Bucket, CfnBucket } from "aws-cdk-lib/aws-s3";
import { acceptWildcards } from "../accepted.ts";
import type { Deployment } from "../deployment.ts";
import { bucketArn, replicaAlias } from "../names.ts";

export interface ReplicationProps {
  readonly from: Deployment;
  /** The same deployment in the region of the copies. */
  readonly to: Deployment;
  readonly vault: { readonly data: Bucket; readonly keyring: Bucket; readonly key: IKey };
}

/**
 * Copies everything that arrives to another region. Delete markers stay behind, so that nothing which hides an object here hides its copy; tags go
 * along, so that what retention lets go expires there too.
 */
export function replicate(stack: Stack, { from, to, vault }: ReplicationProps): void {
  const { account } = from;
  const role = new Role(stack, "ReplicationRole", {
    assumedBy: new ServicePrincipal("s3.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": account } },
    }),
    description: "S3 copies data and keyring to the other region",
  });
  const kinds = ["data", "keyring"] as const;
  const sources = kinds.map((kind) => `${bucketArn(from, kind)}/*`);
  const copies = kinds.map((kind) => `${bucketArn(to, kind)}/*`);
  const keys = `arn:${Aws.PARTITION}:kms:${to.region}:${account}:key/*`;
  const through = (region: string) => ({ "kms:ViaService": `s3.${region}.amazonaws.com` });
  const statements = [
    new PolicyStatement({
      actions: ["s3:GetReplicationConfiguration", "s3:ListBucket"],
      resources: kinds.map((kind) => bucketArn(from, kind)),
    }),
    new PolicyStatement({
      actions: ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"],
      resources: sources,
    }),
    new PolicyStatement({ actions: ["s3:ReplicateObject", "s3:ReplicateTags"], resources: copies }),
    new PolicyStatement({
      actions: ["kms:Decrypt"],
      resources: [vault.key.keyArn],
      conditions: { StringEquals: through(from.region) },
    }),
    // Of the key there only the alias is known here.
    new PolicyStatement({
      actions: ["kms:Encrypt", "kms:GenerateDataKey"],
      resources: [keys],
      conditions: {
        StringEquals: through(to.region),
        "ForAnyValue:StringEquals": { "kms:ResourceAliases": `alias/${replicaAlias(to)}` },
      },
    }),
  ];
  for (const statement of statements) role.addToPolicy(statement);
  acceptWildcards(role, [...sources, ...copies], "everything in data and keyring is copied");
  acceptWildcards(role, [keys], "the condition names the alias of the one key");

  for (const kind of kinds) {
    const bucket = vault[kind].node.defaultChild as CfnBucket;
    bucket.replicationConfiguration = {
      role: role.roleArn,
      rules: [
        {
          id: "everything",
          status: "Enabled",
          priority: 1,
          filter: { prefix: "" },
          deleteMarkerReplication: { status: "Disabled" },
          sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: "Enabled" } },
          destination: {
            bucket: bucketArn(to, kind),
            encryptionConfiguration: {
              replicaKmsKeyId: `arn:${Aws.PARTITION}:kms:${to.region}:${account}:alias/${replicaAlias(to)}`,
            },
          },
        },
      ],
    };
  }
}
