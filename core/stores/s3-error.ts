/** What S3 and the way to it say when they fail, as errors that tell an operator what to do. */
import { asMailarkError, MailarkError } from "../errors.ts";
import type { S3Place } from "./s3-url.ts";

/** What was asked for, as the permission for it is called. */
export type S3Action = "s3:PutObject" | "s3:GetObject" | "s3:ListBucket" | "s3:DeleteObject";

/** As the SDK throws it: an answer of the service has `$metadata.httpStatusCode`, a failure on the way there has not. */
interface SdkError extends Error {
  readonly code?: string;
  readonly syscall?: string;
  readonly Region?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/**
 * @param thrown by the SDK's client, while it was asked for `action`.
 * @returns an error whose message names neither bucket nor key; both, and the service's own words, are in `detail`. `STORE_UNREACHABLE`
 *   and `retryable`: the request may have been carried out. `STORE_BUSY`: it was not.
 */
export function s3Error(thrown: unknown, action: S3Action, place: S3Place): MailarkError {
  if (thrown instanceof MailarkError || !(thrown instanceof Error) || thrown.name === "AbortError")
    return asMailarkError(thrown);
  const error = thrown as SdkError;
  const status = error.$metadata?.httpStatusCode;
  const detail = `${place.endpoint ?? `AWS ${place.region}`}, bucket ${place.bucket}: ${words(error, status)}`;
  const fail = (
    code: ConstructorParameters<typeof MailarkError>[0],
    message: string,
    hint?: string,
    retryable = false,
  ) => new MailarkError(code, message, { ...(hint && { hint }), retryable, detail, cause: thrown });

  if (error.name === "CredentialsProviderError" || error.name === "TokenProviderError") {
    return fail(
      "STORE_FORBIDDEN",
      "there are no credentials for the store",
      "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
    );
  }
  if (status === undefined) return onTheWay(error, fail);
  if (expired.has(error.name)) {
    return fail(
      "STORE_FORBIDDEN",
      "the credentials for the store have expired",
      "renew them, then run the same command again: nothing that was stored is lost",
    );
  }
  if (error.name === "InvalidAccessKeyId" || error.name === "InvalidToken") {
    return fail(
      "STORE_FORBIDDEN",
      "the store does not know these credentials",
      "check the access key; keys of another provider or account do not count here",
    );
  }
  if (error.name === "SignatureDoesNotMatch") {
    return fail(
      "STORE_FORBIDDEN",
      "the secret key does not belong to the access key",
      "check the credentials: a secret is easily cut off or copied with a space",
    );
  }
  if (error.name === "RequestTimeTooSkewed") {
    // The client has taken the store's time from this answer, and signs the next request with it.
    return fail(
      "STORE_BUSY",
      "the clock of this machine differs from the store's",
      "set the clock (timedatectl set-ntp true): snapshots are named by it",
      true,
    );
  }
  if (error.name === "NoSuchUpload") {
    return fail(
      "STORE_UNREACHABLE",
      "the store has lost an upload that was under way",
      "look whether a rule of the bucket ends unfinished uploads too early, and run the command again",
      true,
    );
  }
  if (error.name === "NoSuchBucket") {
    return fail(
      "STORE_UNREACHABLE",
      "there is no bucket of that name",
      "check the bucket and the endpoint in the store's URL",
    );
  }
  if (status === 301 || status === 307 || regional.has(error.name)) {
    const region = error.Region ?? error.$response?.headers?.["x-amz-bucket-region"];
    return fail(
      "STORE_UNREACHABLE",
      "the bucket is in another region",
      `write region=${region ?? "…, the region of the bucket,"} in the store's URL`,
    );
  }
  if (mismatches.has(error.name)) {
    return fail(
      "UPLOAD_MISMATCH",
      "the store received other bytes than were sent",
      "run the command again; if it comes back, check the memory and the network of this host",
      true,
    );
  }
  if (error.name === "ConditionalRequestConflict" || error.name === "SlowDown" || status === 409 || status === 429) {
    return fail("STORE_BUSY", "the store wants to be asked later", "run the command again in a while", true);
  }
  if (status === 501) {
    return fail(
      "STORE_UNREACHABLE",
      "the store can not do what it was asked for",
      "`conditional=false` or `checksum=md5` in its URL ask for less: docs/guide.md says what that costs",
    );
  }
  if (status >= 500 || error.name === "RequestTimeout") {
    return fail("STORE_UNREACHABLE", `the store is out of order (${status})`, "run the command again in a while", true);
  }
  if (status === 401 || status === 403)
    return fail("STORE_FORBIDDEN", `these credentials do not allow ${action}`, allowing(action));
  if (status === 400 && error.name.startsWith("Unknown")) {
    // An answer to HEAD has no body that could say which.
    return fail(
      "STORE_UNREACHABLE",
      "the store refuses the request without a reason",
      "the region in its URL, the credentials and the clock of this machine can be wrong",
    );
  }
  return fail(
    "STORE_UNREACHABLE",
    `the store refuses the request: ${codeOf(error)}`,
    "check what the store's URL asks for, such as storage-class and kms-key",
  );
}

/** The HTTP status behind what {@link s3Error} made; `undefined` where there was no answer, or where 404 says that the bucket is missing. */
export function statusOf(error: unknown): number | undefined {
  const cause = (error as MailarkError).cause as SdkError | undefined;
  return cause?.name === "NoSuchBucket" ? undefined : cause?.$metadata?.httpStatusCode;
}

/** Whether an answer refused without saying why, as those to HEAD do. */
export function isSilent(error: unknown): boolean {
  const status = statusOf(error);
  return status !== undefined && status >= 300 && status < 500;
}

const expired = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"]);
const regional = new Set(["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"]);
const mismatches = new Set([
  "BadDigest",
  "InvalidDigest",
  "XAmzContentChecksumMismatch",
  "XAmzContentSHA256Mismatch",
  "IncompleteBody",
]);
/** What else must hold for a name that can not be verified, as OpenSSL and Node call it. */
const untrusted = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|EPROTO)/;

