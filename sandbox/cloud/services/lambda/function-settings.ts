import type { Resource } from "../../template/stack.ts";
import { demandOf, only } from "../../understood.ts";

/** A function as the template has it, its defaults filled in. */
export interface FunctionSettings {
  readonly name: string;
  readonly arn: string;
  readonly account: string;
  readonly region: string;
  /** `FILE.EXPORT`. */
  readonly handler: string;
  /** ARN. */
  readonly role: string;
  readonly code: { readonly S3Bucket: string; readonly S3Key: string } | { readonly ZipFile: string };
  readonly memoryMb: number;
  readonly timeoutMs: number;
  readonly variables: Readonly<Record<string, string>>;
  readonly logGroup: string;
  /** Invocations at one time, at most. */
  readonly concurrency: number;
  /** ARN of the queue or topic that gets events which could not be handled. */
  readonly deadLetters: string | undefined;
}

/** How a function's asynchronous events are handled ("AWS::Lambda::EventInvokeConfig"). */
export interface EventSettings {
  /** After the first attempt. */
  readonly retries: number;
  readonly maximumAgeMs: number;
  /** ARNs. */
  readonly onFailure: string | undefined;
  readonly onSuccess: string | undefined;
}

/** What counts where nothing is said. */
export const eventDefaults: EventSettings = {
  retries: 2,
  maximumAgeMs: 21_600_000,
  onFailure: undefined,
  onSuccess: undefined,
};

/** Of an account, unless a function has some reserved. */
const accountConcurrency = 1000;

/** @throws Error that begins with the resource, for what is not understood or would be refused. */
export function functionSettings(resource: Resource): FunctionSettings {
  only(resource, [
    ...["Architectures", "Code", "DeadLetterConfig", "Description", "Environment", "FunctionName", "Handler"],
    ...["LoggingConfig", "MemorySize", "ReservedConcurrentExecutions", "Role", "Runtime", "Tags", "Timeout"],
  ]);
  const { properties, account, region, ref: name } = resource;
  const { Code, Runtime, Handler, Role, DeadLetterConfig = {}, LoggingConfig = {}, Environment } = properties;
  const { MemorySize = 128, Timeout = 3, ReservedConcurrentExecutions = accountConcurrency } = properties;
  const demand = demandOf(resource);
  const runtime = `nodejs${process.versions.node.split(".")[0]}.x`;
  demand(Runtime === runtime, `the runtime ${Runtime} is not the one that runs here, ${runtime}`);
  demand(Number(Timeout) >= 1 && Number(Timeout) <= 900, `Timeout is ${Timeout}, not 1 to 900`);
  demand(Number(MemorySize) >= 128 && Number(MemorySize) <= 10_240, `MemorySize is ${MemorySize}, not 128 to 10240`);
  demand(Number(ReservedConcurrentExecutions) >= 1, "ReservedConcurrentExecutions of 0 is not understood");
  demand(/^arn:aws:iam::\d{12}:role\/.+$/.test(Role), `the role ${Role} is none`);
  const members = Object.keys(Code ?? {})
    .sort()
    .join();
  demand(members === "S3Bucket,S3Key" || members === "ZipFile", `Code has ${members || "nothing"}`);
  const { LogGroup = `/aws/lambda/${name}` } = LoggingConfig;
  only(resource, ["LogGroup"], LoggingConfig);
  only(resource, ["TargetArn"], DeadLetterConfig);
  const variables: Record<string, string> = Environment?.Variables ?? {};
  const reserved = Object.keys(variables).find((each) => isReserved(each));
  demand(reserved === undefined, `the environment variable ${reserved} is Lambda's own`);
  const size = Object.entries(variables).reduce((sum, [key, value]) => sum + Buffer.byteLength(key + value), 0);
  demand(size <= 4096, `the environment variables have ${size} bytes, more than 4096`);
  return {
    ...{ name, arn: resource.attributes.Arn as string, account, region, handler: Handler, role: Role, code: Code },
    memoryMb: Number(MemorySize),
    timeoutMs: Number(Timeout) * 1000,
    variables,
    logGroup: LogGroup,
    concurrency: Number(ReservedConcurrentExecutions),
    deadLetters: destination(resource, DeadLetterConfig.TargetArn),
  };
}

/** Name of the function, and how its events are handled. @throws Error that begins with the resource. */
export function eventSettings(resource: Resource): readonly [string, EventSettings] {
  only(resource, [
    "DestinationConfig",
    "FunctionName",
    "MaximumEventAgeInSeconds",
    "MaximumRetryAttempts",
    "Qualifier",
  ]);
  const { FunctionName, Qualifier, DestinationConfig = {} } = resource.properties;
  const { MaximumRetryAttempts = eventDefaults.retries } = resource.properties;
  const { MaximumEventAgeInSeconds = eventDefaults.maximumAgeMs / 1000 } = resource.properties;
  const demand = demandOf(resource);
  demand(Qualifier === "$LATEST", `the qualifier ${Qualifier} is not understood`);
  demand([0, 1, 2].includes(Number(MaximumRetryAttempts)), `MaximumRetryAttempts is ${MaximumRetryAttempts}`);
  const age = Number(MaximumEventAgeInSeconds);
  demand(age >= 60 && age <= 21_600, `MaximumEventAgeInSeconds is ${age}, not 60 to 21600`);
  only(resource, ["OnFailure", "OnSuccess"], DestinationConfig);
  const settings: EventSettings = {
    retries: Number(MaximumRetryAttempts),
    maximumAgeMs: age * 1000,
    onFailure: destination(resource, DestinationConfig.OnFailure?.Destination),
    onSuccess: destination(resource, DestinationConfig.OnSuccess?.Destination),
  };
  return [nameOfFunction(FunctionName), settings];
}

/** Of a name, an ARN, or either with `:$LATEST`, the only version that there is. */
export function nameOfFunction(given: string): string {
  const [, name] =
    /^(?:(?:arn:aws:lambda:[a-z0-9-]+:)?\d{12}:function:)?([A-Za-z0-9_-]+)(?::\$LATEST)?$/.exec(given) ?? [];
  return name ?? given;
}

function destination(resource: Resource, arn: string | undefined): string | undefined {
  const known = arn === undefined || /^arn:aws:(sqs|sns|lambda):/.test(arn);
  demandOf(resource)(known, `${arn} is no destination that is understood`);
  return arn;
}

/** "Defined runtime environment variables". */
const isReserved = (name: string): boolean =>
  /^(_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_REGION|REGION|EXECUTION_ENV|ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)|AWS_LAMBDA_.*|LAMBDA_(TASK_ROOT|RUNTIME_DIR))$/.test(
    name,
  );
