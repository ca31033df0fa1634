import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { programPath } from "../../../host/programs.ts";
import { type Listening, listening } from "../../listening.ts";
import type { CloudClock } from "../../service.ts";

export interface EnvironmentPlan {
  readonly functionArn: string;
  /** Of this environment alone: its home and its `/tmp`. */
  readonly directory: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly memoryMb: number;
  readonly timeoutMs: number;
  readonly clock: CloudClock;
}

/** What came of one invocation. */
export interface Outcome extends Result {
  /** What was printed since the outcome before, also while the code was loaded. */
  readonly lines: readonly string[];
  readonly milliseconds: number;
  /** Of the process at its largest; 0 where it was gone too soon to tell. */
  readonly memoryMb: number;
}

interface Result {
  /** JSON: what the handler returned; or `errorType`, `errorMessage` and perhaps `trace`. */
  readonly payload: string;
  readonly failed: boolean;
}

interface Invocation {
  readonly requestId: string;
  result?: Result;
  /** Streams that have nothing more of it. */
  readonly drained: Set<Readable>;
  readonly done: PromiseWithResolvers<void>;
}

/** What loading the code may take beside the first invocation ("Lambda execution environment lifecycle"). */
const initMs = 10_000;

/** Of what a handler returns ("Lambda quotas"). */
const largestPayload = 6 * 1024 * 1024 + 100;

/**
 * One process that runs a function's code, one invocation after the other, and stands still between them. It has nothing of this machine but `PATH`, its
 * clock is the cloud's, and it ends with the process that began it.
 */
export class ExecutionEnvironment {
  readonly #plan: EnvironmentPlan;
  readonly #child: ChildProcess;
  /** The process has ended, and all that it printed is read. */
  readonly #gone: Promise<unknown>;
  /** The code is loaded. */
  readonly #ready = Promise.withResolvers<void>();
  /** The runtime's question for what comes next. */
  #idle: ServerResponse | undefined;
  #invocation: Invocation | undefined;
  /** Why the code could not be loaded, as the runtime told it. */
  #initError: string | undefined;
  #lines: string[] = [];
  #alive = true;

  static async begin(plan: EnvironmentPlan): Promise<ExecutionEnvironment> {
    const server = createServer({ keepAliveTimeout: 0 });
    const environment = new ExecutionEnvironment(plan, await listening(server));
    server.on("request", (request, response) => {
      environment.#answer(request, response).catch((error) => response.destroy(error));
    });
    return environment;
  }

