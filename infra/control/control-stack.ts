import { CfnOutput, Duration, Stack } from "aws-cdk-lib";
import { Metric } from "aws-cdk-lib/aws-cloudwatch";
import type { Construct } from "constructs";
import type { Deployment } from "../deployment.ts";
import type { Vault } from "../vault/vault-stack.ts";
import { alarm } from "./alarm.ts";
import { Alerts, severities } from "./alerts.ts";
import { api } from "./api.ts";
import { dashboard } from "./dashboard.ts";
import { dispatchFunction } from "./dispatch.ts";
import { documents } from "./documents.ts";
import { notices } from "./notices.ts";
import { schedules } from "./schedules.ts";
import { VaultAccess } from "./vault-access.ts";
import { verifyFunction } from "./verify.ts";

/** What starts, judges and tells. It holds nothing that could not be deployed again. */
export class ControlStack extends Stack {
  constructor(scope: Construct, id: string, deployment: Deployment, vault: Pick<Vault, "key">) {
    const { account, region, name } = deployment;
    super(scope, id, { env: { account, region } });
    const alerts = new Alerts(this, "Alerts", deployment);
    const access = new VaultAccess(deployment, vault.key);
    documents(this, deployment);
    const dispatch = dispatchFunction(this, deployment, alerts, access);
    const verify = verifyFunction(this, deployment, alerts, access);
    const behindApi = api(this, deployment, alerts, access);
    schedules(this, { deployment, alerts, dispatch, verify });
    notices(this, deployment, alerts);
    alarm(this, alerts, {
      entry: "dead-letters",
      severity: "critical",
      says: "something could not be handled after all attempts",
      metric: alerts.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: Duration.minutes(5),
        statistic: "Maximum",
      }),
      most: 0,
      silence: "good",
    });
    for (const severity of severities) {
      // Told by way of the other topic.
      const [other] = severities.filter((each) => each !== severity);
      alarm(this, alerts, {
        entry: `undelivered-${severity}`,
        severity: other!,
        says: `messages of the topic ${severity} were not delivered`,
        metric: new Metric({
          namespace: "AWS/SNS",
          metricName: "NumberOfNotificationsFailed",
          dimensionsMap: { TopicName: `${name}-${severity}` },
          period: Duration.minutes(5),
          statistic: "Sum",
        }),
        most: 0,
        silence: "good",
      });
    }
    dashboard(this, name, { dispatch, verify, api: behindApi, alerts });
    new CfnOutput(this, "DispatchFunction", { value: dispatch.function.functionName });
    new CfnOutput(this, "VerifyFunction", { value: verify.function.functionName });
  }
}
