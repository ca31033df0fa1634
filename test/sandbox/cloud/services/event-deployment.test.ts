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
import { serviceAlone } from "../../../fixtures/service-alone.ts";
import { account, region } from "../../../fixtures/synthesized-account.ts";
import { synthesizedAssembly } from "../alarm-deployment.ts";

const start = Date.parse("2026-03-01T12:00:00Z");
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const second = 1000;

let built: ReturnType<typeof synthesizedAssembly>;
beforeAll(() => {
  built = synthesizedAssembly();
}, 120_000);
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

describe("the rules of the control stack", () => {
  const manifest = (key: string) => ({
    source: "aws.s3",
    "detail-type": "Object Created",
    detail: { bucket: { name: `mailark-data-${account}-${region}` }, object: { key } },
  });

  test("have each manifest judged, and no other object", async () => {
    const { service, deliveries } = await serviceAlone(eventsService, built.assembly, start);
    await service.publish(manifest("hosts/h/mail/s/0001.pack"));
    expect(deliveries).toEqual([]);
    await service.publish(manifest("hosts/h/mail/s/manifest.json"));
    expect(deliveries).toMatchObject([{ to: `arn:aws:lambda:${region}:${account}:function:mailark-verify` }]);
  });

  test("tell of a snapshot that was refused in one sentence, with its findings", async () => {
    const { service, deliveries } = await serviceAlone(eventsService, built.assembly, start);
    const detail = { alert: true, component: "mail", host: "mail-1", snapshotId: "s", outcome: "damaged" };
    await service.publish({
      source: "mailark",
      "detail-type": "Snapshot Judged",
      detail: { ...detail, findings: ["a", "b"], anomalies: [] },
    });
    expect(deliveries).toHaveLength(1);
    expect(deliveries[0]!.to).toContain("critical");
    expect(deliveries[0]!.payload).toBe(
      '"critical: mail of mail-1: snapshot s is damaged; findings [a,b], oddities []. What to do: docs/runbook.md#snapshot-refused"',
    );
    await service.publish({ source: "mailark", "detail-type": "Snapshot Judged", detail: { ...detail, alert: false } });
    expect(deliveries).toHaveLength(1);
  });

  test.each([
    ["Failed", 1],
    ["TimedOut", 1],
    ["Cancelled", 1],
    ["Undeliverable", 1],
    ["Terminated", 1],
    ["DeliveryTimedOut", 1],
    ["ExecutionTimedOut", 1],
    ["InProgress", 0],
    ["Success", 0],
  ])("tell of a command that ended as %s %i times", async (status, times) => {
    const { service, deliveries } = await serviceAlone(eventsService, built.assembly, start);
    const detail = { "document-name": "mailark-backup", "instance-id": "i-1", status, "command-id": "c" };
    await service.publish({
      source: "aws.ssm",
      "detail-type": "EC2 Command Invocation Status-change Notification",
      detail,
    });
    expect(deliveries).toHaveLength(times);
  });
});

describe("the schedules of the control stack", () => {
  test("start in a week what its configuration says, and find what was not judged", async () => {
    const { until, deliveries } = await serviceAlone(schedulerService, built.assembly, start);
    await until(start + 7 * day - second);
    const told = deliveries.map(({ to, payload }) => ({ to: to.replace(/.*:/, ""), ...JSON.parse(payload) }));
    const count = (wanted: object) =>
      told.filter((each) => Object.entries(wanted).every(([name, value]) => each[name] === value)).length;
    const to = "mailark-dispatch";
    expect(count({ to, tier: "databases" })).toBe(28);
    expect(count({ to, tier: "files" })).toBe(7);
    expect(count({ to, tier: "mail" })).toBe(7);
    expect(count({ to, tier: "full" })).toBe(1);
    expect(count({ to: "mailark-verify", sweep: "unjudged" })).toBe(7);
    expect(count({ to: "mailark-verify", sweep: "deep" })).toBe(1);
    expect(new Set(told.filter((each) => each.to === to).map(({ requestId }) => requestId)).size).toBe(43);
  });

  test("start the full backup on Sunday at six in Berlin, on the days too on which the clocks change", async () => {
    const { until, deliveries } = await serviceAlone(
      schedulerService,
      built.assembly,
      Date.parse("2026-03-22T12:00:00Z"),
    );
    await until(Date.parse("2026-04-05T12:00:00Z"));
    const full = deliveries.filter(({ payload }) => JSON.parse(payload).tier === "full");
    const due = ["2026-03-29T04:00:00Z", "2026-04-05T04:00:00Z"].map((each) => Date.parse(each));
    expect(full).toHaveLength(2);
    for (const [index, { at }] of full.entries()) expect(at - due[index]!).toBeLessThan(15 * minute);
    for (const [index, { at }] of full.entries()) expect(at).toBeGreaterThanOrEqual(due[index]!);
  });
});
