import { randomBytes } from "node:crypto";
import { type Attributes, attributesOf, encryptionHeaders, etagIsMd5 } from "./attributes.ts";
import type { Bucket, Version } from "./bucket.ts";
import { checksumHeaders } from "./checksums.ts";
import type { Content } from "./content.ts";
import { S3Error } from "./errors.ts";
import type { Exchange, Reply } from "./exchange.ts";
import { versionHeaders } from "./get-object.ts";
import { isLocked, lockOfNew } from "./object-lock.ts";
import type { Payload } from "./payload.ts";
import { type Precondition, preconditionOf } from "./precondition.ts";
import { StoredBody, writePiece } from "./stored-body.ts";
import { tagsOfHeader } from "./tags.ts";

export async function putObject(exchange: Exchange): Promise<Reply> {
  const { call, bucket, world } = exchange;
  const condition = preconditionOf(exchange);
  const made = newContent(call.headers, bucket, world.clock.now());
  const payload = exchange.payload({ algorithm: "CRC64NVME", md5: etagIsMd5(made.attributes) });
  if (isLocked(made.lock) && world.rules.checksums) requireDigest(payload);
  const body = new StoredBody([await writePiece(world.directory, payload.bytes)]);
  const { md5, checksum } = payload.measured();
  const content: Content = {
    ...made,
    body,
    etag: etagOf(made.attributes, md5),
    checksum: { ...checksum, type: "FULL_OBJECT" },
  };
  const version = await commit(exchange, content, condition);
  return { status: 200, headers: writtenHeaders(exchange, version, content) };
}

/** What the headers of PutObject, CopyObject and CreateMultipartUpload make of an object before it has bytes. */
export function newContent(
  headers: Readonly<Record<string, string>>,
  bucket: Bucket,
  now: number,
): Pick<Content, "attributes" | "tags" | "lock"> {
  return {
    attributes: attributesOf(headers, bucket),
    tags: tagsOfHeader(headers["x-amz-tagging"]),
    lock: lockOfNew(headers, bucket.lock, now),
  };
}

/** Whoever writes something that can not be replaced must say what it should be. */
export function requireDigest({ declared, hasMd5 }: Payload): void {
  if (declared !== undefined || hasMd5) return;
  throw new S3Error(
    "InvalidRequest",
    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
  );
}

export function etagOf(attributes: Attributes, md5: Buffer | undefined): string {
  return (etagIsMd5(attributes) && md5 !== undefined ? md5 : randomBytes(16)).toString("hex");
}

/** Makes content the newest version of the call's key, in one step, and tells of it; or removes its bytes and throws. */
export async function commit(
  { call, bucket, world, requestId }: Exchange,
  content: Content,
  condition: Precondition,
): Promise<Version> {
  try {
    condition.stillHolds();
  } catch (error) {
    await content.body.remove();
    throw error;
  }
  const keeping = bucket.versioning === "Enabled" && world.rules.versions;
  const { version, replaced } = bucket.add(call.key, content, world.clock.now(), keeping);
  world.created({
    ...{ operation: call.operation, bucket: bucket.name, key: call.key, requestId },
    ...{ bytes: content.body.bytes, etag: content.etag },
    versionId: bucket.versioning === undefined ? undefined : version.versionId,
    sequencer: bucket.revision(call.key).toString(16).padStart(16, "0").toUpperCase(),
  });
  for (const each of replaced) await each.content?.body.remove();
  return version;
}

/** What a caller is told of an object that it has just made. */
export function writtenHeaders(
  { bucket, world }: Exchange,
  version: Version,
  content: Content,
): Record<string, string> {
  return {
    etag: `"${content.etag}"`,
    ...versionHeaders(bucket, version),
    ...encryptionHeaders(content.attributes),
    ...(world.rules.checksums && checksumHeaders(content.checksum)),
  };
}
