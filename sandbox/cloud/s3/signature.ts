import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Credential } from "./credentials.ts";
import { notImplemented, S3Error } from "./errors.ts";

/** What is signed: the parts of a request as they came, the path and the query decoded. */
export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string>>;
}

/** A request's valid signature, which the signatures of a chunked body continue. */
export interface Signing {
  readonly credential: Credential;
  readonly key: Buffer;
  readonly timestamp: string;
  readonly scope: string;
  readonly signature: string;
}

const allowedSkew = 15 * 60_000;

export interface Authority {
  readonly clock: Pick<Clock, "now">;
  /** Of callers that do not know the cloud's time; a signature may be dated by either. Default: `clock`. */
  readonly signersClock?: Pick<Clock, "now"> | undefined;
  readonly region: string;
  readonly credentials: readonly Credential[];
  /** Default: `s3`. */
  readonly service?: string;
  /** SHA-256 of the body in hex, of a request that does not say it. Default: it must. */
  readonly payload?: string;
}

/**
 * Who sent this request: AWS Signature Version 4 in the `Authorization` header; every `x-amz-` header must be signed. The
 * path is encoded once for S3, and twice for all others.
 * Sources: "Authenticating Requests: Using the Authorization Header", Amazon S3 API reference; "Create a signed AWS API
 * request", IAM user guide.
 *
 * @throws S3Error when the request is not signed by a known key, for this region and service, within 15 minutes of a
 *   clock.
 */
export function authenticate(
  request: SignedRequest,
  { clock, signersClock = clock, region, credentials, service = "s3", payload: computed }: Authority,
): Signing {
  const { headers, query } = request;
  if (query.has("X-Amz-Signature") || query.has("X-Amz-Algorithm")) throw notImplemented("presigned requests");
  if (headers.authorization === undefined) throw new S3Error("AccessDenied", "Access Denied");
  const { accessKeyId, date, scopeRegion, signedHeaders, signature, ...scoped } = parsed(headers.authorization);
  if (scopeRegion !== region) {
    throw new S3Error(
      "AuthorizationHeaderMalformed",
      `The authorization header is malformed; the region '${scopeRegion}' is wrong; expecting '${region}'`,
      { elements: { Region: region } },
    );
  }
  if (scoped.service !== service) {
    throw malformed(`incorrect service "${scoped.service}". This endpoint belongs to "${service}".`);
  }

  const credential = credentials.find((each) => each.accessKeyId === accessKeyId);
  if (credential === undefined) throw unknownKey(accessKeyId);
  checkToken(credential, headers["x-amz-security-token"], clock.now());
  const timestamp = headers["x-amz-date"] ?? "";
  checkTime(timestamp, date, [clock.now(), signersClock.now()]);
  const payload = headers["x-amz-content-sha256"] ?? computed;
  if (payload === undefined) {
    throw new S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  }
  const unsigned = Object.keys(headers).filter((name) => /^x-amz-|^host$/.test(name) && !signedHeaders.includes(name));
  if (unsigned.length > 0) {
    throw new S3Error("AccessDenied", "There were headers present in the request which were not signed", {
      elements: { HeadersNotSigned: unsigned.join(", ") },
    });
  }

  const scope = `${date}/${region}/${service}/aws4_request`;
  const canonical = canonicalRequest(request, signedHeaders, payload, service === "s3" ? encoded : encodedTwice);
  const key = [date, region, service, "aws4_request"].reduce<Buffer>(
    (each, text) => hmac(each, text),
    Buffer.from(`AWS4${credential.secretAccessKey}`),
  );
  const text = ["AWS4-HMAC-SHA256", timestamp, scope, sha256(canonical)].join("\n");
  if (!same(hmac(key, text).toString("hex"), signature)) {
    throw new S3Error(
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
      { elements: { AWSAccessKeyId: accessKeyId, StringToSign: text, CanonicalRequest: canonical } },
    );
  }
  return { credential, key, timestamp, scope, signature };
}

/** The service that a request says it is signed for; `undefined` where it is not signed so. */
export function serviceOf(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : parsed(authorization).service;
}

