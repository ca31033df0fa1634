import { Aws, CfnOutput, Duration, RemovalPolicy } from "aws-cdk-lib";
import { AccessLogFormat } from "aws-cdk-lib/aws-apigateway";
import { HttpApi, HttpMethod, HttpStage, LogGroupLogDestination } from "aws-cdk-lib/aws-apigatewayv2";
import { HttpIamAuthorizer } from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { Metric } from "aws-cdk-lib/aws-cloudwatch";
import { ManagedPolicy, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import type { Deployment } from "../deployment.ts";
import { alarm } from "./alarm.ts";
import type { Alerts } from "./alerts.ts";
import { grantAnnounce } from "./bus-access.ts";
import { MailarkFunction } from "./mailark-function.ts";
import type { VaultAccess } from "./vault-access.ts";

/** What can be asked; lambdas/api/routes.ts answers. */
const routes: readonly (readonly [HttpMethod, string])[] = [
  [HttpMethod.POST, "/system/backup"],
  [HttpMethod.GET, "/system/backup/status"],
  [HttpMethod.GET, "/system/backups"],
];

/** One line for each call: who, what, and what came of it. Names as "Customize HTTP API access logs" has them. */
const logFormat = JSON.stringify({
  requestId: "$context.requestId",
  time: "$context.requestTime",
  caller: "$context.identity.userArn",
  sourceIp: "$context.identity.sourceIp",
  route: "$context.routeKey",
  status: "$context.status",
  error: "$context.error.message",
});

/**
 * What people and their tools ask the controller. Each call is signed, and IAM judges it by its route: the policy that is made here may be attached to
 * whoever should. The function behind it can ask for a backup and read what the controller wrote down, and nothing else.
 */
export function api(scope: Construct, deployment: Deployment, alerts: Alerts, vault: VaultAccess): MailarkFunction {
  const { name, account, region } = deployment;
  const behind = new MailarkFunction(scope, "Api", {
    name: "api",
    deployment,
    alerts,
    timeoutMinutes: 1,
    memoryMb: 256,
    answers: true,
  });
  vault.grantControl(behind, { read: ["dispatches", "hosts", "latest", "runs"], write: [] });
  grantAnnounce(behind, deployment, ["Backup Requested"]);

  const http = new HttpApi(scope, "HttpApi", {
    apiName: name,
    description: `${name}: start backups and see what came of them`,
    defaultAuthorizer: new HttpIamAuthorizer(),
    createDefaultStage: false,
  });
  const integration = new HttpLambdaIntegration("Integration", behind.function, { timeout: Duration.seconds(29) });
  for (const [method, path] of routes) http.addRoutes({ path, methods: [method], integration });
  const accessLog = new LogGroup(scope, "ApiAccessLog", {
    // Only below this prefix there is no bound to how many logs of services an account may have.
    logGroupName: `/aws/vendedlogs/${name}-api`,
    retention: deployment.logDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const stage = new HttpStage(scope, "ApiStage", {
    httpApi: http,
    stageName: "$default",
    autoDeploy: true,
    throttle: { rateLimit: 5, burstLimit: 20 },
    accessLogSettings: {
      destination: new LogGroupLogDestination(accessLog),
      format: AccessLogFormat.custom(logFormat),
    },
  });
  const policy = new ManagedPolicy(scope, "OperatorPolicy", {
    managedPolicyName: `${name}-operator`,
    description: "Start backups and see what came of them, over the API",
    statements: [
      new PolicyStatement({
        sid: "Call",
        actions: ["execute-api:Invoke"],
        resources: routes.map(
          ([method, path]) =>
            `arn:${Aws.PARTITION}:execute-api:${region}:${account}:${http.apiId}/${stage.stageName}/${method}${path}`,
        ),
      }),
    ],
  });
  alarm(scope, alerts, {
    entry: "api-failures",
    severity: "warning",
    says: "calls of the API were not answered",
    metric: new Metric({
      namespace: "AWS/ApiGateway",
      metricName: "5xx",
      dimensionsMap: { ApiId: http.apiId },
      period: Duration.minutes(5),
      statistic: "Sum",
    }),
    most: 0,
    silence: "good",
  });
  new CfnOutput(scope, "ApiUrl", { value: http.apiEndpoint });
  new CfnOutput(scope, "OperatorPolicyArn", { value: policy.managedPolicyArn });
  return behind;
}
