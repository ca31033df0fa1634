import type { Resource } from "../../template/stack.ts";
import { demandOf, only } from "../../understood.ts";
import { type AlarmState, evaluate, type Missing, type Outcome, type Point, type Rule, rangeOf } from "./evaluation.ts";
import { type MetricName, type Metrics, type Statistic, statistics } from "./metrics.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** An alarm as its template says. */
export interface Alarm extends Rule {
  readonly name: string;
  readonly arn: string;
  readonly description: string | undefined;
  readonly metric: MetricName;
  readonly statistic: Statistic;
  /** Milliseconds. */
  readonly period: number;
  readonly operator: Operator;
  readonly threshold: number;
  /** ARNs of topics, by the state into which it goes. */
  readonly actions: Readonly<Record<AlarmState, readonly string[]>>;
  readonly actionsEnabled: boolean;
  /** Milliseconds since 1970. */
  readonly madeAt: number;
}

/** In what state an alarm is, since when and why. */
export interface Standing {
  readonly value: AlarmState;
  readonly reason: string;
  /** JSON, or nothing. */
  readonly reasonData: string;
  readonly since: number;
}

const operators = {
  GreaterThanThreshold: { holds: (value: number, threshold: number) => value > threshold, words: "greater than" },
  GreaterThanOrEqualToThreshold: {
    holds: (value: number, threshold: number) => value >= threshold,
    words: "greater than or equal to",
  },
  LessThanThreshold: { holds: (value: number, threshold: number) => value < threshold, words: "less than" },
  LessThanOrEqualToThreshold: {
    holds: (value: number, threshold: number) => value <= threshold,
    words: "less than or equal to",
  },
} as const;
export type Operator = keyof typeof operators;
export const wordsOf = (operator: Operator): string => operators[operator].words;

/** @throws Error for what is not understood, and for what CloudWatch would refuse. */
export function alarmOf(resource: Resource, madeAt: number): Alarm {
  only(resource, [
    ...["ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmName", "ComparisonOperator", "DatapointsToAlarm"],
    ...["Dimensions", "EvaluationPeriods", "InsufficientDataActions", "MetricName", "Namespace", "OKActions", "Period"],
    ...["Statistic", "Tags", "Threshold", "TreatMissingData"],
  ]);
  const demand = demandOf(resource);
  const { Dimensions = [], EvaluationPeriods, TreatMissingData: missing = "missing", ...rest } = resource.properties;
  const { DatapointsToAlarm = EvaluationPeriods, ComparisonOperator: operator, Period, Statistic: statistic } = rest;
  const period = Period * 1000;
  demand(Object.hasOwn(operators, operator), `unknown comparison: ${operator}`);
  demand(statistics.includes(statistic), `unknown statistic: ${statistic}`);
  demand(["breaching", "notBreaching", "ignore", "missing"].includes(missing), `unknown way with silence: ${missing}`);
  demand(Period > 0 && period % minute === 0, `a period of ${Period} s is not understood`);
  demand(DatapointsToAlarm <= EvaluationPeriods, "more data points than periods");
  demand(EvaluationPeriods * period <= (period < hour ? day : 7 * day), "it looks back further than CloudWatch does");
  const actions = {
    ALARM: rest.AlarmActions ?? [],
    OK: rest.OKActions ?? [],
    INSUFFICIENT_DATA: rest.InsufficientDataActions ?? [],
  };
  const other = Object.values<string[]>(actions)
    .flat()
    .find((arn) => !/^arn:aws:sns:/.test(arn));
  demand(other === undefined, `an action that is no topic: ${other}`);
  return {
    name: resource.ref,
    arn: resource.attributes.Arn as string,
    description: rest.AlarmDescription,
    metric: { namespace: rest.Namespace, name: rest.MetricName, dimensions: dimensionsOf(Dimensions) },
    statistic,
    period,
    evaluationPeriods: EvaluationPeriods,
    datapointsToAlarm: DatapointsToAlarm,
    missing: missing as Missing,
    operator,
    threshold: Number(rest.Threshold),
    actions,
    actionsEnabled: rest.ActionsEnabled ?? true,
    madeAt,
  };
}

export const dimensionsOf = (written: readonly { readonly Name: string; readonly Value: string }[]) =>
  Object.fromEntries(written.map(({ Name, Value }) => [Name, Value]));

/**
 * Whether it is its time: every minute, and every hour where it looks back further than a day ("Evaluating multi-day
 * alarms").
 */
export function isDue({ evaluationPeriods, period }: Alarm, now: number): boolean {
  return now % (evaluationPeriods * period > day ? hour : minute) === 0;
}

/** What it says of the periods that end now, the newest ending with the minute. */
export function outcomeOf(alarm: Alarm, metrics: Metrics, now: number): Outcome {
  const { metric, statistic, period, operator, threshold } = alarm;
  const range = Array.from({ length: rangeOf(alarm) }, (_, back): Point | undefined => {
    const end = now - back * period;
    const value = metrics.statistic(metric, statistic, end - period, end);
    return value === undefined ? undefined : { start: end - period, value };
  });
  return evaluate(range, (value) => operators[operator].holds(value, threshold), alarm);
}
