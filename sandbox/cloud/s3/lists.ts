import { type Bucket, byteOrder, type Version } from "./bucket.ts";
import { notImplemented, S3Error } from "./errors.ts";
import { type Exchange, type Reply, xmlReply } from "./exchange.ts";
import { behindKey, behindRow, page } from "./listing.ts";
import { uploadOf } from "./multipart.ts";
import { element, type Xml, xmlDocument } from "./xml.ts";

const longestPage = 1000;

export function listObjects({ call, bucket }: Exchange): Reply {
  const { query } = call;
  if (query.get("list-type") !== "2") throw notImplemented(`list-type ${query.get("list-type")}`);
  const asked = askedFor(query);
  const token = query.get("continuation-token");
  const start = query.get("start-after");
  const from =
    token !== undefined
      ? behindRow(nameOf(token), asked)
      : start === undefined
        ? { text: "", after: false }
        : behindKey(start);
  const rowsOf = (key: string) => {
    const version = bucket.newest(key);
    return version?.content === undefined ? [] : [{ key, version }];
  };
  const { rows, more } = page(bucket, { ...asked, from, rowsOf });
  const last = rows.at(-1);
  const text = encoder(query);
  return xmlReply(
    xmlDocument("ListBucketResult", [
      element("Name", bucket.name),
      element("Prefix", text(asked.prefix)),
      element("Delimiter", query.get("delimiter") && text(asked.delimiter)),
      element("StartAfter", start === undefined ? undefined : text(start)),
      element("ContinuationToken", token),
      element("NextContinuationToken", more && last !== undefined ? tokenOf(nameOfRow(last)) : undefined),
      element("EncodingType", query.get("encoding-type")),
      element("MaxKeys", asked.most),
      element("KeyCount", rows.length),
      element("IsTruncated", more),
      ...rows.map((row) =>
        "prefix" in row
          ? element("CommonPrefixes", [element("Prefix", text(row.prefix))])
          : element("Contents", [element("Key", text(row.key)), ...contentRow(row.version), owner(query)]),
      ),
    ]),
  );
}

export function listObjectVersions({ call, bucket }: Exchange): Reply {
  const { query } = call;
  const asked = askedFor(query);
  const [keyMarker, versionMarker] = [
    query.get("key-marker") || undefined,
    query.get("version-id-marker") || undefined,
  ];
  if (versionMarker !== undefined && keyMarker === undefined) {
    throw new S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.");
  }
  const from =
    keyMarker === undefined
      ? { text: "", after: false }
      : versionMarker === undefined
        ? behindRow(keyMarker, asked)
        : { text: byteOrder(keyMarker), after: false };
  const rowsOf = (key: string) => {
    const versions = bucket.versions(key);
    if (key !== keyMarker || versionMarker === undefined) return versions;
    return versions.slice(versions.findIndex(({ versionId }) => versionId === versionMarker) + 1);
  };
  const { rows, more } = page(bucket, { ...asked, from, rowsOf });
  const last = more ? rows.at(-1) : undefined;
  const text = encoder(query);
  return xmlReply(
    xmlDocument("ListVersionsResult", [
      element("Name", bucket.name),
      element("Prefix", text(asked.prefix)),
      element("Delimiter", query.get("delimiter") && text(asked.delimiter)),
      element("KeyMarker", text(keyMarker ?? "")),
      element("VersionIdMarker", versionMarker ?? ""),
      element("NextKeyMarker", last && text(nameOfRow(last))),
      element("NextVersionIdMarker", last && !("prefix" in last) ? last.versionId : undefined),
      element("EncodingType", query.get("encoding-type")),
      element("MaxKeys", asked.most),
      element("IsTruncated", more),
      ...rows.map((row) =>
        "prefix" in row
          ? element("CommonPrefixes", [element("Prefix", text(row.prefix))])
          : element(row.content === undefined ? "DeleteMarker" : "Version", [
              element("Key", text(row.key)),
              element("VersionId", row.versionId),
              element("IsLatest", bucket.newest(row.key) === row),
              ...contentRow(row),
            ]),
      ),
    ]),
  );
}

