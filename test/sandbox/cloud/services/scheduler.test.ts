import { describe, expect, test } from "vitest";
import { CallRefused } from "../../../../sandbox/cloud/service.ts";
import { schedulerService } from "../../../../sandbox/cloud/services/scheduler/scheduler-service.ts";
import { serviceAlone } from "../../../fixtures/service-alone.ts";
import { accountId, region, smallAssembly } from "../../../fixtures/small-cloud.ts";

const start = Date.parse("2026-03-01T12:00:00Z");
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const queue = (name: string) => `arn:aws:sqs:${region}:${accountId}:${name}`;
const lambda = `arn:aws:lambda:${region}:${accountId}:function:baker`;
const group = `arn:aws:scheduler:${region}:${accountId}:schedule-group/kitchen`;
const schedule = `arn:aws:scheduler:${region}:${accountId}:schedule/kitchen/bread`;
const trusting = { StringEquals: { "aws:SourceAccount": accountId }, ArnEquals: { "aws:SourceArn": group } };

const busy = new CallRefused("ServiceUnavailable", "not now", 503);
const OFF = { Mode: "OFF" };

/** A bakery with one schedule. */
async function bakery(properties: object = {}, target: object = {}, Condition: object = trusting) {
  const trust = {
    Effect: "Allow",
    Principal: { Service: "scheduler.amazonaws.com" },
    Action: "sts:AssumeRole",
    Condition,
  };
  const Resources = {
    Bread: {
      Type: "AWS::Scheduler::Schedule",
      Properties: {
        ...{ Name: "bread", GroupName: "kitchen", ScheduleExpression: "rate(1 hour)", FlexibleTimeWindow: OFF },
        Target: { Arn: lambda, RoleArn: { "Fn::GetAtt": ["Baker", "Arn"] }, Input: '{"bake":"rye"}', ...target },
        ...properties,
      },
    },
    Kitchen: { Type: "AWS::Scheduler::ScheduleGroup", Properties: { Name: "kitchen" } },
    Baker: {
      Type: "AWS::IAM::Role",
      Properties: { RoleName: "baker", AssumeRolePolicyDocument: { Version: "2012-10-17", Statement: [trust] } },
    },
  };
  const alone = await serviceAlone(schedulerService, smallAssembly(Resources as never), start);
  const at = () => alone.deliveries.map((each) => new Date(each.at).toISOString().slice(0, 19));
  return { ...alone, alone, at };
}

describe("a schedule", () => {
  test("invokes its target whenever it is due, from the moment on in which it is made", async () => {
    const { until, at, deliveries } = await bakery();
    await until(start + 2.5 * hour);
    expect(at()).toEqual(["2026-03-01T12:00:00", "2026-03-01T13:00:00", "2026-03-01T14:00:00"]);
    expect(deliveries[0]).toMatchObject({ to: lambda, payload: '{"bake":"rye"}' });
  });

  test("invokes as a session of its role, which says nothing of the schedule", async () => {
    const { until, deliveries } = await bakery();
    await until(start);
    expect(deliveries).toMatchObject([
      { as: { kind: "session", role: `arn:aws:iam::${accountId}:role/baker` }, context: {} },
    ]);
  });

  test("goes by the clock of its time zone, and skips what that never shows", async () => {
    const { until, at } = await bakery({
      ScheduleExpression: "cron(30 2 * * ? *)",
      ScheduleExpressionTimezone: "Europe/Berlin",
      StartDate: "2026-03-28T00:00:00Z",
      EndDate: "2026-03-30T12:00:00Z",
    });
    await until(start + 60 * day);
    expect(at()).toEqual(["2026-03-28T01:30:00", "2026-03-30T00:30:00"]);
  });

  test("that is disabled does nothing, nor does one after the cloud was closed", async () => {
    const disabled = await bakery({ State: "DISABLED" });
    await disabled.until(start + day);
    expect(disabled.deliveries).toEqual([]);
    const closed = await bakery();
    await closed.until(start);
    await closed.service.close();
    await closed.until(start + day);
    expect(closed.deliveries).toHaveLength(1);
  });

  test("with a flexible window invokes once within it, at the same times in each run", async () => {
    const run = async () => {
      const { until, deliveries } = await bakery({
        FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 15 },
      });
      await until(start + 2 * day - second);
      return deliveries.map(({ at }, index) => at - start - index * hour);
    };
    const delays = await run();
    expect(delays).toHaveLength(48);
    for (const each of delays) expect(each % second === 0 && each >= 0 && each < 15 * minute).toBe(true);
    expect(new Set(delays).size).toBeGreaterThan(40);
    expect(await run()).toEqual(delays);
  });

  test("with a window wider than its rate misses no time", async () => {
    const { until, deliveries } = await bakery(
      { ScheduleExpression: "rate(5 minutes)", FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 60 } },
      { Input: '"<aws.scheduler.scheduled-time>"' },
    );
    await until(start + 3 * hour);
    const first = deliveries
      .map(({ payload }) => JSON.parse(payload))
      .sort()
      .slice(0, 24);
    expect(first).toEqual(
      Array.from({ length: 24 }, (_, index) => `${new Date(start + index * 5 * minute).toISOString().slice(0, 19)}Z`),
    );
  });
});

