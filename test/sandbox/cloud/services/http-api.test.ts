import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import type { RunningCloud } from "../../../../sandbox/cloud/cloud.ts";
import type { Datum } from "../../../../sandbox/cloud/service.ts";
import { apiUrl, httpApiService } from "../../../../sandbox/cloud/services/http-api/http-api-service.ts";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { lambdaService } from "../../../../sandbox/cloud/services/lambda/lambda-service.ts";
import { logsService } from "../../../../sandbox/cloud/services/logs/logs-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { raw } from "../../../fixtures/raw-s3.ts";
import { accountId, region, roleOf, smallCloud } from "../../../fixtures/small-cloud.ts";

const start = Date.parse("2027-03-01T05:06:07.000Z");
const ref = (name: string) => ({ Ref: name });
const joined = (...parts: readonly Json[]): Json => ({ "Fn::Join": ["", parts] });
const arnOfApi = (rest: string): Json => joined(`arn:aws:execute-api:${region}:${accountId}:`, ref("Api"), rest);
const logFormat = { at: "$context.requestTime", who: "$context.identity.userArn", error: "$context.error.message" };
const echo = "exports.handler = async (event) => event";

const route = (RouteKey: string, more: object = {}): Json => ({
  Type: "AWS::ApiGatewayV2::Route",
  Properties: {
    ...{ ApiId: ref("Api"), AuthorizationType: "AWS_IAM", RouteKey },
    ...{ Target: joined("integrations/", ref("Behind")), ...more },
  },
});
const permission = (SourceArn: Json): Json => ({
  Type: "AWS::Lambda::Permission",
  Properties: {
    ...{ Action: "lambda:InvokeFunction", FunctionName: ref("Shop"), Principal: "apigateway.amazonaws.com", SourceArn },
  },
});

/** A shop with an API: `clerk` may call all of it, `guest` may look at the wares. */
const shop = (code: string, changes: Readonly<Record<string, Json>> = {}): Record<string, Json> => ({
  Api: { Type: "AWS::ApiGatewayV2::Api", Properties: { Name: "shop", ProtocolType: "HTTP" } },
  Behind: {
    Type: "AWS::ApiGatewayV2::Integration",
    Properties: {
      ...{ ApiId: ref("Api"), IntegrationType: "AWS_PROXY", IntegrationUri: { "Fn::GetAtt": ["Shop", "Arn"] } },
      ...{ PayloadFormatVersion: "2.0", TimeoutInMillis: 29_000 },
    },
  },
  Wares: route("GET /wares"),
  Orders: route("POST /orders/new"),
  Stage: {
    Type: "AWS::ApiGatewayV2::Stage",
    Properties: {
      ...{ ApiId: ref("Api"), StageName: "$default", AutoDeploy: true },
      AccessLogSettings: { DestinationArn: { "Fn::GetAtt": ["Log", "Arn"] }, Format: JSON.stringify(logFormat) },
      DefaultRouteSettings: { ThrottlingBurstLimit: 3, ThrottlingRateLimit: 2 },
    },
  },
  Log: { Type: "AWS::Logs::LogGroup", Properties: { LogGroupName: "calls" } },
  Shop: {
    Type: "AWS::Lambda::Function",
    Properties: {
      ...{ FunctionName: "shop", Runtime: "nodejs24.x", Handler: "index.handler", Code: { ZipFile: code } },
      ...{ Role: { "Fn::GetAtt": ["ShopRole", "Arn"] }, Timeout: 60 },
    },
  },
  ShopRole: roleOf("shop", { Service: "lambda.amazonaws.com" }, []),
  ForWares: permission(arnOfApi("/*/*/wares")),
  ForOrders: permission(arnOfApi("/*/*/orders/new")),
  Clerk: roleOf("clerk", { AWS: accountId }, [
    { Effect: "Allow", Action: "execute-api:Invoke", Resource: arnOfApi("/*") },
  ]),
  Guest: roleOf("guest", { AWS: accountId }, [
    { Effect: "Allow", Action: "execute-api:Invoke", Resource: arnOfApi("/$default/GET/wares") },
  ]),
  ...changes,
});

async function open(code = echo, changes: Readonly<Record<string, Json>> = {}) {
  const clock = virtualClock(start);
  const measured: Datum[] = [];
  const meter = () => ({ name: "meter", types: [], make() {}, measure: (datum: Datum) => void measured.push(datum) });
  const services = [iamService, stsService, lambdaService, logsService, httpApiService, meter];
  const cloud = await smallCloud(shop(code, changes), { clock, services });
  const apiId = cloud.stacks.flatMap(({ resources }) => resources).find(({ logicalId }) => logicalId === "Api")!.ref;
  const call = (method: string, path: string, more: Partial<Parameters<typeof raw>[1]> = {}, role = "clerk") =>
    raw(cloud.endpoints.api, {
      ...{ method, path: `${new URL(apiUrl(cloud, apiId)).pathname}${path}`, region, service: "execute-api" },
      ...{ who: cloud.credential(role, "alice"), payloadHash: sha256(more.body), ...more },
    });
  return { cloud, apiId, call, measured };
}

