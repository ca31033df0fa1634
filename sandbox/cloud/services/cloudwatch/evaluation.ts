/**
 * What an alarm makes of its data points ("Configuring how CloudWatch alarms treat missing data"; the two tables there are
 * the test of this file). CloudWatch looks further back than `EvaluationPeriods` where points are missing, and takes what
 * it finds there for present: **silence turns an alarm red only when the whole range is silent**. How far back is said by
 * example alone, five points for three; it is taken for two more whatever the period, so that the range of an alarm of one
 * period of a day is three days.
 */

export type AlarmState = "OK" | "ALARM" | "INSUFFICIENT_DATA";
export type Missing = "breaching" | "notBreaching" | "ignore" | "missing";

export interface Rule {
  /** N: how many points count. */
  readonly evaluationPeriods: number;
  /** M: how many of them must breach. */
  readonly datapointsToAlarm: number;
  readonly missing: Missing;
}

export interface Point {
  /** Milliseconds since 1970 at which its period began. */
  readonly start: number;
  readonly value: number;
}

export interface Outcome {
  /** `undefined`: it stays what it was. */
  readonly state: AlarmState | undefined;
  /** The points that it rests on, the latest first. */
  readonly points: readonly Point[];
  /** How many more it lacked, and took for something. */
  readonly filled: number;
}

/** Points that are looked at. */
export const rangeOf = ({ evaluationPeriods }: Pick<Rule, "evaluationPeriods">): number => evaluationPeriods + 2;

/** @param range - the latest first, one for each period of the range; `undefined` is missing. */
export function evaluate(
  range: readonly (Point | undefined)[],
  breaches: (value: number) => boolean,
  { evaluationPeriods, datapointsToAlarm, missing }: Rule,
): Outcome {
  const points = range.filter((point) => point !== undefined).slice(0, evaluationPeriods);
  const filled = evaluationPeriods - points.length;
  const bad = points.filter(({ value }) => breaches(value)).length;
  const outcome = (state: AlarmState | undefined): Outcome => ({ state, points, filled });
  const all = bad + (missing === "breaching" ? filled : 0);
  if (all >= datapointsToAlarm) return outcome("ALARM");
  if (filled === 0 || missing === "breaching" || missing === "notBreaching" || bad < points.length)
    return outcome("OK");
  if (missing === "ignore") return outcome(undefined);
  // All there is breaches, and it is no longer news: "Avoiding premature transitions to alarm state".
  const oldest = range.findLastIndex((point) => point !== undefined) + 1;
  return outcome(oldest >= datapointsToAlarm ? "ALARM" : "INSUFFICIENT_DATA");
}
