import { fileURLToPath } from "node:url";
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { Metric } from "aws-cdk-lib/aws-cloudwatch";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Architecture, Runtime } from "aws-cdk-lib/aws-lambda";
import { LogLevel, NodejsFunction, OutputFormat } from "aws-cdk-lib/aws-lambda-nodejs";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { acceptWildcards } from "../accepted.ts";
import type { Deployment } from "../deployment.ts";
import { alarm } from "./alarm.ts";
import { type Alerts, buryStatements } from "./alerts.ts";

/** What metrics of our own are published under. */
export const metricNamespace = "mailark";

export interface FunctionProps {
  /** Folder below `lambdas/`. */
  readonly name: string;
  readonly deployment: Deployment;
  readonly alerts: Alerts;
  readonly timeoutMinutes: number;
  readonly memoryMb: number;
  /** Whoever wakes it waits for its answer: it is not tried again, and leaves no dead letters. @default it is handed events */
  readonly answers?: true;
}

/**
 * A function of `lambdas/`, bundled with everything that it imports, the AWS SDK as well: what was tested is what runs. It has a role of its own that
 * may do nothing but write its log; {@link allow} adds what a call needs together with the variable that names its object.
 */
export class MailarkFunction extends Construct {
  readonly function: NodejsFunction;
  readonly #role: Role;
  readonly #name: string;

  constructor(scope: Construct, id: string, props: FunctionProps) {
    const { name, deployment, alerts, timeoutMinutes, memoryMb, answers } = props;
    super(scope, id);
    const functionName = `${deployment.name}-${name}`;
    this.#name = functionName;
    const logGroup = new LogGroup(this, "Log", {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: deployment.logDays as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.#role = new Role(this, "Role", {
      roleName: functionName,
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
    });
    this.#role.addToPolicy(
      new PolicyStatement({
        sid: "Log",
        actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
        resources: [logGroup.logGroupArn],
      }),
    );
    for (const statement of answers ? [] : buryStatements(alerts)) this.#role.addToPolicy(statement);
    this.function = new NodejsFunction(this, "Function", {
      functionName,
      entry: fileURLToPath(new URL(`../../lambdas/${name}/handler.ts`, import.meta.url)),
      depsLockFilePath: fileURLToPath(new URL("../../package-lock.json", import.meta.url)),
      projectRoot: fileURLToPath(new URL("../..", import.meta.url)),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      role: this.#role,
      logGroup,
      timeout: Duration.minutes(timeoutMinutes),
      memorySize: memoryMb,
      ...(!answers && {
        retryAttempts: 2,
        maxEventAge: Duration.hours(6),
        // The library's own would add every call of the key.
        onFailure: { bind: () => ({ destination: alerts.deadLetters.queueArn }) },
      }),
      environment: {
        POWERTOOLS_SERVICE_NAME: functionName,
        POWERTOOLS_METRICS_NAMESPACE: metricNamespace,
        NODE_OPTIONS: "--enable-source-maps",
      },
      bundling: {
        bundleAwsSDK: true,
        format: OutputFormat.CJS,
        target: "node24",
        sourceMap: true,
        sourcesContent: false,
        logLevel: LogLevel.ERROR,
      },
    });
    alarm(this, alerts, {
      entry: `${name}-errors`,
      severity: "critical",
      says: `the function ${name} failed`,
      metric: this.function.metricErrors({ period: Duration.minutes(5) }),
      most: 0,
      silence: "good",
    });
  }

  /** A permission, the variables that say what it is for, and why its resources end in a wildcard, where they do. */
  allow(statement: PolicyStatement, environment: Readonly<Record<string, string>> = {}, wildcards?: string): void {
    this.#role.addToPolicy(statement);
    for (const [name, value] of Object.entries(environment)) this.function.addEnvironment(name, value);
    const open = statement.resources.filter((resource) => resource.includes("*"));
    if (wildcards !== undefined) acceptWildcards(this.#role, open, wildcards);
  }

  /** The sum of a metric that the function publishes. */
  metric(metricName: string, period: Duration): Metric {
    const dimensionsMap = { service: this.#name };
    return new Metric({ namespace: metricNamespace, metricName, dimensionsMap, period, statistic: "Sum" });
  }
}
