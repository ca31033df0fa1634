import { listing } from "./access.ts";
import { customerKeyOf, encryptionHeaders } from "./attributes.ts";
import type { Bucket, Version } from "./bucket.ts";
import { checksumHeaders } from "./checksums.ts";
import type { Content } from "./content.ts";
import { S3Error } from "./errors.ts";
import type { Exchange, Reply } from "./exchange.ts";
import { lockHeaders } from "./object-lock.ts";
import { checkReadCondition } from "./precondition.ts";

/** GetObject; and HeadObject, whose reply's body is not sent. */
export function getObject(exchange: Exchange): Reply {
  const { call, bucket, world } = exchange;
  const { headers } = call;
  const { version, content } = chosenVersion(exchange, bucket, call.key, call.query.get("versionId"));
  const { attributes, body, checksum, etag, lock, tags } = content;
  if (attributes.encryption.customerKeyMd5 !== customerKeyOf(headers)) {
    throw new S3Error(
      "InvalidRequest",
      "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
    );
  }
  checkReadCondition(headers, etag);
  const range = rangeOf(headers.range, body.bytes);
  const { start, end } = range ?? { start: 0, end: body.bytes };
  const tellsChecksum = headers["x-amz-checksum-mode"] === "ENABLED" && range === undefined && world.rules.checksums;
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...attributes.headers,
      ...encryptionHeaders(attributes),
      ...lockHeaders(lock),
      ...versionHeaders(bucket, version),
      ...(tellsChecksum && checksumHeaders(checksum)),
      ...(attributes.storageClass !== "STANDARD" && { "x-amz-storage-class": attributes.storageClass }),
      ...(tags.size > 0 && { "x-amz-tagging-count": String(tags.size) }),
      ...(range !== undefined && { "content-range": `bytes ${start}-${end - 1}/${body.bytes}` }),
      "accept-ranges": "bytes",
      "last-modified": new Date(version.receivedAt).toUTCString(),
      etag: `"${etag}"`,
    },
    body: { bytes: end - start, read: () => body.read(start, end) },
  };
}

/**
 * The version that a call names, or the newest one.
 *
 * @throws S3Error when it is absent or a delete marker; to one who may not list, an absent key is `AccessDenied`.
 */
export function chosenVersion(
  exchange: Exchange,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
): { readonly version: Version; readonly content: Content } {
  const version = versionId === undefined ? bucket.newest(key) : bucket.version(key, versionId);
  if (version?.content !== undefined) return { version, content: version.content };
  const headers: Record<string, string> =
    version === undefined ? {} : { "x-amz-delete-marker": "true", "x-amz-version-id": version.versionId };
  if (versionId !== undefined && version !== undefined) {
    throw new S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.", {
      headers: { ...headers, allow: "DELETE", "last-modified": new Date(version.receivedAt).toUTCString() },
    });
  }
  if (!exchange.may(listing(bucket.name, key))) throw new S3Error("AccessDenied", "Access Denied");
  const elements = { Key: key };
  if (versionId !== undefined) {
    throw new S3Error("NoSuchVersion", "The specified version does not exist.", {
      elements: { ...elements, VersionId: versionId },
    });
  }
  throw new S3Error("NoSuchKey", "The specified key does not exist.", { elements, headers });
}

export function versionHeaders(bucket: Bucket, { versionId }: Version): Record<string, string> {
  return bucket.versioning === undefined ? {} : { "x-amz-version-id": versionId };
}

/** `bytes=a-b`, `bytes=a-` or `bytes=-n`; anything else means the whole, as RFC 9110 has it. */
function rangeOf(
  header: string | undefined,
  bytes: number,
): { readonly start: number; readonly end: number } | undefined {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
  const start = first === "" ? Math.max(bytes - Number(last), 0) : Number(first);
  const end = first === "" || last === "" ? bytes : Math.min(Number(last) + 1, bytes);
  if (start < end) return { start, end };
  throw new S3Error("InvalidRange", "The requested range is not satisfiable", {
    elements: { RangeRequested: header!, ActualObjectSize: String(bytes) },
    headers: { "content-range": `bytes */${bytes}` },
  });
}
