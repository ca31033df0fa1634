import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetMetricStatisticsCommand,
  PutMetricDataCommand,
  SetAlarmStateCommand,
} from "@aws-sdk/client-cloudwatch";
import { describe, expect, onTestFinished, test } from "vitest";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import { CallRefused, type CloudEvent, type Delivery, type Service } from "../../../../sandbox/cloud/service.ts";
import { cloudwatchService } from "../../../../sandbox/cloud/services/cloudwatch/cloudwatch-service.ts";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { accountId, clientOf, region, roleOf, smallCloud } from "../../../fixtures/small-cloud.ts";

const start = Date.parse("2026-11-22T00:00:00Z");
const minute = 60_000;
const topic = `arn:aws:sns:${region}:${accountId}:news`;
const alarmArn = `arn:aws:cloudwatch:${region}:${accountId}:alarm:hot`;
const alarm = (more: object = {}): Json => ({
  Type: "AWS::CloudWatch::Alarm",
  Properties: {
    AlarmName: "hot",
    Namespace: "shop",
    MetricName: "Heat",
    Dimensions: [{ Name: "Room", Value: "oven" }],
    Statistic: "Maximum",
    Period: 60,
    EvaluationPeriods: 1,
    Threshold: 50,
    ComparisonOperator: "GreaterThanThreshold",
    AlarmActions: [topic],
    ...more,
  },
});

async function cloudWith(resources: Record<string, Json>) {
  const told: Delivery[] = [];
  const events: CloudEvent[] = [];
  const ears = { open: true };
  const listener = (): Service => ({
    ...{ name: "sns", types: [], make() {} },
    async accept(delivery) {
      if (!ears.open) throw new CallRefused("AuthorizationError", "not you", 403);
      told.push(delivery);
    },
    publish: async (event) => void events.push(event),
  });
  const notes: string[] = [];
  const cloud = await smallCloud(resources, {
    clock: virtualClock(start),
    services: [iamService, stsService, cloudwatchService, listener],
    note: (line) => void notes.push(line),
  });
  const client = (who = cloud.root) => {
    const made = new CloudWatchClient(clientOf(cloud, who));
    onTestFinished(() => made.destroy());
    return made;
  };
  const heat = (value: number) =>
    cloud.measure({ namespace: "shop", name: "Heat", dimensions: { Room: "oven" }, value });
  const state = async () =>
    (await client().send(new DescribeAlarmsCommand({ AlarmNames: ["hot"] }))).MetricAlarms?.[0]?.StateValue;
  return { cloud, client, heat, state, told, events, notes, ears };
}

