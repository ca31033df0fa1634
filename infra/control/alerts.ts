import { Duration } from "aws-cdk-lib";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { Topic } from "aws-cdk-lib/aws-sns";
import { EmailSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { accept } from "../accepted.ts";
import type { Deployment } from "../deployment.ts";

/** `critical`: backups or their proof are in danger now. `warning`: they will be, when nobody looks within a day. */
export type Severity = "critical" | "warning";
export const severities = ["critical", "warning"] as const;

/**
 * Where everything ends that somebody must hear of. Topics are sealed with a key of their own, whose policy lets CloudWatch and EventBridge use it: under
 * a key that does not, an alarm turns red and its message is lost without a word.
 */
export class Alerts extends Construct {
  readonly topics: Record<Severity, Topic>;
  /** What could not be handled, for 14 days. */
  readonly deadLetters: Queue;
  readonly key: Key;
  /** What names of alarms begin with. */
  readonly prefix: string;

  constructor(scope: Construct, id: string, { name, account, alarmEmails }: Deployment) {
    super(scope, id);
    this.prefix = name;
    this.key = new Key(this, "Key", {
      alias: `${name}-alerts`,
      description: `${name}: seals alarms and dead letters on their way`,
      enableKeyRotation: true,
    });
    const use = (service: string, conditions?: Record<string, Record<string, string>>) =>
      this.key.addToResourcePolicy(
        new PolicyStatement({
          sid: `Publish${service}`,
          principals: [new ServicePrincipal(`${service}.amazonaws.com`)],
          actions: ["kms:Decrypt", "kms:GenerateDataKey"],
          resources: ["*"],
          ...(conditions && { conditions }),
        }),
      );
    use("cloudwatch", { StringEquals: { "aws:SourceAccount": account } });
    // EventBridge sends no source account when it publishes to a topic.
    use("events");
    const topic = (severity: Severity) => {
      const made = new Topic(this, severity, {
        topicName: `${name}-${severity}`,
        displayName: `${name} ${severity}`,
        masterKey: this.key,
        enforceSSL: true,
      });
      made.addToResourcePolicy(
        new PolicyStatement({
          sid: "Alarms",
          principals: [new ServicePrincipal("cloudwatch.amazonaws.com")],
          actions: ["sns:Publish"],
          resources: [made.topicArn],
          conditions: { StringEquals: { "aws:SourceAccount": account } },
        }),
      );
      for (const address of alarmEmails) made.addSubscription(new EmailSubscription(address));
      return made;
    };
    this.topics = { critical: topic("critical"), warning: topic("warning") };
    this.deadLetters = new Queue(this, "DeadLetters", {
      queueName: `${name}-dead-letters`,
      encryption: QueueEncryption.KMS,
      encryptionMasterKey: this.key,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    accept(this.deadLetters, { "AwsSolutions-SQS3": "it is the queue of dead letters itself" });
  }
}

/** What it takes to leave something among the dead letters. */
export const buryStatements = ({ deadLetters, key }: Alerts): PolicyStatement[] => [
  new PolicyStatement({ sid: "Bury", actions: ["sqs:SendMessage"], resources: [deadLetters.queueArn] }),
  new PolicyStatement({
    sid: "SealTheDead",
    actions: ["kms:GenerateDataKey", "kms:Decrypt"],
    resources: [key.keyArn],
  }),
];