export function listMultipartUploads({ call, bucket }: Exchange): Reply {
  const { query } = call;
  const prefix = query.get("prefix") ?? "";
  const [keyMarker, idMarker] = [query.get("key-marker"), query.get("upload-id-marker")];
  const text = encoder(query);
  const order = (key: string, id: string) => `${byteOrder(key)}\0${id}`;
  const most = count(query, "max-uploads");
  const after =
    keyMarker === undefined ? "" : idMarker === undefined ? `${byteOrder(keyMarker)}\x01` : order(keyMarker, idMarker);
  const rest = [...bucket.uploads.values()]
    .filter(({ key, id }) => key.startsWith(prefix) && order(key, id) > after)
    .sort((a, b) => (order(a.key, a.id) < order(b.key, b.id) ? -1 : 1));
  const rows = rest.slice(0, most);
  const last = rest.length > rows.length ? rows.at(-1) : undefined;
  return xmlReply(
    xmlDocument("ListMultipartUploadsResult", [
      element("Bucket", bucket.name),
      element("Prefix", text(prefix)),
      element("KeyMarker", text(keyMarker ?? "")),
      element("UploadIdMarker", idMarker ?? ""),
      element("NextKeyMarker", last && text(last.key)),
      element("NextUploadIdMarker", last?.id),
      element("EncodingType", query.get("encoding-type")),
      element("MaxUploads", most),
      element("IsTruncated", last !== undefined),
      ...rows.map(({ id, key, startedAt, made, checksum }) =>
        element("Upload", [
          element("Key", text(key)),
          element("UploadId", id),
          element("StorageClass", made.attributes.storageClass),
          element("Initiated", new Date(startedAt).toISOString()),
          element("ChecksumAlgorithm", checksum.asked ? checksum.algorithm : undefined),
          element("ChecksumType", checksum.asked ? checksum.type : undefined),
        ]),
      ),
    ]),
  );
}

export function listParts(exchange: Exchange): Reply {
  const { call, bucket } = exchange;
  const upload = uploadOf(exchange);
  const most = count(call.query, "max-parts");
  const marker = Number(call.query.get("part-number-marker") ?? 0);
  const rest = [...upload.parts.values()].filter(({ number }) => number > marker).sort((a, b) => a.number - b.number);
  const rows = rest.slice(0, most);
  const { algorithm, asked, type } = upload.checksum;
  return xmlReply(
    xmlDocument("ListPartsResult", [
      element("Bucket", bucket.name),
      element("Key", upload.key),
      element("UploadId", upload.id),
      element("StorageClass", upload.made.attributes.storageClass),
      element("ChecksumAlgorithm", asked ? algorithm : undefined),
      element("ChecksumType", asked ? type : undefined),
      element("PartNumberMarker", marker),
      element("NextPartNumberMarker", rows.at(-1)?.number),
      element("MaxParts", most),
      element("IsTruncated", rest.length > rows.length),
      ...rows.map(({ number, piece, etag, checksum, receivedAt }) =>
        element("Part", [
          element("PartNumber", number),
          element("ETag", `"${etag}"`),
          element("Size", piece.bytes),
          element("LastModified", new Date(receivedAt).toISOString()),
          element(`Checksum${algorithm}`, asked ? checksum.toString("base64") : undefined),
        ]),
      ),
    ]),
  );
}

export function listBuckets({ world }: Exchange): Reply {
  const row = ({ name, createdAt }: Bucket) =>
    element("Bucket", [
      element("Name", name),
      element("CreationDate", new Date(createdAt).toISOString()),
      element("BucketRegion", world.region),
    ]);
  return xmlReply(xmlDocument("ListAllMyBucketsResult", [element("Buckets", [...world.buckets.values()].map(row))]));
}

function askedFor(query: ReadonlyMap<string, string>) {
  return { prefix: query.get("prefix") ?? "", delimiter: query.get("delimiter") ?? "", most: count(query, "max-keys") };
}

function count(query: ReadonlyMap<string, string>, name: string): number {
  const text = query.get(name) ?? String(longestPage);
  if (!/^\d{1,9}$/.test(text)) throw new S3Error("InvalidArgument", `Provided ${name} not an integer or within range`);
  return Math.min(Number(text), longestPage);
}

function contentRow({ receivedAt, content }: Version): (Xml | undefined)[] {
  const modified = element("LastModified", new Date(receivedAt).toISOString());
  if (content === undefined) return [modified];
  return [
    modified,
    element("ETag", `"${content.etag}"`),
    element("ChecksumAlgorithm", content.checksum.algorithm),
    element("ChecksumType", content.checksum.type),
    element("Size", content.body.bytes),
    element("StorageClass", content.attributes.storageClass),
  ];
}

function owner(query: ReadonlyMap<string, string>): Xml | undefined {
  return query.get("fetch-owner") === "true" ? element("Owner", [element("ID", "sandbox")]) : undefined;
}

function nameOfRow(row: { readonly prefix: string } | { readonly key: string }): string {
  return "prefix" in row ? row.prefix : row.key;
}

function tokenOf(name: string): string {
  return Buffer.from(`from ${name}`).toString("base64url");
}

function nameOf(token: string): string {
  const text = Buffer.from(token, "base64url").toString();
  if (text.startsWith("from ")) return text.slice("from ".length);
  throw new S3Error("InvalidArgument", "The continuation token provided is incorrect");
}

/** With `encoding-type=url`, names are percent-encoded but for their slashes. */
function encoder(query: ReadonlyMap<string, string>): (text: string) => string {
  const type = query.get("encoding-type");
  if (type === undefined) return (text) => text;
  if (type !== "url") throw new S3Error("InvalidArgument", "Invalid Encoding Method specified in Request");
  return (text) => encodeURIComponent(text).replaceAll("%2F", "/");
}
