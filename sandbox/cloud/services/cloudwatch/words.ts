/** What CloudWatch writes when an alarm changes: the reason, the message to a topic, the event. */
import type { CloudEvent } from "../../service.ts";
import { type Alarm, type Standing, wordsOf } from "./alarm.ts";
import type { AlarmState, Outcome } from "./evaluation.ts";
import { regionName } from "./region-names.ts";

/** `2026-11-22T05:00:00.000+0000`. */
const stamp = (time: number) => new Date(time).toISOString().replace("Z", "+0000");
/** A number as Java prints it. */
const decimal = (value: number) => (Number.isInteger(value) ? value.toFixed(1) : String(value));
const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

export function reasonOf(alarm: Alarm, { points, filled }: Outcome, from: AlarmState, to: AlarmState): string {
  const { missing, operator, threshold, datapointsToAlarm, evaluationPeriods } = alarm;
  if (to === "INSUFFICIENT_DATA") {
    return `Insufficient Data: ${counted(filled, "datapoint")} ${filled === 1 ? "was" : "were"} unknown.`;
  }
  const taken = `${counted(filled, "missing datapoint")} ${filled === 1 ? "was" : "were"} treated as [${missing === "breaching" ? "Breaching" : "NonBreaching"}]`;
  if (points.length === 0) {
    return `Threshold Crossed: no datapoints were received for ${counted(evaluationPeriods, "period")} and ${taken}.`;
  }
  const values = points.map(({ start, value }) => `${decimal(value)} (${shortTime(start)})`).join(", ");
  const compared = `${points.length === 1 ? "was" : "were"} ${to === "OK" ? "not " : ""}${wordsOf(operator)} the threshold (${decimal(threshold)})`;
  if (filled > 0 && (missing === "breaching" || missing === "notBreaching")) {
    return `Threshold Crossed: ${counted(points.length, "datapoint")} [${values}] ${compared} and ${taken}.`;
  }
  const least = to === "ALARM" ? datapointsToAlarm : evaluationPeriods - datapointsToAlarm + 1;
  return `Threshold Crossed: ${points.length} out of the last ${points.length} datapoints [${values}] ${compared} (minimum ${counted(least, "datapoint")} for ${from === "ALARM" ? "ALARM -> OK" : "OK -> ALARM"} transition).`;
}

/** `DD/MM/YY HH:MM:SS`. */
function shortTime(time: number): string {
  const [date, clock] = new Date(time).toISOString().split(/[T.]/) as [string, string];
  const [year, month, dayOfMonth] = date.slice(2).split("-");
  return `${dayOfMonth}/${month}/${year} ${clock}`;
}

export function reasonDataOf({ statistic, period, threshold }: Alarm, { points }: Outcome, now: number): string {
  return JSON.stringify({
    version: "1.0",
    queryDate: stamp(now),
    ...(points.length > 0 && { startDate: stamp(points.at(-1)!.start) }),
    statistic,
    period: period / 1000,
    recentDatapoints: points.map(({ value }) => value).reverse(),
    threshold,
  });
}

export interface Change {
  readonly alarm: Alarm;
  readonly before: Standing;
  readonly now: Standing;
}

/** Subject and text for a topic ("Alarm notification format"). */
export function messageOf({ alarm, before, now }: Change, account: string, region: string) {
  const { name, arn, description, metric, actions, missing } = alarm;
  const Region = regionName(region);
  const text = JSON.stringify({
    AlarmName: name,
    AlarmDescription: description ?? null,
    AWSAccountId: account,
    AlarmConfigurationUpdatedTimestamp: stamp(alarm.madeAt),
    NewStateValue: now.value,
    NewStateReason: now.reason,
    StateChangeTime: stamp(now.since),
    Region,
    AlarmArn: arn,
    OldStateValue: before.value,
    OKActions: actions.OK,
    AlarmActions: actions.ALARM,
    InsufficientDataActions: actions.INSUFFICIENT_DATA,
    Trigger: {
      MetricName: metric.name,
      Namespace: metric.namespace,
      StatisticType: "Statistic",
      Statistic: alarm.statistic.toUpperCase(),
      Unit: null,
      Dimensions: Object.entries(metric.dimensions).map(([each, value]) => ({ value, name: each })),
      Period: alarm.period / 1000,
      EvaluationPeriods: alarm.evaluationPeriods,
      DatapointsToAlarm: alarm.datapointsToAlarm,
      ComparisonOperator: alarm.operator,
      Threshold: alarm.threshold,
      TreatMissingData: missing,
      EvaluateLowSampleCountPercentile: "",
    },
  });
  return { subject: `${now.value}: "${name}" in ${Region}`, text };
}

/** "Alarm events and EventBridge". */
export function eventOf({ alarm, before, now }: Change): CloudEvent {
  const { name, arn, description, metric, period, statistic } = alarm;
  const standing = ({ value, reason, reasonData, since }: Standing) => ({
    value,
    reason,
    ...(reasonData !== "" && { reasonData }),
    timestamp: stamp(since),
  });
  const metricStat = { metric: { ...metric }, period: period / 1000, stat: statistic };
  return {
    source: "aws.cloudwatch",
    "detail-type": "CloudWatch Alarm State Change",
    resources: [arn],
    detail: {
      alarmName: name,
      configuration: {
        ...(description !== undefined && { description }),
        metrics: [{ id: "m1", metricStat, returnData: true }],
      },
      previousState: standing(before),
      state: standing(now),
    },
  };
}