describe("an alarm that changes", () => {
  test("tells its topic in the documented words, as CloudWatch, for this alarm of this account", async () => {
    const { cloud, heat, told } = await cloudWith({ Hot: alarm({ AlarmDescription: "too hot", OKActions: [topic] }) });
    heat(50);
    await cloud.advance(minute);
    heat(51.5);
    await cloud.advance(minute);
    const [ok, red] = told;
    expect(told).toHaveLength(2);
    expect(red).toMatchObject({
      ...{ to: topic, subject: 'ALARM: "hot" in EU (Frankfurt)' },
      as: { kind: "service", service: "cloudwatch.amazonaws.com" },
      context: { "aws:SourceArn": alarmArn, "aws:SourceAccount": accountId },
    });
    expect(JSON.parse(ok!.payload)).toMatchObject({
      ...{ OldStateValue: "INSUFFICIENT_DATA", NewStateValue: "OK" },
      NewStateReason:
        "Threshold Crossed: 1 out of the last 1 datapoints [50.0 (22/11/26 00:00:00)] was not greater than the threshold (50.0) (minimum 1 datapoint for OK -> ALARM transition).",
    });
    expect(JSON.parse(red!.payload)).toEqual({
      AlarmName: "hot",
      AlarmDescription: "too hot",
      AWSAccountId: accountId,
      AlarmConfigurationUpdatedTimestamp: "2026-11-22T00:00:00.000+0000",
      NewStateValue: "ALARM",
      NewStateReason:
        "Threshold Crossed: 1 out of the last 1 datapoints [51.5 (22/11/26 00:01:00)] was greater than the threshold (50.0) (minimum 1 datapoint for OK -> ALARM transition).",
      StateChangeTime: "2026-11-22T00:02:00.000+0000",
      Region: "EU (Frankfurt)",
      AlarmArn: alarmArn,
      OldStateValue: "OK",
      OKActions: [topic],
      AlarmActions: [topic],
      InsufficientDataActions: [],
      Trigger: {
        MetricName: "Heat",
        Namespace: "shop",
        StatisticType: "Statistic",
        Statistic: "MAXIMUM",
        Unit: null,
        Dimensions: [{ value: "oven", name: "Room" }],
        Period: 60,
        EvaluationPeriods: 1,
        DatapointsToAlarm: 1,
        ComparisonOperator: "GreaterThanThreshold",
        Threshold: 50,
        TreatMissingData: "missing",
        EvaluateLowSampleCountPercentile: "",
      },
    });
  });

  test("tells once, and again when it has changed", async () => {
    const { cloud, heat, told } = await cloudWith({ Hot: alarm() });
    for (const value of [60, 70, 80, 10, 60]) {
      heat(value);
      await cloud.advance(minute);
    }
    expect(told.map(({ payload }) => JSON.parse(payload).NewStateValue)).toEqual(["ALARM", "ALARM"]);
  });

  test("tells other topics when it has no data, and the bus each time", async () => {
    const other = `${topic}2`;
    const { cloud, heat, told, events } = await cloudWith({ Hot: alarm({ InsufficientDataActions: [other] }) });
    heat(60);
    await cloud.advance(5 * minute);
    expect(told.map(({ to }) => to)).toEqual([topic, other]);
    expect(JSON.parse(told[1]!.payload).NewStateReason).toBe("Insufficient Data: 1 datapoint was unknown.");
    expect(events.map(({ detail }) => (detail as { state: { value: string } }).state.value)).toEqual([
      "ALARM",
      "INSUFFICIENT_DATA",
    ]);
    expect(events[0]).toMatchObject({
      ...{ source: "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", resources: [alarmArn] },
      detail: { alarmName: "hot", previousState: { value: "INSUFFICIENT_DATA" } },
    });
  });

  test("that nobody lets publish is red all the same: only the notes have it", async () => {
    const { cloud, heat, told, notes, state, ears } = await cloudWith({ Hot: alarm() });
    ears.open = false;
    heat(60);
    await cloud.advance(minute);
    expect([await state(), told]).toEqual(["ALARM", []]);
    expect(notes).toContain(`cloudwatch: hot could not tell ${topic}: AuthorizationError: not you`);
    await cloud.advance(60 * minute);
    expect(told).toEqual([]);
  });

  test("rings in silence where that is breaching, with as many words", async () => {
    const { cloud, told } = await cloudWith({ Hot: alarm({ TreatMissingData: "breaching", EvaluationPeriods: 2 }) });
    await cloud.advance(minute);
    expect(JSON.parse(told[0]!.payload).NewStateReason).toBe(
      "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching].",
    );
  });
});

test.each([
  ["Sum", 6],
  ["Maximum", 3],
  ["Minimum", 1],
  ["Average", 2],
  ["SampleCount", 3],
])("the %s of 1, 2 and 3 is %d, for alarms and for who asks", async (Statistic, expected) => {
  const exactly = (Threshold: number) =>
    alarm({ Statistic, Threshold, ComparisonOperator: "GreaterThanOrEqualToThreshold" });
  for (const [Threshold, wanted] of [
    [expected, "ALARM"],
    [expected + 0.5, "OK"],
  ] as const) {
    const { cloud, client, heat, state } = await cloudWith({ Hot: exactly(Threshold) });
    for (const value of [1, 2, 3]) heat(value);
    await cloud.advance(minute);
    expect(await state()).toBe(wanted);
    const { Datapoints } = await client().send(
      new GetMetricStatisticsCommand({
        ...{ Namespace: "shop", MetricName: "Heat", Dimensions: [{ Name: "Room", Value: "oven" }], Period: 60 },
        ...{ StartTime: new Date(start), EndTime: new Date(start + 5 * minute), Statistics: [Statistic as "Sum"] },
      }),
    );
    expect(Datapoints).toEqual([{ Timestamp: new Date(start), [Statistic]: expected }]);
  }
});

