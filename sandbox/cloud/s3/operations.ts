import { checksumAlgorithms, checksumHeader } from "./checksums.ts";
import { notImplemented } from "./errors.ts";

/** What a call of the REST API may carry. What is not named here is refused: see {@link recognise}. */
interface Operation {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly on: "service" | "bucket" | "object";
  /** Query parameters that make it this operation and no other. */
  readonly selectors?: readonly string[];
  /** Query parameters that it may have besides. */
  readonly query?: readonly string[];
  /** Headers that it may have besides those of every call. A `*` at the end stands for anything. */
  readonly headers?: readonly string[];
}

const everyCall = ["x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent"];
const body = [
  "x-amz-decoded-content-length",
  "x-amz-trailer",
  "x-amz-sdk-checksum-algorithm",
  ...checksumAlgorithms.map(checksumHeader),
];
const customerKey = ["algorithm", "key", "key-md5"].map((part) => `x-amz-server-side-encryption-customer-${part}`);
const attributes = [
  ...customerKey,
  "x-amz-acl",
  "x-amz-grant-*",
  "x-amz-meta-*",
  "x-amz-object-lock-legal-hold",
  "x-amz-object-lock-mode",
  "x-amz-object-lock-retain-until-date",
  "x-amz-server-side-encryption",
  "x-amz-server-side-encryption-aws-kms-key-id",
  "x-amz-server-side-encryption-bucket-key-enabled",
  "x-amz-storage-class",
  "x-amz-tagging",
];
const read = ["range", "if-match", "if-none-match", "x-amz-checksum-mode", ...customerKey];
const bypass = "x-amz-bypass-governance-retention";

