import { Duration } from "aws-cdk-lib";
import { Dashboard, GraphWidget } from "aws-cdk-lib/aws-cloudwatch";
import type { Construct } from "constructs";
import type { Alerts } from "./alerts.ts";
import type { MailarkFunction } from "./mailark-function.ts";

/** Started, judged, refused, failed: one row for the whole fleet. */
export function dashboard(
  scope: Construct,
  name: string,
  {
    dispatch,
    verify,
    api,
    alerts,
  }: Readonly<Record<"dispatch" | "verify" | "api", MailarkFunction>> & { alerts: Alerts },
): void {
  const period = Duration.hours(1);
  new Dashboard(scope, "Dashboard", {
    dashboardName: name,
    widgets: [
      [
        new GraphWidget({
          title: "backups started",
          left: [dispatch.metric("HostsStarted", period), dispatch.metric("HostsSkipped", period)],
        }),
        new GraphWidget({
          title: "snapshots judged",
          left: [verify.metric("SnapshotsIntact", period), verify.metric("SnapshotsRefused", period)],
        }),
        new GraphWidget({
          title: "what failed",
          left: [
            dispatch.function.metricErrors({ period }),
            verify.function.metricErrors({ period }),
            api.function.metricErrors({ period }),
            alerts.deadLetters.metricApproximateNumberOfMessagesVisible({ period }),
          ],
        }),
      ],
    ],
  });
}
