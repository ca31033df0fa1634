// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const service = (name: string) => `sandbox/cloud/services/${name}.ts`;
const suite = (name: string) => `test/sandbox/cloud/services/${name}.test.ts`;
const path = "test/sandbox/cloud/alarm-path.test.ts";

/** Between something that went wrong and whoever must hear of it. */
export const alarmGuards: readonly Guard[] = [
  {
    guard: "a topic that is sealed asks its key for whoever publishes",
    file: service("sns/sns-service"),
    find: "if (refusal !== undefined)",
    replace: "if (refusal === null)",
    test: { file: suite("sns"), name: "one must be let in by the topic and may seal and open by the key %j" },
  },
  {
    guard: "a topic asks its policy for whoever publishes",
    file: service("sns/sns-service"),
    find: 'demand(caller, "Publish", topic, context);',
    replace: "",
    test: { file: suite("sns"), name: "one must be let in by the topic and may seal and open by the key %j" },
  },
  {
    guard: "a subscription that nobody confirmed gets nothing",
    file: service("sns/sns-service"),
    find: "filter(({ token }) => token === undefined)",
    replace: "filter(() => true)",
    test: {
      file: suite("sns"),
      name: "gets nothing before somebody has confirmed it with what was mailed, and everything then",
    },
  },
  {
    guard: "what is denied by a subscriber's policy counts as failed",
    file: service("sns/topic"),
    find: 'if (delay === undefined || protocol.startsWith("http")) measure("NumberOfNotificationsFailed");',
    replace: "",
    test: { file: suite("sns"), name: "counts as failed at once where its policy does not" },
  },
  {
    guard: "a queue that is sealed asks its key for whoever sends",
    file: service("sqs/sqs-service"),
    find: "if (refusal !== undefined) throw",
    replace: "if (refusal === null) throw",
    test: { file: suite("sqs"), name: "to a sealed queue is refused where the key does not let the sender in" },
  },
  {
    guard: "a queue asks its policy for whoever sends",
    file: service("sqs/sqs-service"),
    find: "refuseUnlessAllowed(cloud, caller, need);",
    replace: "",
    test: { file: suite("sqs"), name: "is taken of whom the policy names, for what it names" },
  },
  {
    guard: "a key that is switched off seals nothing",
    file: service("kms/keys"),
    find: 'if (key.state === "Disabled") return "Disabled";',
    replace: "",
    test: {
      file: suite("kms"),
      name: "that is switched off, or to be deleted, seals nothing, until it is taken back",
    },
  },
  {
    guard: "who tries to end a key is told to the bus though he was denied it",
    file: service("kms/kms-service"),
    find: "if (operation.changes) cloud",
    replace: "if (operation.changes && denied === undefined) cloud",
    test: { file: path, name: "tells of %s on the key of the vault" },
  },
  {
    guard: "an alarm looks further back than it was told, as CloudWatch does",
    file: service("cloudwatch/evaluation"),
    find: "=> evaluationPeriods + 2;",
    replace: "=> evaluationPeriods;",
    test: { file: path, name: "%s" },
  },
  {
    guard: "an alarm whose topic is told as CloudWatch says for which account",
    file: service("cloudwatch/alarms"),
    find: ', "aws:SourceAccount": this.#cloud.accountId }',
    replace: " }",
    test: { file: path, name: "%s is in the inbox when it begins, with what to do, and when it is over" },
  },
  {
    guard: "a day without a good snapshot is told within hours",
    file: "infra/control/verify.ts",
    find: 'metric: verify.metric("SnapshotsIntact", Duration.hours(1)),\n    least: 1,\n    periods: 24,',
    replace: 'metric: verify.metric("SnapshotsIntact", Duration.days(1)),\n    least: 1,',
    test: { file: path, name: "%s rings after the silence that it speaks of, and not days later" },
  },
];
