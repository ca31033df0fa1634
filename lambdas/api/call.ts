import { z } from "zod";
import { parsed } from "../runtime/parsed.ts";

/** One call of the API, its signature checked by API Gateway. */
export interface Call {
  /** `POST /system/backup`. */
  readonly route: string;
  /** ARN of who signed it. */
  readonly caller: string;
  readonly query: Readonly<Record<string, string>>;
  /** Empty where there is none. */
  readonly body: string;
}

/** Payload format 2.0 of an HTTP API, of a route that IAM authorizes ("Working with AWS Lambda proxy integrations for HTTP APIs"). */
const httpEvent = z.object({
  version: z.literal("2.0"),
  routeKey: z.string(),
  queryStringParameters: z.record(z.string(), z.string()).default({}),
  requestContext: z.object({ authorizer: z.object({ iam: z.object({ userArn: z.string().min(1) }) }) }),
  body: z.string().default(""),
  isBase64Encoded: z.boolean(),
});

/** @throws MailarkError `ARGUMENT_INVALID` for what is no call, or of nobody. */
export function readCall(event: unknown): Call {
  const { routeKey, queryStringParameters, requestContext, body, isBase64Encoded } = parsed(httpEvent, event, "event");
  return {
    route: routeKey,
    caller: requestContext.authorizer.iam.userArn,
    query: queryStringParameters,
    // What no content type calls text comes encoded, such as what curl sends when it is not told otherwise.
    body: isBase64Encoded ? Buffer.from(body, "base64").toString("utf8") : body,
  };
}
