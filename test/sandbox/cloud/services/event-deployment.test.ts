import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import { startCloud } from "../../../../sandbox/cloud/cloud.ts";
import { CallRefused, type Datum, type Service } from "../../../../sandbox/cloud/service.ts";
import { eventsService } from "../../../../sandbox/cloud/services/events/events-service.ts";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { kmsService } from "../../../../sandbox/cloud/services/kms/kms-service.ts";
import { schedulerService } from "../../../../sandbox/cloud/services/scheduler/scheduler-service.ts";
import { snsService } from "../../../../sandbox/cloud/services/sns/sns-service.ts";
import { sqsService } from "../../../../sandbox/cloud/services/sqs/sqs-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import type { SynthesizedStack } from "../../../../sandbox/cloud/template/assembly.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { synthesizedAssembly } from "../alarm-deployment.ts";

const start = Date.parse("2026-03-01T12:00:00Z");
const hour = 60 * 60_000;

let built: ReturnType<typeof synthesizedAssembly>;
beforeAll(() => {
  built = synthesizedAssembly();
});
afterAll(() => built.remove());

/** The stacks with their topics, queues and keys, and functions that are out of order. */
async function deployment(choose: (stacks: readonly SynthesizedStack[]) => readonly SynthesizedStack[] = (all) => all) {
  const measured: Datum[] = [];
  const broken = (): Service => ({
    name: "lambda",
    types: ["AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::Lambda::EventInvokeConfig"],
    make() {},
    async accept() {
      throw new CallRefused("TooManyRequestsException", "out of order", 429);
    },
  });
  const idle = (): Service => ({
    name: "idle",
    types: idleTypes,
    make() {},
    measure: (datum) => void measured.push(datum),
  });
  const cloud = await startCloud({
    ...{ assembly: built.assembly, directory: scratchDirectory(), clock: virtualClock(start), choose },
    services: [
      iamService,
      stsService,
      kmsService,
      snsService,
      sqsService,
      eventsService,
      schedulerService,
      broken,
      idle,
    ],
  });
  onTestFinished(() => cloud.close());
  const dead = async () => {
    const { Messages = [] } = await cloud.made(sqsService).answer!({
      operation: "ReceiveMessage",
      input: {
        QueueUrl: `https://sqs.${cloud.region}.amazonaws.com/${cloud.accountId}/mailark-dead-letters`,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ["All"],
      },
      caller: { kind: "root", account: cloud.accountId },
    });
    return (Messages as readonly { MessageAttributes: Record<string, { StringValue: string }> }[]).map((each) =>
      Object.fromEntries(Object.entries(each.MessageAttributes).map(([name, { StringValue }]) => [name, StringValue])),
    );
  };
  return { cloud, dead, measured: (name: string) => measured.filter((each) => each.name === name) };
}

const idleTypes = [
  ...["ApiGatewayV2::Api", "ApiGatewayV2::Integration", "ApiGatewayV2::Route", "ApiGatewayV2::Stage"],
  ...["CloudWatch::Alarm", "CloudWatch::Dashboard", "Logs::LogGroup", "Logs::ResourcePolicy", "SSM::Document"],
].map((type) => `AWS::${type}`);

const manifest = {
  source: "aws.s3",
  "detail-type": "Object Created",
  detail: {
    bucket: { name: "mailark-data-111122223333-eu-central-1" },
    object: { key: "hosts/h/mail/s/manifest.json" },
  },
};
const refused = {
  source: "mailark",
  "detail-type": "Snapshot Judged",
  detail: {
    alert: true,
    component: "mail",
    host: "h",
    snapshotId: "s",
    outcome: "damaged",
    findings: [],
    anomalies: [],
  },
};

describe("in the stacks as they are synthesized", () => {
  test("a manifest that verify did not take in 24 retries is a dead letter, which the sealed queue lets in", async () => {
    const { cloud, dead } = await deployment();
    await cloud.publish(manifest);
    await cloud.advance(3 * hour);
    const letters = (await dead()).filter(({ RULE_ARN }) => RULE_ARN !== undefined);
    expect(letters).toMatchObject([
      {
        RULE_ARN: expect.stringContaining("rule/mailark-manifest-arrived"),
        EXHAUSTED_RETRY_CONDITION: "MaximumRetryAttempts",
        RETRY_ATTEMPTS: "24",
      },
    ]);
  });

  test("what a schedule could not start in an hour is a dead letter of its role's", async () => {
    const { cloud, dead } = await deployment();
    await cloud.advance(2 * hour);
    const letters = (await dead()).map(({ SCHEDULE_ARN, RETRY_ATTEMPTS }) => [SCHEDULE_ARN, RETRY_ATTEMPTS]);
    const of = (name: string) => [expect.stringContaining(`schedule/mailark/mailark-${name}`), "10"];
    expect(letters).toHaveLength(3);
    expect(letters).toEqual(expect.arrayContaining([of("databases"), of("sweep"), of("deep-verification")]));
  });

  test("a snapshot that was refused is told to the topic, whose policy and key let EventBridge in", async () => {
    const { cloud, measured } = await deployment();
    await cloud.publish(refused);
    expect(measured("FailedInvocations")).toEqual([]);
    expect(measured("NumberOfMessagesPublished")).toMatchObject([{ dimensions: { TopicName: "mailark-critical" } }]);
  });

  test("and under a key that does not let EventBridge in it is lost, and counted", async () => {
    const { cloud, measured } = await deployment((stacks) =>
      JSON.parse(
        JSON.stringify(stacks).replaceAll(
          '"Service":"events.amazonaws.com"},"Resource":"*"',
          '"Service":"ec2.amazonaws.com"},"Resource":"*"',
        ),
      ),
    );
    await cloud.publish(refused);
    expect(measured("FailedInvocations")).toHaveLength(1);
    expect(measured("InvocationsFailedToBeSentToDlq")).toHaveLength(1);
    expect(measured("NumberOfMessagesPublished")).toEqual([]);
  });
});
