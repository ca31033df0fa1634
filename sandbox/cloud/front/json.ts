import { gunzipSync } from "node:zlib";
import { CallRefused } from "../service.ts";
import type { Protocol, Received } from "./protocol.ts";

/** "AWS JSON 1.0 and 1.1 protocol" of the Smithy documentation: the operation stands in `x-amz-target`. */
export function jsonProtocol({ headers, body }: Received): Protocol {
  const type = headers["content-type"] ?? "application/x-amz-json-1.1";
  return {
    plainCodes: false,
    read() {
      const target = headers["x-amz-target"]!;
      return { operation: target.slice(target.lastIndexOf(".") + 1), input: jsonObject(plain(headers, body)) };
    },
    reply: (_, output) => ({ status: 200, headers: { "content-type": type }, body: JSON.stringify(output) }),
    refuse: ({ code, message, status }) => ({
      status,
      headers: {
        "content-type": type,
        "x-amzn-errortype": code,
        ...(headers["x-amzn-query-mode"] === "true" && { "x-amzn-query-error": `${code};Sender` }),
      },
      body: JSON.stringify({ __type: code, message }),
    }),
  };
}

/** @throws CallRefused where it is no object of JSON. Nothing at all is an empty one. */
export function jsonObject(body: Buffer): Readonly<Record<string, unknown>> {
  if (body.length === 0) return {};
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CallRefused("SerializationException", "the body is no object of JSON");
}

function plain(headers: Received["headers"], body: Buffer): Buffer {
  const encoding = headers["content-encoding"];
  if (encoding === undefined) return body;
  if (encoding !== "gzip") throw new Error(`unknown content-encoding: ${encoding}`);
  return gunzipSync(body);
}
