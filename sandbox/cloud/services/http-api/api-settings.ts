import type { Resource } from "../../template/stack.ts";
import { only, placeOf } from "../../understood.ts";

export interface ApiSettings {
  /** Ten letters and digits. */
  readonly id: string;
  readonly name: string;
}

export interface IntegrationSettings {
  /** ARN of the function. */
  readonly function: string;
  readonly timeoutMs: number;
}

export interface RouteSettings {
  readonly apiId: string;
  /** `POST /system/backup`. */
  readonly key: string;
  readonly integrationId: string;
}

export interface StageSettings {
  readonly apiId: string;
  readonly accessLog: { readonly group: string; readonly format: string } | undefined;
  /** Calls a second, and how many at once; absent: as many as come. */
  readonly throttle: { readonly rate: number; readonly burst: number } | undefined;
}

/** @throws Error where it is another kind of API. */
export function apiSettings(resource: Resource): ApiSettings {
  only(resource, ["Description", "Name", "ProtocolType"]);
  const { Name, ProtocolType } = resource.properties;
  demand(resource, { ProtocolType }, "HTTP");
  return { id: resource.ref, name: Name };
}

/** @throws Error for anything but a function that gets payload format 2.0. */
export function integrationSettings(resource: Resource): IntegrationSettings {
  only(resource, ["ApiId", "IntegrationType", "IntegrationUri", "PayloadFormatVersion", "TimeoutInMillis"]);
  const { IntegrationType, IntegrationUri, PayloadFormatVersion, TimeoutInMillis = 30_000 } = resource.properties;
  demand(resource, { IntegrationType }, "AWS_PROXY");
  demand(resource, { PayloadFormatVersion }, "2.0");
  if (!/^arn:aws:lambda:[^:]*:\d{12}:function:[^:]+$/.test(IntegrationUri)) {
    throw new Error(`${placeOf(resource)}: IntegrationUri ${IntegrationUri} is no function`);
  }
  const timeoutMs = Number(TimeoutInMillis);
  if (!(timeoutMs >= 50 && timeoutMs <= 30_000)) {
    throw new Error(`${placeOf(resource)}: TimeoutInMillis ${TimeoutInMillis} is not from 50 to 30000`);
  }
  return { function: IntegrationUri, timeoutMs };
}

/** @throws Error for a route that IAM does not authorize, or whose path is not one literal text. */
export function routeSettings(resource: Resource): RouteSettings {
  only(resource, ["ApiId", "AuthorizationType", "RouteKey", "Target"]);
  const { ApiId, AuthorizationType, RouteKey, Target } = resource.properties;
  demand(resource, { AuthorizationType }, "AWS_IAM");
  if (!/^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) \/[A-Za-z0-9._/-]*$/.test(RouteKey)) {
    throw new Error(`${placeOf(resource)}: RouteKey ${RouteKey} is not understood`);
  }
  const [, integrationId] = /^integrations\/(\w+)$/.exec(Target) ?? [];
  if (integrationId === undefined) throw new Error(`${placeOf(resource)}: Target ${Target} is not understood`);
  return { apiId: ApiId, key: RouteKey, integrationId };
}

/** @throws Error for any stage but the default one, deployed by itself. */
export function stageSettings(resource: Resource): StageSettings {
  only(resource, ["AccessLogSettings", "ApiId", "AutoDeploy", "DefaultRouteSettings", "StageName"]);
  const { AccessLogSettings: log, ApiId, AutoDeploy, DefaultRouteSettings: limits, StageName } = resource.properties;
  demand(resource, { StageName }, "$default");
  demand(resource, { AutoDeploy: String(AutoDeploy) }, "true");
  if (log !== undefined) only(resource, ["DestinationArn", "Format"], log);
  if (limits !== undefined) only(resource, ["ThrottlingBurstLimit", "ThrottlingRateLimit"], limits);
  return {
    apiId: ApiId,
    accessLog: log && { group: log.DestinationArn.replace(/:\*$/, ""), format: log.Format },
    throttle: limits && { rate: Number(limits.ThrottlingRateLimit), burst: Number(limits.ThrottlingBurstLimit) },
  };
}

function demand(resource: Resource, given: Readonly<Record<string, unknown>>, wanted: string): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== wanted) throw new Error(`${placeOf(resource)}: ${name} ${value} is not understood`);
  }
}
