import { z } from "zod";
import { type ApiCall, CallRefused, type Cloud, refuseUnlessAllowed } from "../../service.ts";
import { type Alarm, dimensionsOf, type Standing } from "./alarm.ts";
import type { Alarms } from "./alarms.ts";
import { type Metrics, statistics } from "./metrics.ts";

const minute = 60_000;

interface Asked {
  readonly cloud: Cloud;
  readonly alarms: Alarms;
  readonly metrics: Metrics;
  readonly call: ApiCall;
}

type Operation = (asked: Asked) => Readonly<Record<string, unknown>>;

const state = z.enum(["OK", "ALARM", "INSUFFICIENT_DATA"]);
const dimensions = z.array(z.strictObject({ Name: z.string(), Value: z.string() })).default([]);
/** Text, or seconds since 1970. */
const time = z.union([
  z.string().transform((text) => Date.parse(text)),
  z.number().transform((seconds) => seconds * 1000),
]);
const describing = z.strictObject({
  AlarmNames: z.array(z.string()).optional(),
  AlarmNamePrefix: z.string().default(""),
  StateValue: state.optional(),
});
const setting = z.strictObject({
  AlarmName: z.string(),
  StateValue: state,
  StateReason: z.string(),
  StateReasonData: z.string().default(""),
});
const putting = z.strictObject({
  Namespace: z.string(),
  MetricData: z.array(
    z.strictObject({
      MetricName: z.string(),
      Dimensions: dimensions,
      Timestamp: time.optional(),
      Value: z.number().optional(),
      Values: z.array(z.number()).optional(),
      Counts: z.array(z.number()).optional(),
      Unit: z.string().optional(),
      StorageResolution: z.literal(60).optional(),
    }),
  ),
});
const asking = z.strictObject({
  Namespace: z.string(),
  MetricName: z.string(),
  Dimensions: dimensions,
  StartTime: time,
  EndTime: time,
  Period: z.number(),
  Statistics: z.array(z.enum(statistics)).nonempty(),
});

/** "Amazon CloudWatch API reference". An input that is not known here is a defect, like an operation. */
export const operations: Readonly<Record<string, Operation>> = {
  DescribeAlarms({ cloud, alarms, call }) {
    const { AlarmNames, AlarmNamePrefix, StateValue } = describing.parse(call.input);
    demand(cloud, call, `arn:aws:cloudwatch:${cloud.region}:${cloud.accountId}:alarm:*`);
    const found = alarms.all.filter(
      ({ alarm: { name }, standing: { value } }) =>
        (AlarmNames?.includes(name) ?? true) &&
        name.startsWith(AlarmNamePrefix) &&
        (StateValue === undefined || StateValue === value),
    );
    return { MetricAlarms: found.map(({ alarm, standing }) => described(alarm, standing)), CompositeAlarms: [] };
  },
  /** Lasts until it is looked at next. */
  SetAlarmState({ cloud, alarms, call }) {
    const {
      AlarmName,
      StateValue: value,
      StateReason: reason,
      StateReasonData: reasonData,
    } = setting.parse(call.input);
    demand(cloud, call, `arn:aws:cloudwatch:${cloud.region}:${cloud.accountId}:alarm:${AlarmName}`);
    alarms.set(AlarmName, { value, reason, reasonData, since: cloud.clock.now() });
    return {};
  },
  PutMetricData({ cloud, metrics, call }) {
    const { MetricData, Namespace: namespace } = putting.parse(call.input);
    demand(cloud, call, "*", { "cloudwatch:namespace": namespace });
    if (namespace.startsWith("AWS/")) throw new CallRefused("InvalidParameterValue", "a namespace of AWS");
    for (const { MetricName: name, Dimensions, Timestamp = cloud.clock.now(), Value, Values, Counts } of MetricData) {
      if ((Value === undefined) === (Values === undefined)) throw new Error("cloudwatch: either a value or values");
      const metric = { namespace, name, dimensions: dimensionsOf(Dimensions) };
      const values = Values?.flatMap((value, index) => Array<number>(Counts?.[index] ?? 1).fill(value)) ?? [Value!];
      for (const value of values) metrics.add(metric, value, Timestamp);
    }
    return {};
  },
  GetMetricStatistics({ cloud, metrics, call }) {
    const {
      Namespace: namespace,
      MetricName: name,
      Dimensions,
      StartTime,
      EndTime,
      Period,
      Statistics,
    } = asking.parse(call.input);
    demand(cloud, call, "*");
    const metric = { namespace, name, dimensions: dimensionsOf(Dimensions) };
    const Datapoints = [];
    for (let from = StartTime - (StartTime % minute); from < EndTime; from += Period * 1000) {
      const values = Statistics.map((each) => [each, metrics.statistic(metric, each, from, from + Period * 1000)]);
      if (values[0]![1] !== undefined) Datapoints.push({ Timestamp: from / 1000, ...Object.fromEntries(values) });
    }
    return { Label: name, Datapoints };
  },
};

function demand(
  cloud: Cloud,
  { caller, operation }: ApiCall,
  resource: string,
  context: Readonly<Record<string, string>> = {},
): void {
  const need = { action: `cloudwatch:${operation}`, resource, context };
  refuseUnlessAllowed(cloud, caller, need);
}

function described(alarm: Alarm, { value, reason, reasonData, since }: Standing) {
  return {
    AlarmName: alarm.name,
    AlarmArn: alarm.arn,
    AlarmDescription: alarm.description,
    ActionsEnabled: alarm.actionsEnabled,
    AlarmActions: alarm.actions.ALARM,
    OKActions: alarm.actions.OK,
    InsufficientDataActions: alarm.actions.INSUFFICIENT_DATA,
    StateValue: value,
    StateReason: reason,
    ...(reasonData !== "" && { StateReasonData: reasonData }),
    StateUpdatedTimestamp: since / 1000,
    MetricName: alarm.metric.name,
    Namespace: alarm.metric.namespace,
    Dimensions: Object.entries(alarm.metric.dimensions).map(([Name, Value]) => ({ Name, Value })),
    Statistic: alarm.statistic,
    Period: alarm.period / 1000,
    EvaluationPeriods: alarm.evaluationPeriods,
    DatapointsToAlarm: alarm.datapointsToAlarm,
    Threshold: alarm.threshold,
    ComparisonOperator: alarm.operator,
    TreatMissingData: alarm.missing,
  };
}