describe("what a schedule hands over", () => {
  const Input =
    '{"at":"<aws.scheduler.scheduled-time>","id":"<aws.scheduler.execution-id>","of":"<aws.scheduler.schedule-arn>","n":<aws.scheduler.attempt-number>}';

  test("has its keywords replaced: the time is the schedule's, the id the attempt's own", async () => {
    const { alone, until, deliveries } = await bakery({ ScheduleExpression: "rate(1 day)" }, { Input });
    alone.refuse = () => (deliveries.length < 3 ? busy : undefined);
    await until(start + minute);
    const told = deliveries.map(({ payload }) => JSON.parse(payload));
    expect(told.map(({ n }) => n)).toEqual([1, 2, 3]);
    expect(told).toMatchObject(Array(3).fill({ at: "2026-03-01T12:00:00Z", of: schedule }));
    for (const { id } of told) expect(id).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set(told.map(({ id }) => id)).size).toBe(3);
  });

  test("without an input is a notification of the scheduler", async () => {
    const { until, deliveries } = await bakery({}, { Input: undefined });
    await until(start);
    expect(JSON.parse(deliveries[0]!.payload)).toEqual({
      version: "0",
      id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      "detail-type": "Scheduled Event",
      source: "aws.scheduler",
      account: accountId,
      time: "2026-03-01T12:00:00Z",
      region,
      resources: [schedule],
      detail: "{}",
    });
  });
});

describe("an invocation that fails", () => {
  const dead = { DeadLetterConfig: { Arn: queue("dead") } };
  const toTarget = ({ to }: { to: string }) => to === lambda;
  const once = { ScheduleExpression: "at(2026-03-01T12:00:00)" };

  test("is tried again as its policy says, and ends as a dead letter of the role's that says why", async () => {
    const RetryPolicy = { MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 3600 };
    const { alone, until, deliveries, measured } = await bakery(once, { ...dead, RetryPolicy });
    alone.refuse = (delivery) => (toTarget(delivery) ? busy : undefined);
    await until(start + hour);
    expect(deliveries.filter(toTarget).map(({ at }) => (at - start) / second)).toEqual([0, 1, 3, 7]);
    expect(deliveries.at(-1)).toMatchObject({
      to: queue("dead"),
      payload: '{"bake":"rye"}',
      as: { kind: "session", role: `arn:aws:iam::${accountId}:role/baker` },
      context: {},
      attributes: {
        ERROR_CODE: "ServiceUnavailable",
        ERROR_MESSAGE: "not now",
        EXECUTION_ID: expect.stringMatching(/^[0-9a-f]{16}$/),
        EXHAUSTED_RETRY_CONDITION: "MaximumRetryAttempts",
        IS_PAYLOAD_TRUNCATED: "false",
        RETRY_ATTEMPTS: "3",
        SCHEDULED_TIME: "2026-03-01T12:00:00Z",
        SCHEDULE_ARN: schedule,
        TARGET_ARN: lambda,
      },
    });
    expect(measured("TargetErrorCount")).toHaveLength(4);
    expect(measured("InvocationsSentToDeadLetterCount")).toHaveLength(1);
    expect(measured("InvocationDroppedCount")).toEqual([
      {
        namespace: "AWS/Scheduler",
        name: "InvocationDroppedCount",
        dimensions: { ScheduleGroup: "kitchen" },
        value: 1,
      },
    ]);
  });

  test("is given up when it is too old", async () => {
    const RetryPolicy = { MaximumEventAgeInSeconds: 60 };
    const { alone, until, deliveries } = await bakery(once, { ...dead, RetryPolicy });
    alone.refuse = (delivery) => (toTarget(delivery) ? busy : undefined);
    await until(start + hour);
    expect(deliveries.at(-1)).toMatchObject({
      at: start + minute,
      attributes: { EXHAUSTED_RETRY_CONDITION: "MaximumEventAgeInSeconds", RETRY_ATTEMPTS: "5" },
    });
  });

  test("does not keep the next one back", async () => {
    const { alone, until, deliveries } = await bakery({}, { Input: '"<aws.scheduler.scheduled-time>"' });
    alone.refuse = ({ payload }) => (payload.includes("T12:00") ? busy : undefined);
    await until(start + hour);
    expect(deliveries.filter(({ payload }) => payload.includes("T13:00"))).toHaveLength(1);
  });

  test.each([
    [
      "throttled by the target counts as that",
      new CallRefused("TooManyRequestsException", "slow", 429),
      "TargetErrorThrottledCount",
    ],
    ["refused is not tried again", new CallRefused("AccessDeniedException", "no", 403), "TargetErrorCount"],
  ])("and is %s", async (_, refused, metric) => {
    const { alone, until, deliveries, measured } = await bakery(once, { RetryPolicy: { MaximumRetryAttempts: 0 } });
    alone.refuse = () => refused;
    await until(start + hour);
    expect(deliveries).toHaveLength(1);
    expect(measured(metric)).toHaveLength(1);
  });

  test("and whose dead letter fails too, is counted", async () => {
    const { alone, until, measured } = await bakery(once, dead);
    alone.refuse = () => new CallRefused("AccessDeniedException", "no", 403);
    await until(start + hour);
    expect(measured("InvocationsFailedToBeSentToDeadLetterCount")).toHaveLength(1);
    expect(measured("InvocationsSentToDeadLetterCount")).toEqual([]);
  });
});