function onTheWay(
  error: SdkError,
  fail: (code: "STORE_UNREACHABLE" | "STORE_BUSY", message: string, hint?: string, retryable?: boolean) => MailarkError,
) {
  const code = error.code ?? error.name;
  const failed = isUnsent(error) ? "STORE_BUSY" : "STORE_UNREACHABLE";
  if (untrusted.test(code)) {
    return fail(
      "STORE_UNREACHABLE",
      "the store can not prove who it is (TLS)",
      "check the endpoint; NODE_EXTRA_CA_CERTS names the certificate of an authority of your own",
    );
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return fail(
      failed,
      "the name of the store can not be resolved",
      "check the endpoint and region in its URL, and the network",
      true,
    );
  }
  const timedOut = error.name === "TimeoutError" && code !== "ECONNRESET";
  return fail(
    failed,
    `the store does not answer (${timedOut ? "timeout" : code})`,
    "check the endpoint in its URL, the network and the firewall",
    true,
  );
}

/**
 * Whether there was no connection on which the request could have gone out. The SDK's own limit for connecting shows in its words alone
 * (`setConnectionTimeout` of @smithy/node-http-handler); Node tries all addresses of a name, and throws what each of them said.
 */
function isUnsent(error: SdkError): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isUnsent);
  return (
    error.syscall === "connect" ||
    error.syscall === "getaddrinfo" ||
    (error.name === "TimeoutError" && error.message.includes("did not establish a connection"))
  );
}

function allowing(action: S3Action): string {
  if (action === "s3:PutObject")
    return "allow it for the prefix, or end the URL in host-id=sts where the store knows hosts by their role; with a key of your own (SSE-KMS) also kms:GenerateDataKey and kms:Decrypt";
  if (action === "s3:DeleteObject") return "pruning needs credentials of its own, which no mail host should have";
  return "reading needs other credentials than a host has for writing: give those with AWS_PROFILE or AWS_ACCESS_KEY_ID";
}

/** A code of S3 is a word; anything else does not go into a message. */
const codeOf = ({ name }: SdkError) => (/^[A-Za-z]{1,60}$/.test(name) ? name : "unknown");
const words = (error: SdkError, status: number | undefined) =>
  [status, error.name, error.code, error.message].filter((each) => each !== undefined).join(" ");
