/**
 * Who a mail host is, and what it may do: create objects below its own id, and be told what to run. One role serves the whole fleet, since the
 * session of an instance profile, and of a machine that SSM activated, is named after the machine: `aws:userid` is ROLE-ID:MACHINE-ID.
 */
import { CfnOutput, type Stack } from "aws-cdk-lib";
import {
  CompositePrincipal,
  Effect,
  InstanceProfile,
  ManagedPolicy,
  PolicyStatement,
  Role,
  ServicePrincipal,
} from "aws-cdk-lib/aws-iam";
import { acceptWildcards } from "../accepted.ts";
import type { Deployment } from "../deployment.ts";
import { bucketArn, userId } from "../names.ts";
import { onlyCreate, wrongWrites } from "../vault/bucket-rules.ts";
import { sessionStatements } from "./ssm-policy.ts";

/** Makes the two policies, which may be attached to a role of yours, and a role that has both. */
export function hostIdentity(stack: Stack, deployment: Deployment, keyArn: string): void {
  const { name, account } = deployment;
  const places = placesOf(deployment);
  const write = new ManagedPolicy(stack, "HostWritePolicy", {
    managedPolicyName: `${name}-host-write`,
    description: "A mail host creates objects below its own id in the vault, and does nothing else there",
    statements: writeStatements(deployment, places, keyArn),
  });
  acceptWildcards(write, places.own, "objects below the host's own id, which the policy variable bounds");
  const session = sessionStatements(deployment);
  const commands = new ManagedPolicy(stack, "HostCommandPolicy", {
    managedPolicyName: `${name}-host-commands`,
    description: "A machine takes commands from SSM and says how they went; less than AmazonSSMManagedInstanceCore",
    statements: session,
  });
  acceptWildcards(
    commands,
    session.flatMap(({ resources }) => resources),
    "AWS defines no resource for message channels, and a machine may report on itself alone",
  );
  const role = new Role(stack, "HostRole", {
    roleName: `${name}-host`,
    description: "Mail hosts, on EC2 and elsewhere",
    assumedBy: new CompositePrincipal(
      new ServicePrincipal("ec2.amazonaws.com"),
      new ServicePrincipal("ssm.amazonaws.com", { conditions: { StringEquals: { "aws:SourceAccount": account } } }),
    ),
    managedPolicies: [write, commands],
  });
  const profile = new InstanceProfile(stack, "HostProfile", { role, instanceProfileName: `${name}-host` });
  new CfnOutput(stack, "HostRoleName", { value: role.roleName, description: "for `aws ssm create-activation`" });
  new CfnOutput(stack, "HostProfileName", { value: profile.instanceProfileName, description: "for EC2 instances" });
}

function placesOf(deployment: Deployment) {
  const data = bucketArn(deployment, "data");
  const keyring = bucketArn(deployment, "keyring");
  return {
    buckets: [data, keyring],
    objects: [`${data}/*`, `${keyring}/*`],
    own: [`${data}/hosts/${userId}/*`, `${keyring}/keyring/${userId}/*`],
    others: [bucketArn(deployment, "control"), bucketArn(deployment, "logs")].flatMap((arn) => [arn, `${arn}/*`]),
  };
}

function writeStatements(
  { region, storageClass }: Deployment,
  { buckets, objects, own, others }: ReturnType<typeof placesOf>,
  keyArn: string,
): PolicyStatement[] {
  const refused = { OnlyCreate: onlyCreate, ...wrongWrites({ keyArn, storageClass }) };
  return [
    new PolicyStatement({ sid: "Create", actions: ["s3:PutObject", "s3:AbortMultipartUpload"], resources: own }),
    // S3 opens the seal of an upload's parts when it is completed. Without s3:GetObject this opens nothing to the host.
    new PolicyStatement({
      sid: "Seal",
      actions: ["kms:GenerateDataKey", "kms:Decrypt"],
      resources: [keyArn],
      conditions: { StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` } },
    }),
    ...Object.entries(refused).map(
      ([sid, conditions]) =>
        new PolicyStatement({ sid, effect: Effect.DENY, actions: ["s3:PutObject"], resources: objects, conditions }),
    ),
    // Whatever else somebody attaches to the machine.
    new PolicyStatement({
      sid: "NothingElse",
      effect: Effect.DENY,
      notActions: ["s3:PutObject", "s3:AbortMultipartUpload"],
      resources: [...buckets, ...objects],
    }),
    new PolicyStatement({ sid: "NothingElsewhere", effect: Effect.DENY, actions: ["s3:*"], resources: others }),
  ];
}
