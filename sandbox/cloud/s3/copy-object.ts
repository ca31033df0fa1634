import { createHash } from "node:crypto";
import { copying } from "./access.ts";
import { asChecksumAlgorithm, measure } from "./checksums.ts";
import type { Content } from "./content.ts";
import { notImplemented, S3Error } from "./errors.ts";
import { type Exchange, type Reply, xmlReply } from "./exchange.ts";
import { chosenVersion } from "./get-object.ts";
import { preconditionOf } from "./precondition.ts";
import { commit, etagOf, newContent, writtenHeaders } from "./put-object.ts";
import { StoredBody, writePiece } from "./stored-body.ts";
import { element, xmlDocument } from "./xml.ts";

export async function copyObject(exchange: Exchange): Promise<Reply> {
  const { call, bucket, world } = exchange;
  const { headers } = call;
  const source = copySource(headers["x-amz-copy-source"]!);
  const from = world.buckets.get(source.bucket);
  if (from === undefined) throw new S3Error("NoSuchBucket", "The specified bucket does not exist");
  const existing = source.versionId ? from.version(source.key, source.versionId) : from.newest(source.key);
  exchange.demand(copying(call, source, existing));
  const { content: original } = chosenVersion(exchange, from, source.key, source.versionId);

  const condition = preconditionOf(exchange);
  const replaces = directive(headers, "x-amz-metadata-directive");
  if (!replaces && from === bucket && source.key === call.key && headers["x-amz-storage-class"] === undefined) {
    throw new S3Error(
      "InvalidRequest",
      "This copy request is illegal because it changes nothing of the object itself.",
    );
  }
  const made = newContent(headers, bucket, world.clock.now());
  const named = headers["x-amz-checksum-algorithm"];
  const algorithm = named === undefined ? original.checksum.algorithm : asChecksumAlgorithm(named);
  if (algorithm === undefined) throw notImplemented(`the checksum algorithm ${named}`);
  const [checksum, md5] = [measure(algorithm), createHash("md5")];
  const piece = await writePiece(
    world.directory,
    (async function* () {
      for await (const bytes of original.body.read()) {
        checksum.update(bytes);
        md5.update(bytes);
        yield bytes;
      }
    })(),
  );
  const content: Content = {
    attributes: replaces ? made.attributes : { ...made.attributes, headers: original.attributes.headers },
    tags: directive(headers, "x-amz-tagging-directive") ? made.tags : original.tags,
    lock: made.lock,
    body: new StoredBody([piece]),
    etag: etagOf(made.attributes, md5.digest()),
    checksum: { algorithm, type: "FULL_OBJECT", value: checksum.digest() },
  };
  const version = await commit(exchange, content, condition);
  const document = xmlDocument("CopyObjectResult", [
    element("LastModified", new Date(version.receivedAt).toISOString()),
    element("ETag", `"${content.etag}"`),
  ]);
  return xmlReply(document, writtenHeaders(exchange, version, content));
}

/** `/bucket/key?versionId=…`, encoded. */
function copySource(header: string): { bucket: string; key: string; versionId: string | undefined } {
  const [, bucket, key, versionId] = /^\/?([^/?]+)\/([^?]+)(?:\?versionId=([^&]+))?$/.exec(header) ?? [];
  if (bucket === undefined) throw new S3Error("InvalidArgument", "Copy Source must mention the source bucket and key");
  return { bucket, key: decodeURIComponent(key!), versionId };
}

function directive(headers: Readonly<Record<string, string>>, name: string): boolean {
  const value = headers[name] ?? "COPY";
  if (value !== "COPY" && value !== "REPLACE") throw new S3Error("InvalidArgument", `Unknown ${name}`);
  return value === "REPLACE";
}
