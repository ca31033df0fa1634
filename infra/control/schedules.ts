import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { CfnSchedule, CfnScheduleGroup } from "aws-cdk-lib/aws-scheduler";
import type { Construct } from "constructs";
import { type Tier, tiers } from "../config.ts";
import type { Deployment } from "../deployment.ts";
import { type Alerts, buryStatements } from "./alerts.ts";
import type { MailarkFunction } from "./mailark-function.ts";

export interface SchedulesProps {
  readonly deployment: Deployment;
  readonly alerts: Alerts;
  readonly dispatch: MailarkFunction;
  readonly verify: MailarkFunction;
}

/** Everything that happens by the clock. */
export function schedules(scope: Construct, { deployment, alerts, dispatch, verify }: SchedulesProps): void {
  const { name, account, timeZone } = deployment;
  const group = new CfnScheduleGroup(scope, "Schedules", { name });
  const role = new Role(scope, "ScheduleRole", {
    roleName: `${name}-schedules`,
    assumedBy: new ServicePrincipal("scheduler.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": account } },
    }),
  });
  const functions = [dispatch, verify].map((each) => each.function.functionArn);
  role.addToPolicy(new PolicyStatement({ sid: "Invoke", actions: ["lambda:InvokeFunction"], resources: functions }));
  for (const statement of buryStatements(alerts)) role.addToPolicy(statement);
  const schedule = (what: string, expression: string, windowMinutes: number, to: MailarkFunction, input: object) =>
    new CfnSchedule(scope, `Schedule-${what}`, {
      name: `${name}-${what}`,
      groupName: group.ref,
      scheduleExpression: expression,
      scheduleExpressionTimezone: timeZone,
      flexibleTimeWindow:
        windowMinutes === 0 ? { mode: "OFF" } : { mode: "FLEXIBLE", maximumWindowInMinutes: windowMinutes },
      target: {
        arn: to.function.functionArn,
        roleArn: role.roleArn,
        input: JSON.stringify(input),
        retryPolicy: { maximumRetryAttempts: 10, maximumEventAgeInSeconds: 3600 },
        deadLetterConfig: { arn: alerts.deadLetters.queueArn },
      },
    });
  for (const [tier, components] of Object.entries(tiers) as [Tier, readonly string[]][]) {
    const { expression, windowMinutes } = deployment.schedules[tier];
    schedule(tier, expression, windowMinutes, dispatch, {
      // The same at each attempt at one time of the schedule, where an execution id is new: it starts once.
      requestId: `${name}-${tier}.<aws.scheduler.scheduled-time>`,
      requestedBy: `schedule ${name}-${tier}`,
      tier,
      components,
    });
  }
  schedule("sweep", "rate(1 day)", 60, verify, { sweep: "unjudged" });
  schedule("deep-verification", "rate(7 days)", 60, verify, { sweep: "deep" });
}