  private constructor(plan: EnvironmentPlan, runtimeApi: Listening) {
    this.#plan = plan;
    const { directory, variables, memoryMb, clock } = plan;
    mkdirSync(directory, { recursive: true });
    // As the runtimes of Node.js have divided the memory since the first of them.
    const heap = [
      `--max-old-space-size=${Math.floor(memoryMb * 0.9)}`,
      `--max-semi-space-size=${Math.ceil(memoryMb * 0.05)}`,
    ];
    const runtime = fileURLToPath(new URL("./bootstrap.ts", import.meta.url));
    this.#child = spawn(
      programPath("setpriv", "util-linux"),
      ["--pdeathsig", "KILL", "--", process.execPath, ...heap, runtime, String(clock.now())],
      {
        cwd: variables.LAMBDA_TASK_ROOT,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          PATH: process.env.PATH,
          HOME: directory,
          TMPDIR: directory,
          ...variables,
          AWS_LAMBDA_RUNTIME_API: runtimeApi.authority,
        },
      },
    );
    this.#gone = once(this.#child, "close").then(() => {
      this.#alive = false;
      return runtimeApi.close();
    });
    this.#read(this.#child.stdout!);
    this.#read(this.#child.stderr!);
  }

  /** Whether it can take another invocation. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Runs the handler once; for one caller at a time. */
  async invoke(requestId: string, payload: string): Promise<Outcome> {
    const { timeoutMs, memoryMb } = this.#plan;
    let late = false;
    const limit = (milliseconds: number) =>
      setTimeout(() => {
        late = true;
        this.#child.kill("SIGKILL");
      }, milliseconds);
    const initLimit = limit(initMs + timeoutMs);
    await Promise.race([this.#ready.promise, this.#gone]);
    clearTimeout(initLimit);

    const began = performance.now();
    const invocation: Invocation = { requestId, drained: new Set(), done: Promise.withResolvers() };
    this.#invocation = invocation;
    const ownLimit = limit(timeoutMs);
    if (this.#idle !== undefined) this.#hand(this.#idle, requestId, payload);
    await Promise.race([invocation.done.promise, this.#gone]);
    clearTimeout(ownLimit);
    const milliseconds = performance.now() - began;

    const used = this.#alive ? peakMemory(this.#child.pid!) : 0;
    if (used > memoryMb) {
      await this.end();
      invocation.result = exitError(requestId, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed");
    }
    const result = invocation.result ?? this.#unfinished(requestId, late);
    this.#invocation = undefined;
    return { ...result, lines: this.#lines.splice(0), milliseconds, memoryMb: used };
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone;
  }

  #hand(idle: ServerResponse, requestId: string, payload: string): void {
    const { clock, functionArn, timeoutMs } = this.#plan;
    const now = clock.now();
    const root = `1-${Math.floor(now / 1000).toString(16)}-${requestId.replaceAll("-", "").slice(0, 24)}`;
    this.#idle = undefined;
    this.#child.kill("SIGCONT");
    idle.writeHead(200, {
      "Content-Type": "application/json",
      "Lambda-Runtime-Aws-Request-Id": requestId,
      "Lambda-Runtime-Deadline-Ms": String(now + timeoutMs),
      "Lambda-Runtime-Invoked-Function-Arn": functionArn,
      "Lambda-Runtime-Trace-Id": `Root=${root};Sampled=0`,
      "Sandbox-Time-Ms": String(now),
    });
    idle.end(payload);
  }

  /** The Runtime API. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const said = await text(request);
    const invocation = this.#invocation;
    const accept = (status = 202) => response.writeHead(status).end();
    switch (`${request.method} ${request.url?.replace(/^\/2018-06-01\/runtime\//, "")}`) {
      case "GET invocation/next":
        this.#idle = response;
        this.#rest();
        return;
      case "POST init/error":
        this.#initError = said;
        accept();
        return;
      case `POST invocation/${invocation?.requestId}/response`: {
        const fits = Buffer.byteLength(said) <= largestPayload;
        const message = `Response payload size exceeded maximum allowed payload size (${largestPayload} bytes).`;
        invocation!.result = fits
          ? { payload: said, failed: false }
          : failure({ errorType: "Function.ResponseSizeTooLarge", errorMessage: message });
        accept(fits ? 202 : 413);
        return;
      }
      case `POST invocation/${invocation?.requestId}/error`:
        invocation!.result ??= { payload: said, failed: true };
        accept();
        return;
      default:
        accept(404);
    }
  }

  /** Once the runtime asks for more, and all that was printed is here. */
  #rest(): void {
    if (this.#idle === undefined) return;
    this.#ready.resolve();
    if (this.#invocation?.drained.size !== 2) return;
    this.#child.kill("SIGSTOP");
    this.#invocation.done.resolve();
  }

  #read(stream: Readable): void {
    let begun = "";
    stream
      .setEncoding("utf8")
      .on("data", (data: string) => {
        const lines = (begun + data).split("\n");
        begun = lines.pop()!;
        for (const line of lines) {
          const [said = "", mark] = line.split("\0");
          if (said !== "") this.#lines.push(said);
          if (mark !== undefined && mark === this.#invocation?.requestId) {
            this.#invocation.drained.add(stream);
            this.#rest();
          }
        }
      })
      .on("end", () => {
        if (begun !== "") this.#lines.push(begun);
      });
  }

  /** What is told of an invocation that the runtime left without a word. */
  #unfinished(requestId: string, late: boolean): Result {
    if (late) {
      const seconds = (this.#plan.timeoutMs / 1000).toFixed(2);
      const stamp = new Date(this.#plan.clock.now()).toISOString();
      this.#lines.push(`${stamp} ${requestId} Task timed out after ${seconds} seconds`);
      return exitError(requestId, "Sandbox.Timedout", `Task timed out after ${seconds} seconds`);
    }
    if (this.#initError !== undefined) return { payload: this.#initError, failed: true };
    const { exitCode, signalCode } = this.#child;
    const how = signalCode === null ? `exit status ${exitCode}` : `signal: ${signalWords[signalCode] ?? signalCode}`;
    const said = exitCode === 0 ? "Runtime exited without providing a reason" : `Runtime exited with error: ${how}`;
    return exitError(requestId, "Runtime.ExitError", said);
  }
}

const signalWords: Partial<Record<NodeJS.Signals, string>> = { SIGABRT: "aborted", SIGKILL: "killed" };

const failure = (error: { readonly errorType: string; readonly errorMessage: string }): Result => ({
  payload: JSON.stringify(error),
  failed: true,
});

const exitError = (requestId: string, errorType: string, message: string): Result =>
  failure({ errorType, errorMessage: `RequestId: ${requestId} Error: ${message}` });

/** Resident memory at its largest, in MiB. */
function peakMemory(pid: number): number {
  const [, kilobytes = "0"] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.ceil(Number(kilobytes) / 1024);
}
