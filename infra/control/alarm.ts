import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type { Construct } from "constructs";
import type { Alerts, Severity } from "./alerts.ts";

export interface AlarmProps {
  /** Its name, and the heading of its entry in docs/runbook.md. */
  readonly entry: string;
  readonly severity: Severity;
  /** What is wrong, as whoever is woken by it reads it. */
  readonly says: string;
  readonly metric: IMetric;
  /** When it is red: below `least`, or above `most`. */
  readonly least?: number;
  readonly most?: number;
  /** Periods of the metric that must be red one after the other. @default 1 */
  readonly periods?: number;
  /** What silence of the metric means. Only what counts faults may take it for good. @default "red" */
  readonly silence?: "red" | "good";
}

/**
 * The only way in which an alarm is made: it has a severity, a topic that hears of it, and an entry in the runbook.
 *
 * One that rings in silence has many short periods instead of a long one: CloudWatch looks some periods further back than it was told, and takes what it
 * finds there for news. With periods of a day, a day of silence would be told after three.
 */
export function alarm(scope: Construct, alerts: Alerts, props: AlarmProps): Alarm {
  const { entry, severity, says, metric, least, most, periods = 1, silence = "red" } = props;
  const made = new Alarm(scope, `Alarm-${entry}`, {
    alarmName: `${alerts.prefix}-${entry}`,
    alarmDescription: `${severity}: ${says}. What to do: docs/runbook.md#${entry}`,
    metric,
    threshold: least ?? most ?? 0,
    comparisonOperator:
      least === undefined ? ComparisonOperator.GREATER_THAN_THRESHOLD : ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: periods,
    datapointsToAlarm: periods,
    treatMissingData: silence === "red" ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
  });
  const action = new SnsAction(alerts.topics[severity]);
  made.addAlarmAction(action);
  made.addOkAction(action);
  return made;
}
