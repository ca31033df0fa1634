/**
 * The runtime of an execution environment, in a process of its own: loads the handler and speaks the Runtime API ("Using the Lambda runtime API" of the
 * developer guide), with the error types and the log lines of `nodejs24.x`. Imports nothing of the sandbox. Its argument is the cloud's time, in
 * milliseconds since 1970: the function's clock goes by that, not by the machine's.
 */
import { existsSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

type Handler = (event: unknown, context: object) => unknown;

interface Answer {
  readonly headers: Record<string, string | undefined>;
  readonly body: string;
}

const machineTime = Date.now;
let ahead = Number(process.argv[2]) - machineTime();
let requestId: string | undefined;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

shiftClock();
labelConsole();
for (const [event, type] of [
  ["uncaughtException", undefined],
  ["unhandledRejection", "Runtime.UnhandledPromiseRejection"],
] as const) {
  process.on(event, async (error: unknown) => {
    await fail(error, type);
    process.exit(event === "uncaughtException" ? 129 : 128);
  });
}

let handler: Handler;
try {
  handler = await load(process.env._HANDLER ?? "");
} catch (error) {
  await fail(error);
  process.exit(1);
}
for (;;) await once();

async function once(): Promise<void> {
  const { headers, body } = await call("GET", "invocation/next");
  requestId = headers["lambda-runtime-aws-request-id"]!;
  ahead = Number(headers["sandbox-time-ms"]) - machineTime();
  process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"];
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const context = {
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId: requestId,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
  try {
    const result = await handler(JSON.parse(body), context);
    await call("POST", `invocation/${requestId}/response`, result === undefined ? "null" : JSON.stringify(result));
  } catch (error) {
    await fail(error);
  }
  // What the handler printed is all before this, in either stream.
  for (const stream of [process.stdout, process.stderr]) stream.write(`\0${requestId}\n`);
}

/** @throws an error whose name is the type that Lambda tells. */
async function load(name: string): Promise<Handler> {
  const [, file, exported] = /^(.+)\.([^./]+)$/.exec(name) ?? [];
  if (file === undefined || exported === undefined) throw named("Runtime.MalformedHandlerName", "Bad handler");
  const base = join(process.env.LAMBDA_TASK_ROOT!, file);
  const path = [".js", ".mjs", ".cjs"].map((ending) => base + ending).find((each) => existsSync(each));
  if (path === undefined) throw named("Runtime.ImportModuleError", `Error: Cannot find module '${file}'`);
  const module = await import(pathToFileURL(path).href).catch((error) => {
    if (error instanceof SyntaxError) throw named("Runtime.UserCodeSyntaxError", String(error));
    if (/^(ERR_)?MODULE_NOT_FOUND$/.test(error?.code)) throw named("Runtime.ImportModuleError", String(error));
    throw error;
  });
  const found = module[exported] ?? module.default?.[exported];
  if (typeof found !== "function") {
    throw named("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  }
  if (found.length >= 3) {
    throw named("Runtime.CallbackHandlerDeprecated", "callback-based function handlers are not supported");
  }
  return found;
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

/** Tells the error of the invocation, or of the beginning. */
async function fail(error: unknown, type?: string): Promise<void> {
  const { name, message, stack } = error instanceof Error ? error : named(typeof error, String(error));
  const body = { errorType: type ?? name, errorMessage: message, trace: stack?.split("\n") ?? [] };
  const what = requestId === undefined ? "Init Error" : "Invoke Error";
  console.error(`${what} \t${JSON.stringify(body)}`);
  const path = requestId === undefined ? "init/error" : `invocation/${requestId}/error`;
  await call("POST", path, JSON.stringify(body), { "Lambda-Runtime-Function-Error-Type": body.errorType });
}

function call(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
  const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API!.split(":");
  const size = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const options = { hostname, port, agent, method, headers: { ...headers, ...size } };
    const asking = request({ ...options, path: `/2018-06-01/runtime/${path}` }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const answered = Buffer.concat(chunks).toString();
      if (response.statusCode! >= 300)
        reject(new Error(`the Runtime API answered ${response.statusCode}: ${answered}`));
      else resolve({ headers: response.headers as Answer["headers"], body: answered });
    });
    // Nobody is there any more to whom an error could be told.
    asking.once("error", () => process.exit(1)).end(body);
  });
}

function shiftClock(): void {
  const now = () => machineTime() + ahead;
  Date.now = now;
  globalThis.Date = new Proxy(Date, {
    construct: (real, given, as) => Reflect.construct(real, given.length === 0 ? [now()] : given, as),
    apply: () => new Date(now()).toString(),
  });
  Date.prototype.constructor = Date;
}

/** One line for each message, in the text format of the runtime: line breaks within it become carriage returns. */
function labelConsole(): void {
  const levels = { trace: "TRACE", debug: "DEBUG", log: "INFO", info: "INFO", warn: "WARN", error: "ERROR" } as const;
  for (const [method, level] of Object.entries(levels) as [keyof typeof levels, string][]) {
    console[method] = (...words: unknown[]) => {
      const said = format(...words).replaceAll("\n", "\r");
      process.stdout.write(`${new Date().toISOString()}\t${requestId}\t${level}\t${said}\n`);
    };
  }
}