/** Checks the signatures inside a chunked body, each of which covers the one before it. */
export interface ChunkSignatures {
  /** @throws S3Error when this is not the signature of the next chunk, whose SHA-256 in hex is given. */
  chunk(sha256OfBytes: string, signature: string | undefined): void;
  /** The same for the trailer, given as `name:value` lines, each with its line feed. */
  trailer(lines: string, signature: string | undefined): void;
}

/** Source: "Signature calculations for the authorization header: transferring payload in multiple chunks". */
export function chunkSignatures({ key, timestamp, scope, signature }: Signing): ChunkSignatures {
  let previous = signature;
  const check = (algorithm: string, hashes: readonly string[], given: string | undefined) => {
    const expected = hmac(key, [algorithm, timestamp, scope, previous, ...hashes].join("\n")).toString("hex");
    if (given === undefined || !same(expected, given)) {
      throw new S3Error("SignatureDoesNotMatch", "a signature inside the chunked body does not match");
    }
    previous = expected;
  };
  return {
    chunk: (hash, given) => check("AWS4-HMAC-SHA256-PAYLOAD", [sha256(""), hash], given),
    trailer: (lines, given) => check("AWS4-HMAC-SHA256-TRAILER", [sha256(lines)], given),
  };
}

function parsed(authorization: string) {
  const found =
    /^AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request,\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (found === null) {
    if (/^AWS /.test(authorization)) throw notImplemented("signature version 2");
    if (/^AWS4-ECDSA/.test(authorization)) throw notImplemented("signature version 4A");
    throw malformed("it is not one of AWS Signature Version 4");
  }
  const [, accessKeyId, date, scopeRegion, service, signedHeaders, signature] = found as unknown as string[];
  return {
    accessKeyId: accessKeyId!,
    date: date!,
    scopeRegion: scopeRegion!,
    service: service!,
    signedHeaders: signedHeaders!.split(";"),
    signature: signature!,
  };
}

function malformed(why: string): S3Error {
  return new S3Error("AuthorizationHeaderMalformed", `The authorization header is malformed; ${why}`);
}

function unknownKey(accessKeyId: string): S3Error {
  return new S3Error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", {
    elements: { AWSAccessKeyId: accessKeyId },
  });
}

/** The key of a session without its token is no key at all. */
function checkToken(credential: Credential, given: string | undefined, now: number): void {
  if (credential.sessionToken === undefined ? given !== undefined : given !== credential.sessionToken) {
    if (given === undefined) throw unknownKey(credential.accessKeyId);
    throw new S3Error("InvalidToken", "The provided token is malformed or otherwise invalid.");
  }
  if (credential.expiresAt !== undefined && now >= credential.expiresAt) {
    throw new S3Error("ExpiredToken", "The provided token has expired.");
  }
}

function checkTime(timestamp: string, date: string, times: readonly [number, number]): void {
  const [, day, hours, minutes, seconds] = /^(\d{8})T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp) ?? [];
  if (day === undefined)
    throw new S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  if (day !== date) throw malformed("the date of the credential is not that of the request");
  const at = Date.parse(`${day.replace(/(....)(..)(..)/, "$1-$2-$3")}T${hours}:${minutes}:${seconds}Z`);
  if (!times.some((now) => Math.abs(at - now) <= allowedSkew)) {
    throw new S3Error(
      "RequestTimeTooSkewed",
      "The difference between the request time and the current time is too large.",
      {
        elements: {
          RequestTime: timestamp,
          ServerTime: new Date(times[0]).toISOString(),
          MaxAllowedSkewMilliseconds: String(allowedSkew),
        },
      },
    );
  }
}

function canonicalRequest(
  request: SignedRequest,
  signedHeaders: readonly string[],
  payload: string,
  ofPath: (text: string) => string,
): string {
  const query = [...request.query]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort((a, b) => (a < b ? -1 : 1));
  const headers = signedHeaders.map((name) => `${name}:${(request.headers[name] ?? "").trim().replace(/\s+/g, " ")}\n`);
  const path = request.path.split("/").map(ofPath).join("/");
  return [request.method, path, query.join("&"), headers.join(""), signedHeaders.join(";"), payload].join("\n");
}

/** RFC 3986, as AWS wants it: all but the unreserved characters. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

function encodedTwice(text: string): string {
  return encoded(encoded(text));
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function same(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
