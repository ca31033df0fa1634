import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { roleNameOf } from "../../iam/caller.ts";
import { CallRefused, type Cloud, type Datum } from "../../service.ts";
import { environmentVariables } from "./environment-variables.ts";
import { ExecutionEnvironment, type Outcome } from "./execution-environment.ts";
import { layDown } from "./function-code.ts";
import type { FunctionSettings } from "./function-settings.ts";

export interface Invoked {
  /** JSON: what was returned, or the error. */
  readonly payload: string;
  readonly failed: boolean;
  /** What the invocation left in its log, whether or not that was kept. */
  readonly log: string;
}

interface Environment {
  readonly execution: ExecutionEnvironment;
  readonly logStream: string;
}

/** One function: its environments, warm ones first, its log and its metrics. */
export class LambdaFunction {
  readonly settings: FunctionSettings;
  readonly #cloud: Cloud;
  readonly #directory: string;
  readonly #all = new Set<Environment>();
  readonly #idle: Environment[] = [];
  #running = 0;

  constructor(settings: FunctionSettings, cloud: Cloud) {
    this.settings = settings;
    this.#cloud = cloud;
    this.#directory = join(cloud.directory, "lambda", settings.name);
  }

  /**
   * Before the first invocation.
   *
   * @throws Error where Lambda would not make the function: without code, or with a role that it may not take.
   */
  begin(): void {
    const { role, name } = this.settings;
    const lambda = { kind: "service", service: "lambda.amazonaws.com" } as const;
    if (!this.#cloud.allows(lambda, { action: "sts:AssumeRole", resource: role, context: {} })) {
      throw new Error(`${name}: Lambda may not take the role ${role}`);
    }
    layDown(this.settings, this.#cloud.assembly, this.#code);
  }

  /** Of the function's role, as it calls. */
  get session() {
    return this.#cloud.account.session(roleNameOf(this.settings.role), this.settings.name);
  }

  /**
   * Runs it once.
   *
   * @throws CallRefused `TooManyRequestsException` where as many run already as may.
   */
  async invoke(requestId: string, payload: string): Promise<Invoked> {
    if (this.#running >= this.settings.concurrency) {
      this.measure({ Throttles: 1 });
      throw new CallRefused("TooManyRequestsException", "Rate Exceeded.", 429);
    }
    this.#running += 1;
    this.measure({ ConcurrentExecutions: this.#running });
    try {
      const environment = this.#idle.pop() ?? (await this.#environment());
      const outcome = await environment.execution.invoke(requestId, payload);
      if (environment.execution.alive) this.#idle.push(environment);
      else this.#all.delete(environment);
      const lines = this.#linesOf(requestId, outcome);
      await this.#keep(environment.logStream, lines);
      const { failed, milliseconds } = outcome;
      this.measure({ Invocations: 1, Errors: Number(failed), Throttles: 0, Duration: milliseconds });
      this.#cloud.note(`lambda: ${this.settings.name} ${failed ? `failed: ${outcome.payload}` : "ran"}`);
      return { payload: outcome.payload, failed, log: lines.map((line) => `${line}\n`).join("") };
    } finally {
      this.#running -= 1;
    }
  }

  /** Of the function, and of all functions together ("Types of metrics for Lambda functions"). */
  measure(values: Readonly<Record<string, number>>): void {
    const sets: readonly Datum["dimensions"][] = [{ FunctionName: this.settings.name }, {}];
    for (const [name, value] of Object.entries(values)) {
      for (const dimensions of sets) {
        this.#cloud.measure({ namespace: "AWS/Lambda", name, dimensions, value });
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map(({ execution }) => execution.end()));
  }

  async #environment(): Promise<Environment> {
    const { settings } = this;
    const id = randomBytes(16).toString("hex");
    const logStream = `${new Date(this.#cloud.clock.now()).toISOString().slice(0, 10).replaceAll("-", "/")}/[$LATEST]${id}`;
    const credential = this.#cloud.credential(roleNameOf(this.settings.role), settings.name);
    const execution = await ExecutionEnvironment.begin({
      functionArn: settings.arn,
      directory: join(this.#directory, id),
      variables: environmentVariables(settings, {
        ...{ code: this.#code, logStream, credential, endpoints: this.#cloud.endpoints },
      }),
      memoryMb: settings.memoryMb,
      timeoutMs: settings.timeoutMs,
      clock: this.#cloud.clock,
    });
    const environment = { execution, logStream };
    this.#all.add(environment);
    return environment;
  }

  #linesOf(requestId: string, { lines, milliseconds, memoryMb }: Outcome): readonly string[] {
    const duration = `Duration: ${milliseconds.toFixed(2)} ms\tBilled Duration: ${Math.ceil(milliseconds)} ms`;
    const memory = `Memory Size: ${this.settings.memoryMb} MB\tMax Memory Used: ${memoryMb} MB`;
    return [
      `START RequestId: ${requestId} Version: $LATEST`,
      ...lines,
      `END RequestId: ${requestId}`,
      `REPORT RequestId: ${requestId}\t${duration}\t${memory}`,
    ];
  }

  /** Lambda writes the log in the name of the function's role; where that may not, the function runs all the same and its log is lost. */
  async #keep(logStreamName: string, lines: readonly string[]): Promise<void> {
    const { account, region, logGroup, name } = this.settings;
    const timestamp = this.#cloud.clock.now();
    const logEvents = lines.map((message) => ({ timestamp, message }));
    try {
      await this.#cloud.deliver({
        to: `arn:aws:logs:${region}:${account}:log-group:${logGroup}`,
        payload: JSON.stringify({ logStreamName, logEvents }),
        as: this.session,
        context: {},
      });
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error;
      this.#cloud.note(`lambda: the log of ${name} is lost: ${error.message}`);
    }
  }

  get #code(): string {
    return join(this.#directory, "code");
  }
}