export const operations = {
  ListBuckets: { method: "GET", on: "service" },

  CreateBucket: { method: "PUT", on: "bucket", headers: [...body, "x-amz-bucket-object-lock-enabled"] },
  HeadBucket: { method: "HEAD", on: "bucket" },
  DeleteBucket: { method: "DELETE", on: "bucket" },
  GetBucketLocation: { method: "GET", on: "bucket", selectors: ["location"] },
  GetBucketVersioning: { method: "GET", on: "bucket", selectors: ["versioning"] },
  PutBucketVersioning: { method: "PUT", on: "bucket", selectors: ["versioning"], headers: body },
  GetBucketEncryption: { method: "GET", on: "bucket", selectors: ["encryption"] },
  GetObjectLockConfiguration: { method: "GET", on: "bucket", selectors: ["object-lock"] },
  PutObjectLockConfiguration: { method: "PUT", on: "bucket", selectors: ["object-lock"], headers: body },
  ListObjectsV2: {
    method: "GET",
    on: "bucket",
    selectors: ["list-type"],
    query: ["continuation-token", "delimiter", "encoding-type", "fetch-owner", "max-keys", "prefix", "start-after"],
  },
  ListObjectVersions: {
    method: "GET",
    on: "bucket",
    selectors: ["versions"],
    query: ["delimiter", "encoding-type", "key-marker", "max-keys", "prefix", "version-id-marker"],
  },
  ListMultipartUploads: {
    method: "GET",
    on: "bucket",
    selectors: ["uploads"],
    query: ["encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"],
  },
  DeleteObjects: { method: "POST", on: "bucket", selectors: ["delete"], headers: [...body, bypass] },

  PutObject: { method: "PUT", on: "object", headers: [...body, ...attributes, "if-match", "if-none-match"] },
  CopyObject: {
    method: "PUT",
    on: "object",
    headers: [
      ...attributes,
      "if-none-match",
      "x-amz-checksum-algorithm",
      "x-amz-copy-source",
      "x-amz-metadata-directive",
      "x-amz-tagging-directive",
    ],
  },
  GetObject: { method: "GET", on: "object", query: ["versionId"], headers: read },
  HeadObject: { method: "HEAD", on: "object", query: ["versionId"], headers: read },
  DeleteObject: { method: "DELETE", on: "object", query: ["versionId"], headers: [bypass] },

  CreateMultipartUpload: {
    method: "POST",
    on: "object",
    selectors: ["uploads"],
    headers: [...attributes, "x-amz-checksum-algorithm", "x-amz-checksum-type"],
  },
  UploadPart: {
    method: "PUT",
    on: "object",
    selectors: ["uploadId", "partNumber"],
    headers: [...body, ...customerKey],
  },
  CompleteMultipartUpload: {
    method: "POST",
    on: "object",
    selectors: ["uploadId"],
    headers: [...body, ...customerKey, "if-match", "if-none-match", "x-amz-checksum-type", "x-amz-mp-object-size"],
  },
  AbortMultipartUpload: { method: "DELETE", on: "object", selectors: ["uploadId"] },
  ListParts: {
    method: "GET",
    on: "object",
    selectors: ["uploadId"],
    query: ["max-parts", "part-number-marker"],
    headers: customerKey,
  },

  GetObjectTagging: { method: "GET", on: "object", selectors: ["tagging"], query: ["versionId"] },
  PutObjectTagging: { method: "PUT", on: "object", selectors: ["tagging"], query: ["versionId"], headers: body },
  DeleteObjectTagging: { method: "DELETE", on: "object", selectors: ["tagging"], query: ["versionId"] },
  GetObjectRetention: { method: "GET", on: "object", selectors: ["retention"], query: ["versionId"] },
  PutObjectRetention: {
    method: "PUT",
    on: "object",
    selectors: ["retention"],
    query: ["versionId"],
    headers: [...body, bypass],
  },
  GetObjectLegalHold: { method: "GET", on: "object", selectors: ["legal-hold"], query: ["versionId"] },
  PutObjectLegalHold: { method: "PUT", on: "object", selectors: ["legal-hold"], query: ["versionId"], headers: body },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;

/** Headers that are no `x-amz-` ones and still change what a call does. */
const telling = /^(x-amz-|if-|range$)/;

/**
 * Which operation a request is.
 *
 * @throws S3Error `NotImplemented`, with the name, for an operation, a query parameter or a header that this server does
 *   not know: nothing is ever ignored.
 */
export function recognise(request: {
  readonly method: string;
  readonly on: Operation["on"];
  readonly query: ReadonlyMap<string, string>;
  readonly headers: Readonly<Record<string, string>>;
}): OperationName {
  const { method, on, query, headers } = request;
  const copies = headers["x-amz-copy-source"] !== undefined;
  const [found] = (Object.entries(operations) as [OperationName, Operation][])
    .filter(([name, operation]) => operation.method === method && operation.on === on && copies === /Copy/.test(name))
    .filter(([, { selectors = [] }]) => selectors.every((each) => query.has(each)))
    .sort(([, a], [, b]) => (b.selectors?.length ?? 0) - (a.selectors?.length ?? 0));
  if (found === undefined) {
    const names = [...query.keys(), ...(copies ? ["x-amz-copy-source"] : [])];
    throw notImplemented([`${method} on ${on === "object" ? "an" : "a"} ${on}`, ...names].join(" with "));
  }
  const [name, operation] = found;
  const parameters = ["x-id", ...(operation.selectors ?? []), ...(operation.query ?? [])];
  const unknownQuery = [...query.keys()].find((each) => !parameters.includes(each));
  if (unknownQuery !== undefined) throw notImplemented(`the query parameter "${unknownQuery}" of ${name}`);
  const known = [...everyCall, ...(operation.headers ?? [])];
  const unknownHeader = Object.keys(headers).find(
    (header) =>
      telling.test(header) &&
      !known.some((each) => (each.endsWith("*") ? header.startsWith(each.slice(0, -1)) : each === header)),
  );
  if (unknownHeader !== undefined) throw notImplemented(`the header ${unknownHeader} of ${name}`);
  return name;
}
