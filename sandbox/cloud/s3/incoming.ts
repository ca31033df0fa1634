import type { IncomingMessage } from "node:http";
import { notImplemented, S3Error } from "./errors.ts";
import type { OperationName, operations } from "./operations.ts";

/** A request as it came, in the terms of S3. */
export interface Incoming {
  readonly method: string;
  /** Decoded, with its slash. */
  readonly path: string;
  readonly on: (typeof operations)[OperationName]["on"];
  /** Empty where it names none. */
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

const longestKey = 1024;

/**
 * @param authority - host and port of this server, which path-style requests are sent to.
 * @throws S3Error when the address is not one that it could be asked for.
 */
export function incoming(request: IncomingMessage, authority: string): Incoming {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headersDistinct)) headers[name] = value!.join(",");
  if (headers.host !== authority) throw notImplemented(`the host ${headers.host}: buckets are named in the path`);
  const [, rawPath = "/", rawQuery = ""] = /^([^?]*)(?:\?(.*))?$/s.exec(request.url ?? "/") ?? [];
  const path = decoded(rawPath);
  const [, bucket = "", key = ""] = /^\/([^/]*)(?:\/(.*))?$/s.exec(path) ?? [];
  if (Buffer.byteLength(key) > longestKey) throw new S3Error("KeyTooLongError", "Your key is too long");
  return {
    method: request.method ?? "",
    path,
    on: bucket === "" ? "service" : key === "" ? "bucket" : "object",
    bucket,
    key,
    query: queryOf(rawQuery),
    headers,
  };
}

function queryOf(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  for (const pair of text.split("&").filter((each) => each !== "")) {
    const [, name = "", value = ""] = /^([^=]*)=?(.*)$/s.exec(pair) ?? [];
    if (query.has(decoded(name))) throw new S3Error("InvalidArgument", "a query parameter is there twice");
    query.set(decoded(name), decoded(value.replaceAll("+", "%20")));
  }
  return query;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw Object.assign(new S3Error("InvalidURI", "Couldn't parse the specified URI."), { cause });
  }
}