test.each([
  ["GreaterThanThreshold", ["OK", "OK", "ALARM"]],
  ["GreaterThanOrEqualToThreshold", ["OK", "ALARM", "ALARM"]],
  ["LessThanThreshold", ["ALARM", "OK", "OK"]],
  ["LessThanOrEqualToThreshold", ["ALARM", "ALARM", "OK"]],
])("%s compares as it says", async (ComparisonOperator, expected) => {
  const { cloud, heat, state } = await cloudWith({ Hot: alarm({ ComparisonOperator }) });
  const states = [];
  for (const value of [49, 50, 51]) {
    heat(value);
    await cloud.advance(minute);
    states.push(await state());
  }
  expect(states).toEqual(expected);
});

test("an alarm that looks back further than a day is looked at each full hour", async () => {
  const { cloud, heat, state } = await cloudWith({
    Hot: alarm({ Period: 3600, EvaluationPeriods: 25, DatapointsToAlarm: 1 }),
  });
  await cloud.advance(5 * minute);
  heat(60);
  await cloud.advance(54 * minute);
  expect(await state()).toBe("INSUFFICIENT_DATA");
  await cloud.advance(minute);
  expect(await state()).toBe("ALARM");
});

test("a state that somebody sets lasts until the next look", async () => {
  const { cloud, client, heat, state, told } = await cloudWith({ Hot: alarm() });
  heat(10);
  await cloud.advance(minute);
  const set = (AlarmName: string) =>
    client().send(new SetAlarmStateCommand({ AlarmName, StateValue: "ALARM", StateReason: "to see who hears it" }));
  await set("hot");
  await cloud.settle();
  expect(JSON.parse(told[0]!.payload).NewStateReason).toBe("to see who hears it");
  heat(10);
  await cloud.advance(minute);
  expect(await state()).toBe("OK");
  await expect(set("cold")).rejects.toMatchObject({ name: "ResourceNotFound" });
});

test("values are put by whom a policy lets, into the namespace that it names", async () => {
  const put = { Effect: "Allow", Action: "cloudwatch:PutMetricData", Resource: "*" };
  const { cloud, client, state } = await cloudWith({
    Hot: alarm(),
    Gauge: roleOf("gauge", { Service: "ec2.amazonaws.com" }, [
      { ...put, Condition: { StringEquals: { "cloudwatch:namespace": "shop" } } },
    ]),
  });
  const gauge = client(cloud.credential("gauge", "s"));
  const datum = { MetricName: "Heat", Dimensions: [{ Name: "Room", Value: "oven" }], Values: [10, 60], Counts: [5, 1] };
  await gauge.send(new PutMetricDataCommand({ Namespace: "shop", MetricData: [datum] }));
  await expect(gauge.send(new PutMetricDataCommand({ Namespace: "bank", MetricData: [datum] }))).rejects.toMatchObject({
    name: "AccessDeniedException",
  });
  await cloud.advance(minute);
  expect(await state()).toBe("ALARM");
  await expect(gauge.send(new DescribeAlarmsCommand({}))).rejects.toMatchObject({ name: "AccessDeniedException" });
});

test.each<[string, object, RegExp]>([
  ["a property", { Metrics: [] }, /^shop\.Hot: Metrics is not understood/],
  ["a statistic", { Statistic: "p99" }, /^shop\.Hot: unknown statistic: p99/],
  ["a comparison", { ComparisonOperator: "LessThanLowerThreshold" }, /unknown comparison/],
  ["a way with silence", { TreatMissingData: "Breaching" }, /unknown way with silence/],
  ["a period", { Period: 10 }, /a period of 10 s/],
  ["more data points than periods", { DatapointsToAlarm: 2 }, /more data points than periods/],
  ["minutes of more than a day", { Period: 60, EvaluationPeriods: 1441 }, /looks back further/],
  ["days of more than a week", { Period: 86_400, EvaluationPeriods: 8 }, /looks back further/],
  ["an action", { AlarmActions: ["arn:aws:automate:eu-central-1:ec2:stop"] }, /an action that is no topic/],
])("%s that CloudWatch would refuse, or that is not known, stops the cloud", async (_, properties, message) => {
  await expect(cloudWith({ Hot: alarm(properties) })).rejects.toThrow(message);
});

test("a dashboard must be one that can be read", async () => {
  const dashboard = (DashboardBody: string) =>
    cloudWith({ Board: { Type: "AWS::CloudWatch::Dashboard", Properties: { DashboardBody } } });
  await dashboard('{"widgets":[]}');
  await expect(dashboard("{}")).rejects.toThrow("shop.Board: a dashboard without widgets");
  await expect(dashboard("{")).rejects.toThrow();
});