const sha256 = (body: unknown = "") =>
  createHash("sha256")
    .update(body as string)
    .digest("hex");

describe("a call of an HTTP API", () => {
  test("reaches its function in payload format 2.0, with who signed it", async () => {
    const { call, apiId, cloud } = await open();
    const headers = { "content-type": "application/json", "user-agent": "a test" };
    const answer = await call("POST", "/orders/new?colour=light%20blue&size=", { body: '{"a":1}', headers });
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/json"]);
    const { userId } = JSON.parse(answer.text).requestContext.authorizer.iam;
    expect(userId).toBe(`${cloud.account.session("clerk", "alice").roleId}:alice`);
    expect(JSON.parse(answer.text)).toMatchObject({
      version: "2.0",
      routeKey: "POST /orders/new",
      rawPath: "/orders/new",
      rawQueryString: "colour=light%20blue&size=",
      queryStringParameters: { colour: "light blue", size: "" },
      headers,
      requestContext: {
        accountId,
        apiId,
        authorizer: { iam: { accountId, userArn: `arn:aws:sts::${accountId}:assumed-role/clerk/alice` } },
        http: { method: "POST", path: "/orders/new", protocol: "HTTP/1.1", userAgent: "a test" },
        routeKey: "POST /orders/new",
        stage: "$default",
        time: "01/Mar/2027:05:06:07 +0000",
        timeEpoch: start,
      },
      body: '{"a":1}',
      isBase64Encoded: false,
    });
  });

  test("brings a body that is no text encoded, whatever a form would be to another service", async () => {
    const { call } = await open();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const event = JSON.parse((await call("POST", "/orders/new", { body: "a=1", headers })).text);
    expect([event.body, event.isBase64Encoded]).toEqual([Buffer.from("a=1").toString("base64"), true]);
  });

  test("is answered as the function says", async () => {
    const answer = { statusCode: 418, headers: { "x-kind": "tea" }, body: "aGVyZQ==", isBase64Encoded: true };
    const { call } = await open(`exports.handler = async () => (${JSON.stringify(answer)})`);
    const { status, headers, text } = await call("GET", "/wares");
    expect([status, headers["x-kind"], text]).toEqual([418, "tea", "here"]);
  });

  test("is allowed route by route", async () => {
    const { call, cloud } = await open();
    expect((await call("GET", "/wares", {}, "guest")).status).toBe(200);
    const refused = await call("POST", "/orders/new", {}, "guest");
    expect([refused.status, refused.text]).toEqual([403, '{"message":"Forbidden"}']);
    const used = cloud.used.filter(({ action }) => action === "execute-api:Invoke").map(({ resource }) => resource);
    expect(used).toEqual([expect.stringMatching(/\/\$default\/GET\/wares$/)]);
  });

  test("that nobody signed, or not for an API, is refused", async () => {
    const { call } = await open();
    const unsigned = await call("GET", "/wares", {
      tamper: (headers) => {
        delete headers.authorization;
      },
    });
    expect(unsigned.status).toBe(403);
    const changed = await call("POST", "/orders/new", { body: "a", payloadHash: sha256("b") });
    expect(changed.status).toBe(403);
  });

  test("of no route, or of no API, is not found", async () => {
    const { call } = await open();
    for (const [method, path] of [
      ["GET", "/orders/new"],
      ["GET", "/"],
      ["GET", "/wares/1"],
    ] as const) {
      const { status, text } = await call(method, path);
      expect([status, text]).toEqual([404, '{"message":"Not Found"}']);
    }
  });

  test.each<[string, string, Readonly<Record<string, Json>>]>([
    ["fails", "exports.handler = async () => { throw new Error('sold out') }", {}],
    ["answers what is no answer", "exports.handler = async () => ({ statusCode: 'fine' })", {}],
    ["may not be called for this route", echo, { ForWares: permission(arnOfApi("/*/*/orders/new")) }],
    ["may be called by another API alone", echo, { ForWares: permission("arn:aws:execute-api:*:*:other/*/*/wares") }],
  ])("whose function %s is answered with 500, and the caller learns nothing", async (_, code, changes) => {
    const { call, measured } = await open(code, changes);
    const { status, text } = await call("GET", "/wares");
    expect([status, text]).toEqual([500, '{"message":"Internal Server Error"}']);
    expect(measured.filter(({ name }) => name === "5xx").map(({ value }) => value)).toEqual([1, 1]);
  });

  test("is given up when the function takes too long", async () => {
    const { call, cloud } = await open("exports.handler = () => new Promise((done) => setTimeout(done, 3000))");
    const answer = call("GET", "/wares");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await cloud.advance(29_000);
    expect((await answer).status).toBe(503);
  });

  test("comes through as often as the stage lets it", async () => {
    const { call, cloud } = await open();
    const statuses = async (count: number) => {
      const seen: number[] = [];
      for (let each = 0; each < count; each++) seen.push((await call("GET", "/wares")).status);
      return seen;
    };
    expect(await statuses(4)).toEqual([200, 200, 200, 429]);
    await cloud.advance(1000);
    expect(await statuses(3)).toEqual([200, 200, 429]);
  });

  test("leaves a line in the access log, and is counted", async () => {
    const { call, measured, apiId, cloud } = await open();
    await call("GET", "/wares", {}, "guest");
    await call("POST", "/orders/new", {}, "guest");
    const who = `arn:aws:sts::${accountId}:assumed-role/guest/alice`;
    const lines = await linesOf(cloud, "calls");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { at: "01/Mar/2027:05:06:07 +0000", who, error: "-" },
      { at: "01/Mar/2027:05:06:07 +0000", who, error: "Forbidden" },
    ]);
    const sum = (name: string, Stage?: string) =>
      measured
        .filter((each) => each.name === name && each.dimensions.ApiId === apiId && each.dimensions.Stage === Stage)
        .reduce((all, { value }) => all + value, 0);
    expect([sum("Count"), sum("4xx"), sum("5xx"), sum("4xx", "$default")]).toEqual([2, 1, 0, 1]);
  });
});

