import { Aws, Duration } from "aws-cdk-lib";
import { Rule, RuleTargetInput } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import type { Deployment } from "../deployment.ts";
import { documentName, hostTag } from "../names.ts";
import { alarm } from "./alarm.ts";
import type { Alerts } from "./alerts.ts";
import { MailarkFunction } from "./mailark-function.ts";
import type { VaultAccess } from "./vault-access.ts";

/** Starts backups: the only function that may have something run on hosts, and only the backup document, and only on machines that are tagged. */
export function dispatchFunction(
  scope: Construct,
  deployment: Deployment,
  alerts: Alerts,
  vault: VaultAccess,
): MailarkFunction {
  const { account, region } = deployment;
  const dispatch = new MailarkFunction(scope, "Dispatch", {
    name: "dispatch",
    deployment,
    alerts,
    timeoutMinutes: 5,
    memoryMb: 256,
  });
  vault.grantControl(dispatch, { read: ["dispatches", "latest"], write: ["dispatches"] });
  const ssm = `arn:${Aws.PARTITION}:ssm:${region}:${account}`;
  const document = documentName(deployment, "backup");
  dispatch.allow(
    new PolicyStatement({ sid: "Send", actions: ["ssm:SendCommand"], resources: [`${ssm}:document/${document}`] }),
    { BACKUP_DOCUMENT: document },
  );
  dispatch.allow(
    new PolicyStatement({
      sid: "SendToHosts",
      actions: ["ssm:SendCommand"],
      resources: [`arn:${Aws.PARTITION}:ec2:${region}:${account}:instance/*`, `${ssm}:managed-instance/*`],
      conditions: { StringEquals: { [`ssm:resourceTag/${hostTag.key}`]: hostTag.value } },
    }),
    { HOST_TAG_KEY: hostTag.key, HOST_TAG_VALUE: hostTag.value },
    "the condition bounds it to machines that bear the tag",
  );
  dispatch.allow(
    new PolicyStatement({
      sid: "SeeFleet",
      actions: ["ssm:DescribeInstanceInformation", "ssm:ListCommandInvocations"],
      resources: ["*"],
      conditions: { StringEquals: { "aws:RequestedRegion": region } },
    }),
    {},
    "AWS knows no resource for listing machines and commands",
  );
  new Rule(scope, "BackupRequested", {
    ruleName: `${deployment.name}-backup-requested`,
    description: "Somebody asks for a backup over the API",
    eventPattern: { source: ["mailark"], detailType: ["Backup Requested"] },
    targets: [
      new LambdaFunction(dispatch.function, {
        event: RuleTargetInput.fromEventPath("$.detail"),
        deadLetterQueue: alerts.deadLetters,
        retryAttempts: 10,
        maxEventAge: Duration.hours(1),
      }),
    ],
  });
  alarm(scope, alerts, {
    entry: "no-backup-started",
    severity: "critical",
    says: "no backup was started on any host for a day",
    metric: dispatch.metric("HostsStarted", Duration.hours(1)),
    least: 1,
    periods: 24,
  });
  return dispatch;
}
