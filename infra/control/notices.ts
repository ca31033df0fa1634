import { EventField, type EventPattern, Rule, RuleTargetInput } from "aws-cdk-lib/aws-events";
import { SnsTopic } from "aws-cdk-lib/aws-events-targets";
import type { Construct } from "constructs";
import type { Deployment } from "../deployment.ts";
import { documentKinds, documentName } from "../names.ts";
import { keyEndingCalls } from "../vault/vault-key.ts";
import type { Alerts, Severity } from "./alerts.ts";

/** Single events that somebody must hear of as they happen. Each has an entry in docs/runbook.md, like an alarm. */
export function notices(scope: Construct, { name }: Pick<Deployment, "name">, alerts: Alerts): void {
  const notice = (entry: string, severity: Severity, eventPattern: EventPattern, text: string) =>
    new Rule(scope, `Notice-${entry}`, {
      ruleName: `${name}-${entry}`,
      description: `${severity}: docs/runbook.md#${entry}`,
      eventPattern,
      targets: [
        new SnsTopic(alerts.topics[severity], {
          message: RuleTargetInput.fromText(`${severity}: ${text} What to do: docs/runbook.md#${entry}`),
          deadLetterQueue: alerts.deadLetters,
        }),
      ],
    });
  const at = EventField.fromPath;
  notice(
    "snapshot-refused",
    "critical",
    { source: ["mailark"], detailType: ["Snapshot Judged"], detail: { alert: [true] } },
    `${at("$.detail.component")} of ${at("$.detail.host")}: snapshot ${at("$.detail.snapshotId")} is ${at("$.detail.outcome")}; findings ${at("$.detail.findings")}, oddities ${at("$.detail.anomalies")}.`,
  );
  notice(
    "command-failed",
    "warning",
    {
      source: ["aws.ssm"],
      detailType: ["EC2 Command Invocation Status-change Notification"],
      detail: {
        "document-name": documentKinds.map((kind) => documentName({ name }, kind)),
        status: [
          "Failed",
          "TimedOut",
          "Cancelled",
          "Undeliverable",
          "Terminated",
          "DeliveryTimedOut",
          "ExecutionTimedOut",
        ],
      },
    },
    `${at("$.detail.document-name")} on ${at("$.detail.instance-id")} is ${at("$.detail.status")}, command ${at("$.detail.command-id")}.`,
  );
  notice(
    "key-in-danger",
    "critical",
    {
      source: ["aws.kms"],
      detailType: ["AWS API Call via CloudTrail"],
      detail: { eventSource: ["kms.amazonaws.com"], eventName: [...keyEndingCalls, "PutKeyPolicy"] },
    },
    `${at("$.detail.userIdentity.arn")} called ${at("$.detail.eventName")} of KMS.`,
  );
}
