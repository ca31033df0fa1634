import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Caller } from "../../../../sandbox/cloud/iam/caller.ts";
import { begin, functionArn, shop } from "../../../fixtures/one-function.ts";
import { raw } from "../../../fixtures/raw-s3.ts";
import { accountId, region } from "../../../fixtures/small-cloud.ts";

describe("a function", () => {
  test("gets its event and its context, and what it returns comes back", async () => {
    const code = `exports.handler = async (event, context) => ({ event, name: context.functionName,
      arn: context.invokedFunctionArn, memory: context.memoryLimitInMB, left: context.getRemainingTimeInMillis() })`;
    const { result } = await shop({ code, properties: { MemorySize: 192 } });
    const { failed, said } = await result({ a: ["ü", 1] });
    const { left, ...rest } = said;
    expect(failed).toBe(false);
    expect(rest).toEqual({ event: { a: ["ü", 1] }, name: "shop", arn: functionArn, memory: "192" });
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(20_000);
  });

  test("has the variables that Lambda gives and its own, and nothing of this machine but PATH", async () => {
    const code = "exports.handler = async () => process.env";
    const { result } = await shop({ code, properties: { Environment: { Variables: { TABLE: "wares" } } } });
    const { said } = await result();
    expect(Object.keys(said).sort()).toEqual([
      ...["AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_EXECUTION_ENV"],
      ...["AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"],
      ...["AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"],
      ...[
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "HOME",
        "LAMBDA_TASK_ROOT",
      ],
      ...["LANG", "PATH", "TABLE", "TMPDIR", "TZ", "_HANDLER", "_X_AMZN_TRACE_ID"],
    ]);
    expect(said).toMatchObject({ TABLE: "wares", AWS_REGION: region, AWS_LAMBDA_FUNCTION_NAME: "shop" });
    expect(said.HOME).not.toBe(process.env.HOME);
  });

  test("has the cloud's time, while its code is loaded too", async () => {
    const code = `const loaded = Date.now();
      exports.handler = async () => [loaded, new Date().getTime(), new Date(0) instanceof Date, new Date(5).getTime()]`;
    const { result, cloud } = await shop({ code });
    const near = (time: number) => expect.toSatisfy((value: number) => Math.abs(value - time) < 60_000);
    expect((await result()).said).toEqual([near(begin), near(begin), true, 5]);
    await cloud.advance(86_400_000);
    expect((await result()).said).toEqual([near(begin), near(begin + 86_400_000), true, 5]);
  });

  test("goes on in the environment that it had, which stands still in between", async () => {
    const code = "let runs = 0; setInterval(() => {}, 5); exports.handler = async () => [++runs, process.pid]";
    const { result } = await shop({ code });
    const [, pid] = (await result()).said;
    const state = () => /^State:\t(.)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    await expect.poll(state).toBe("T");
    expect((await result()).said).toEqual([2, pid]);
  });

  test.each<[string, string, RegExp | string, RegExp]>([
    ["throws", 'exports.handler = async () => { throw new TypeError("no wares") }', "TypeError", /^no wares$/],
    ["throws what is no error", 'exports.handler = async () => { throw "sold" }', "string", /^sold$/],
    [
      "ends its process",
      "exports.handler = async () => process.exit(3)",
      "Runtime.ExitError",
      /exited with error: exit status 3$/,
    ],
    [
      "ends its process well",
      "exports.handler = async () => process.exit(0)",
      "Runtime.ExitError",
      /exited without providing a reason$/,
    ],
    [
      "leaves a rejection alone",
      'exports.handler = () => new Promise(() => { Promise.reject(new Error("lost")) })',
      "Runtime.UnhandledPromiseRejection",
      /^lost$/,
    ],
    ["returns too much", 'exports.handler = async () => "x".repeat(7e6)', "Function.ResponseSizeTooLarge", /exceeded/],
    ["throws while it is loaded", 'throw new RangeError("early")', "RangeError", /^early$/],
    ["can not be read", "exports.handler = =", "Runtime.UserCodeSyntaxError", /SyntaxError/],
    ["lacks a module", 'require("absent-module")', "Runtime.ImportModuleError", /absent-module/],
    ["exports no handler", "exports.other = 1", "Runtime.HandlerNotFound", /index\.handler is undefined/],
    [
      "takes a callback",
      "exports.handler = (event, context, callback) => callback()",
      "Runtime.CallbackHandlerDeprecated",
      /callback/,
    ],
  ])(
    "that %s has failed with the error that Lambda tells, and runs again",
    async (_, code, errorType, errorMessage) => {
      const { result, sum } = await shop({ code, properties: { MemorySize: 512 } });
      for (let time = 1; time <= 2; time += 1) {
        const { failed, said } = await result();
        expect(failed).toBe(true);
        expect(said.errorType).toBe(errorType);
        expect(said.errorMessage).toMatch(errorMessage);
        expect([sum("Invocations"), sum("Errors")]).toEqual([time, time]);
      }
    },
  );

  test("is ended when its time is up, and begins anew", async () => {
    const code = `let runs = 0;
      exports.handler = async (event) => { runs += 1; for (; event.hang;); return runs }`;
    const { result, log } = await shop({ code, properties: { Timeout: 1 } });
    expect((await result({})).said).toBe(1);
    const { failed, said } = await result({ hang: true });
    expect(failed).toBe(true);
    expect(said).toMatchObject({
      errorType: "Sandbox.Timedout",
      errorMessage: expect.stringMatching(/Task timed out after 1\.00 seconds$/),
    });
    expect(await log()).toContainEqual(expect.stringMatching(/Task timed out after 1\.00 seconds$/));
    expect((await result({})).said).toBe(1);
  });

  test.each([
    ["on the heap", "const all = []; for (;;) all.push(new Array(1000).fill(Math.random()))", /signal: aborted$/],
    ["beside it", "return Buffer.alloc(300 << 20, 1).length", /signal: killed$/],
  ])("that needs more memory than it has, %s, has failed", async (_, work, message) => {
    const { result } = await shop({ code: `exports.handler = async () => { ${work} }` });
    const { failed, said } = await result();
    expect(failed).toBe(true);
    expect(said.errorMessage).toMatch(message);
  });

  test("runs no more often at one time than is reserved for it: the rest is throttled", async () => {
    const code = "exports.handler = (event) => new Promise((r) => setTimeout(r, 500, event))";
    const { invoke, sum } = await shop({ code, properties: { ReservedConcurrentExecutions: 2 } });
    const results = await Promise.allSettled([1, 2, 3].map((each) => invoke(each)));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    expect(results[2]).toMatchObject({ reason: { code: "TooManyRequestsException", status: 429 } });
    expect([sum("Invocations"), sum("Throttles")]).toEqual([2, 1]);
    expect(await invoke(4)).toMatchObject({ Payload: "4" });
  });
});