describe("a schedule is refused", () => {
  test.each<[string, object, object, string]>([
    ["without a window", { FlexibleTimeWindow: undefined }, {}, "shop.Bread: no flexible time window"],
    ["with a window of no width", { FlexibleTimeWindow: { Mode: "FLEXIBLE" } }, {}, "no flexible time window"],
    [
      "with a window of two days",
      { FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 2880 } },
      {},
      "no flexible time window",
    ],
    ["in a group that is not there", { GroupName: "cellar" }, {}, "no group cellar"],
    ["with an expression that is none", { ScheduleExpression: "rate(1 week)" }, {}, "shop.Bread: no rate"],
    ["in a zone that is none", { ScheduleExpressionTimezone: "Mars/North" }, {}, "unknown time zone Mars/North"],
    ["with a date without a zone", { StartDate: "2026-03-01" }, {}, "no date in UTC"],
    ["in an unknown state", { State: "ON" }, {}, "unknown state ON"],
    ["under a key", { KmsKeyArn: "x" }, {}, "shop.Bread: KmsKeyArn is not understood"],
    [
      "with a target of another kind",
      {},
      { Arn: "arn:aws:scheduler:::aws-sdk:sqs:sendMessage" },
      "that is not understood",
    ],
    ["without a role", {}, { RoleArn: undefined }, "no role: undefined"],
    ["with parameters of its target", {}, { SqsParameters: {} }, "shop.Bread: SqsParameters is not understood"],
    ["with an unknown keyword", {}, { Input: '"<aws.scheduler.name>"' }, "an unknown keyword: <aws.scheduler.name>"],
    ["with an input of a function that is no JSON", {}, { Input: "<aws.scheduler.attempt-number> {" }, "no JSON"],
    [
      "with dead letters in an ordered queue",
      {},
      { DeadLetterConfig: { Arn: queue("dead.fifo") } },
      "no standard queue",
    ],
  ])("%s", async (_, properties, target, reason) => {
    await expect(bakery(properties, target, {})).rejects.toThrow(reason);
  });

  test.each([
    ["of another account", { StringEquals: { "aws:SourceAccount": "999988887777" } }],
    ["of another group", { ArnEquals: { "aws:SourceArn": `${group}s` } }],
    ["of one schedule instead of its group", { ArnEquals: { "aws:SourceArn": schedule } }],
  ])("where its role trusts the scheduler %s only", async (_, condition) => {
    await expect(bakery({}, {}, condition)).rejects.toThrow(
      "shop.Bread: scheduler.amazonaws.com may not sts:AssumeRole",
    );
  });
});
