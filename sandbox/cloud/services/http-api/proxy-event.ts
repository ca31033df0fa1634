/** Payload format 2.0: "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway". */
import { type Caller, identityOf } from "../../iam/caller.ts";
import type { HttpReply, RestRequest } from "../../service.ts";

/** One call, as the access log and the function learn of it. */
export interface HttpCall extends Pick<RestRequest, "method" | "query" | "headers" | "body"> {
  readonly apiId: string;
  /** As the API has it, with its slash. */
  readonly path: string;
  readonly routeKey: string;
  readonly requestId: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly caller: Caller;
  readonly accountId: string;
  readonly region: string;
}

export const sourceIp = "127.0.0.1";

/** What the function gets. */
export function proxyEvent(call: HttpCall): object {
  const { apiId, path, routeKey, requestId, time, method, query, headers, body, accountId, region } = call;
  const parameters = [...query];
  const text = /^(text\/|application\/(json|javascript|xml)\b)/.test(headers["content-type"] ?? "");
  return {
    version: "2.0",
    routeKey,
    rawPath: path,
    rawQueryString: parameters.map((pair) => pair.map(encodeURIComponent).join("=")).join("&"),
    headers,
    ...(parameters.length > 0 && { queryStringParameters: Object.fromEntries(parameters) }),
    requestContext: {
      accountId,
      apiId,
      authorizer: { iam: iamOf(call) },
      domainName: `${apiId}.execute-api.${region}.amazonaws.com`,
      domainPrefix: apiId,
      http: { method, path, protocol: "HTTP/1.1", sourceIp, userAgent: headers["user-agent"] ?? "" },
      requestId,
      routeKey,
      stage: "$default",
      time: timeOf(time),
      timeEpoch: time,
    },
    ...(body.length > 0 && { body: body.toString(text ? "utf8" : "base64") }),
    isBase64Encoded: body.length > 0 && !text,
  };
}

function iamOf({ caller, accountId, headers }: HttpCall) {
  const { UserId, Arn } = identityOf(caller);
  const [, accessKey] = /Credential=([^/]+)\//.exec(headers.authorization ?? "") ?? [];
  return {
    accessKey,
    accountId,
    callerId: UserId,
    cognitoIdentity: null,
    principalOrgId: null,
    userArn: Arn,
    userId: UserId,
  };
}

/** `21/Nov/2026:05:00:00 +0000`. */
export function timeOf(milliseconds: number): string {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) (\S+)/.exec(new Date(milliseconds).toUTCString())!;
  return `${day}/${month}/${year}:${time} +0000`;
}

/**
 * What the caller gets of what the function returned: with a `statusCode` as it says, without one as JSON.
 *
 * @returns `undefined` where it is no answer. @throws Error for members that are not known here.
 */
export function replyOf(payload: string): HttpReply | undefined {
  const returned: unknown = JSON.parse(payload);
  if (typeof returned !== "object" || returned === null || !("statusCode" in returned)) {
    return { status: 200, headers: { "content-type": "application/json" }, body: payload };
  }
  const { statusCode, headers = {}, body = "", isBase64Encoded = false, ...more } = returned as Record<string, unknown>;
  const [unknown] = Object.keys(more);
  if (unknown !== undefined) throw new Error(`the function's answer has ${unknown}, which is not understood`);
  if (!Number.isInteger(statusCode) || typeof body !== "string") return undefined;
  return {
    status: statusCode as number,
    headers: headers as Record<string, string>,
    body: Buffer.from(body, isBase64Encoded ? "base64" : "utf8"),
  };
}