describe("an invocation", () => {
  test("is for those whom a policy lets, by the function's own or by theirs", async () => {
    const permission = {
      Type: "AWS::Lambda::Permission",
      Properties: {
        Action: "lambda:InvokeFunction",
        FunctionName: functionArn,
        Principal: "events.amazonaws.com",
        SourceArn: `arn:aws:events:eu-central-1:${accountId}:rule/sale`,
      },
    };
    const { cloud, invoke, sum } = await shop({ resources: { Permission: permission } });
    const events: Caller = { kind: "service", service: "events.amazonaws.com" };
    const hand = (to: string, rule: string) =>
      cloud.deliver({
        to,
        payload: "{}",
        as: events,
        context: { "aws:SourceArn": `arn:aws:events:eu-central-1:${accountId}:rule/${rule}` },
      });
    await hand(functionArn, "sale");
    await cloud.settle();
    expect(sum("Invocations")).toBe(1);
    await expect(hand(functionArn, "theft")).rejects.toMatchObject({ code: "AccessDeniedException" });
    await expect(invoke({}, {}, cloud.account.session("shop", "shop"))).rejects.toMatchObject({
      code: "AccessDeniedException",
    });
    await cloud.settle();
    expect(sum("Invocations")).toBe(1);
  });

  test("can be asked for its log, for nothing but whether it may be, or in the background", async () => {
    const { invoke, sum, cloud } = await shop();
    const { LogResult } = await invoke({ b: 1 }, { LogType: "Tail" });
    const log = Buffer.from(LogResult as string, "base64")
      .toString()
      .split("\n");
    expect(log[0]).toMatch(/^START RequestId: [0-9a-f-]{36} Version: \$LATEST$/);
    expect(log[1]).toMatch(/^2030-03-01T\S+Z\t[0-9a-f-]{36}\tINFO\tsold \{ b: 1 \}$/);
    expect(log[3]).toMatch(/^REPORT .*Memory Size: 128 MB\tMax Memory Used: \d+ MB$/);
    expect(await invoke({}, { InvocationType: "DryRun" })).toEqual({ StatusCode: 204 });
    expect(sum("Invocations")).toBe(1);
    expect(await invoke({}, { InvocationType: "Event" })).toEqual({ StatusCode: 202 });
    await cloud.settle();
    expect(sum("Invocations")).toBe(2);
  });

  test("by REST says in headers what else came of it", async () => {
    const { cloud } = await shop({ code: "exports.handler = async (event) => { throw new Error(event.wares) }" });
    const ask = (name: string, headers: Record<string, string>) => {
      const body = '{"wares":"none"}';
      const payloadHash = createHash("sha256").update(body).digest("hex");
      const path = `/2015-03-31/functions/${name}/invocations`;
      const signed = { region, service: "lambda", who: cloud.root, payloadHash };
      return raw(cloud.endpoints.api, { method: "POST", path, body, headers, ...signed });
    };
    const failed = await ask("shop", { "x-amz-log-type": "Tail" });
    expect(failed.headers).toMatchObject({ "x-amz-function-error": "Unhandled", "x-amz-executed-version": "$LATEST" });
    expect(Buffer.from(String(failed.headers["x-amz-log-result"]), "base64").toString()).toMatch(/^START RequestId: /);
    expect([failed.status, JSON.parse(failed.text)]).toMatchObject([200, { errorMessage: "none" }]);
    const left = await ask("shop", { "x-amz-invocation-type": "Event" });
    expect([left.status, left.text]).toEqual([202, ""]);
    expect((await ask("absent", {})).status).toBe(404);
  });

  test.each<[string, object, string]>([
    ["is no JSON", { Payload: "{" }, "InvalidRequestContentException"],
    ["is too large", { Payload: JSON.stringify("x".repeat(7e6)) }, "RequestTooLargeException"],
    [
      "is too large for the background",
      { Payload: JSON.stringify("x".repeat(2e6)), InvocationType: "Event" },
      "RequestTooLargeException",
    ],
  ])("is refused where its event %s", async (_, input, code) => {
    const { invoke } = await shop();
    await expect(invoke({}, input)).rejects.toMatchObject({ code: code });
  });
});