async function linesOf(cloud: RunningCloud, logGroupName: string): Promise<readonly string[]> {
  const body = JSON.stringify({ logGroupName });
  const { text } = await raw(cloud.endpoints.api, {
    ...{ method: "POST", path: "/", region, service: "logs", who: cloud.root, body, payloadHash: sha256(body) },
    headers: { "x-amz-target": "Logs_20140328.FilterLogEvents", "content-type": "application/x-amz-json-1.1" },
  });
  return JSON.parse(text).events.map(({ message }: { message: string }) => message);
}

describe("a template", () => {
  const stage = (more: object): Json => ({
    Type: "AWS::ApiGatewayV2::Stage",
    Properties: { ApiId: ref("Api"), StageName: "$default", AutoDeploy: true, ...more },
  });
  const integration = (more: object): Json => ({
    Type: "AWS::ApiGatewayV2::Integration",
    Properties: {
      ...{ ApiId: ref("Api"), IntegrationType: "AWS_PROXY", IntegrationUri: { "Fn::GetAtt": ["Shop", "Arn"] } },
      ...{ PayloadFormatVersion: "2.0", ...more },
    },
  });
  const api = (more: object): Json => ({
    Type: "AWS::ApiGatewayV2::Api",
    Properties: { Name: "shop", ProtocolType: "HTTP", ...more },
  });

  test.each<[string, Readonly<Record<string, Json>>, RegExp]>([
    [
      "a route that everybody may call",
      { Wares: route("GET /wares", { AuthorizationType: "NONE" }) },
      /^shop\.Wares: AuthorizationType NONE/,
    ],
    ["a route with a parameter", { Wares: route("GET /wares/{id}") }, /^shop\.Wares: RouteKey GET \/wares\/\{id\}/],
    ["a route for the rest", { Wares: route("$default") }, /^shop\.Wares: RouteKey \$default/],
    [
      "a route to nowhere",
      { Wares: route("GET /wares", { Target: "integrations/x" }) },
      /GET \/wares of .* has no integration/,
    ],
    ["a property of a route", { Wares: route("GET /wares", { ApiKeyRequired: true }) }, /^shop\.Wares: ApiKeyRequired/],
    ["another kind of API", { Api: api({ ProtocolType: "WEBSOCKET" }) }, /^shop\.Api: ProtocolType WEBSOCKET/],
    ["other origins", { Api: api({ CorsConfiguration: {} }) }, /^shop\.Api: CorsConfiguration/],
    [
      "another payload",
      { Behind: integration({ PayloadFormatVersion: "1.0" }) },
      /^shop\.Behind: PayloadFormatVersion 1\.0/,
    ],
    ["an address", { Behind: integration({ IntegrationUri: "https://example.com" }) }, /^shop\.Behind: IntegrationUri/],
    ["too much patience", { Behind: integration({ TimeoutInMillis: 60_000 }) }, /^shop\.Behind: TimeoutInMillis 60000/],
    ["another stage", { Stage: stage({ StageName: "test" }) }, /^shop\.Stage: StageName test/],
    ["a stage that is deployed by hand", { Stage: stage({ AutoDeploy: false }) }, /^shop\.Stage: AutoDeploy false/],
    [
      "a word of the log",
      { Stage: stage({ AccessLogSettings: { DestinationArn: "arn:x", Format: "$context.identity.userAgent" } }) },
      /^shop\.Stage: \$context\.identity\.userAgent/,
    ],
  ])("is refused for %s", async (_, changes, message) => {
    await expect(open(echo, changes)).rejects.toThrow(message);
  });
});
