import { Aws } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";

/**
 * What the SSM agent needs to take commands and report on them. `AmazonSSMManagedInstanceCore` lets a machine read every parameter of the account,
 * too; these calls name no other machine and no parameter. Their resources can not be narrowed where AWS defines none for them: message channels
 * belong to the machine that signs.
 */
export function sessionStatements({ account, region }: { account: string; region: string }): PolicyStatement[] {
  const inAccount = { StringEquals: { "aws:RequestedRegion": region } };
  return [
    new PolicyStatement({
      sid: "Channel",
      actions: [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
        "ec2messages:AcknowledgeMessage",
        "ec2messages:DeleteMessage",
        "ec2messages:FailMessage",
        "ec2messages:GetEndpoint",
        "ec2messages:GetMessages",
        "ec2messages:SendReply",
      ],
      resources: ["*"],
      conditions: inAccount,
    }),
    new PolicyStatement({
      sid: "Presence",
      actions: ["ssm:UpdateInstanceInformation"],
      resources: [
        `arn:${Aws.PARTITION}:ec2:${region}:${account}:instance/*`,
        `arn:${Aws.PARTITION}:ssm:${region}:${account}:managed-instance/*`,
      ],
    }),
  ];
}
