import { randomUUID } from "node:crypto";
import { identityOf } from "../../iam/caller.ts";
import {
  type ApiCall,
  CallRefused,
  type Cloud,
  type Datum,
  type HttpReply,
  type RestRequest,
  type Service,
} from "../../service.ts";
import { placeOf } from "../../understood.ts";
import { accessLogLine, checkFormat } from "./access-log.ts";
import {
  type ApiSettings,
  apiSettings,
  type IntegrationSettings,
  integrationSettings,
  type RouteSettings,
  routeSettings,
  type StageSettings,
  stageSettings,
} from "./api-settings.ts";
import { type HttpCall, proxyEvent, replyOf, sourceIp, timeOf } from "./proxy-event.ts";
import { Throttle } from "./throttle.ts";

/** Where an API answers: in AWS it has a host of its own, here a path that is not part of what its function sees. */
export const apiUrl = ({ endpoints }: Pick<Cloud, "endpoints">, apiId: string): string =>
  `${endpoints.api}/_api/${apiId}`;

/** HTTP APIs of API Gateway, whose routes IAM authorizes and functions answer. */
export function httpApiService(cloud: Cloud): Service {
  const apis = new Map<string, ApiSettings>();
  const integrations = new Map<string, IntegrationSettings>();
  const routes: RouteSettings[] = [];
  const stages = new Map<string, StageSettings & { readonly throttling: Throttle | undefined }>();
  const makers: Readonly<Record<string, Service["make"]>> = {
    "AWS::ApiGatewayV2::Api": (resource) => void apis.set(resource.ref, apiSettings(resource)),
    "AWS::ApiGatewayV2::Integration": (resource) => void integrations.set(resource.ref, integrationSettings(resource)),
    "AWS::ApiGatewayV2::Route": (resource) => void routes.push(routeSettings(resource)),
    "AWS::ApiGatewayV2::Stage": (resource) => {
      const settings = stageSettings(resource);
      if (settings.accessLog) checkFormat(settings.accessLog.format, placeOf(resource));
      const throttling = settings.throttle && new Throttle(cloud.clock, settings.throttle);
      stages.set(settings.apiId, { ...settings, throttling });
    },
  };

  /** @throws CallRefused in the words of API Gateway. */
  async function answered(call: HttpCall, stage: ReturnType<typeof stages.get>): Promise<HttpReply> {
    const { apiId, method, path, routeKey, caller } = call;
    const route = routes.find((each) => each.apiId === apiId && each.key === routeKey);
    if (stage === undefined || route === undefined) throw new CallRefused("NotFound", "Not Found", 404);
    const resource = `arn:aws:execute-api:${cloud.region}:${cloud.accountId}:${apiId}/$default/${method}${path}`;
    if (!cloud.allows(caller, { action: "execute-api:Invoke", resource, context: {} })) {
      throw new CallRefused("Forbidden", "Forbidden", 403);
    }
    if (stage.throttling?.take() === false) throw new CallRefused("TooManyRequests", "Too Many Requests", 429);
    const { function: to, timeoutMs } = integrations.get(route.integrationId)!;
    const invocation = cloud.invoke({
      to,
      payload: JSON.stringify(proxyEvent(call)),
      as: { kind: "service", service: "apigateway.amazonaws.com" },
      context: { "aws:SourceArn": resource, "aws:SourceAccount": cloud.accountId },
    });
    const { payload, failed } = await within(cloud, timeoutMs, invocation);
    const reply = failed ? undefined : replyOf(payload);
    return reply ?? internal;
  }

  async function keepLog(stage: StageSettings | undefined, call: HttpCall, status: number, message?: string) {
    if (stage?.accessLog === undefined) return;
    const { group, format } = stage.accessLog;
    const line = accessLogLine(format, {
      "$context.error.message": message,
      "$context.identity.sourceIp": sourceIp,
      "$context.identity.userArn": identityOf(call.caller).Arn,
      "$context.requestId": call.requestId,
      "$context.requestTime": timeOf(call.time),
      "$context.routeKey": call.routeKey,
      "$context.status": String(status),
    });
    const logEvents = [{ timestamp: call.time, message: line }];
    await cloud.deliver({
      to: group,
      payload: JSON.stringify({ logStreamName: call.apiId, logEvents }),
      // That the log takes it from API Gateway is said in a policy that AWS itself makes with the stage.
      as: { kind: "root", account: cloud.accountId },
      context: {},
    });
  }

  /** "Work with metrics for HTTP APIs": of the API, and of its stage. */
  function measure({ apiId, time }: HttpCall, status: number): void {
    const values = {
      Count: 1,
      Latency: cloud.clock.now() - time,
      "4xx": Number(status >= 400 && status < 500),
      "5xx": Number(status >= 500),
    };
    const sets: readonly Datum["dimensions"][] = [{ ApiId: apiId }, { ApiId: apiId, Stage: "$default" }];
    for (const dimensions of sets) {
      for (const [name, value] of Object.entries(values)) {
        cloud.measure({ namespace: "AWS/ApiGateway", name, dimensions, value });
      }
    }
  }

  return {
    name: "execute-api",
    types: Object.keys(makers),
    make: (resource) => makers[resource.type]!(resource),

    begin() {
      const lost = routes.find(({ integrationId }) => !integrations.has(integrationId));
      if (lost !== undefined) throw new Error(`${lost.key} of ${lost.apiId} has no integration`);
      for (const { id, name } of apis.values()) cloud.note(`http-api: ${name} is at ${apiUrl(cloud, id)}`);
    },

    routes: [
      {
        operation: "Invoke",
        method: "ANY",
        path: "/_api/{ApiId}/{path+}",
        input: ({ parameters, method, query, headers, body }) => ({ ...parameters, method, query, headers, body }),
        reply: (output) => output as unknown as HttpReply,
      },
    ],

    async answer({ input, caller }: ApiCall) {
      const { ApiId, path: below, ...request } = input as Asked;
      const path = `/${below}`;
      const call: HttpCall = {
        ...request,
        ...{ apiId: ApiId, path, routeKey: `${request.method} ${path}`, caller },
        ...{ requestId: randomUUID(), time: cloud.clock.now(), accountId: cloud.accountId, region: cloud.region },
      };
      const stage = stages.get(ApiId);
      const { reply, message } = await answered(call, stage).then(
        (answer) => ({ reply: answer, message: undefined }),
        (error) => refused(error),
      );
      if (stage !== undefined) measure(call, reply.status);
      await keepLog(stage, call, reply.status, message);
      cloud.note(`http-api: ${call.routeKey} of ${identityOf(caller).Arn}: ${reply.status}`);
      return { ...reply };
    },
  };
}

type Asked = { readonly ApiId: string; readonly path: string } & Pick<
  RestRequest,
  "method" | "query" | "headers" | "body"
>;

const json = (status: number, message: string): HttpReply => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ message }),
});

const internal = json(500, "Internal Server Error");

/** API Gateway's own refusals; whatever the function's side refuses is its fault, and the caller learns nothing of it. @throws what is a defect. */
function refused(error: unknown): { readonly reply: HttpReply; readonly message: string } {
  if (!(error instanceof CallRefused)) throw error;
  const { code, message, status } = error;
  const own = ["NotFound", "Forbidden", "TooManyRequests", "ServiceUnavailable"].includes(code);
  return { reply: own ? json(status, message) : internal, message };
}

async function within<T>({ clock }: Cloud, milliseconds: number, work: Promise<T>): Promise<T> {
  let forget = () => {};
  const late = new Promise<never>((_, reject) => {
    forget = clock.at(clock.now() + milliseconds, () =>
      reject(new CallRefused("ServiceUnavailable", "Service Unavailable", 503)),
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    forget();
  }
}
