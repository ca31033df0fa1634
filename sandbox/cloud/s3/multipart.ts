import { createHash, randomBytes } from "node:crypto";
import { customerKeyOf, encryptionHeaders, etagIsMd5 } from "./attributes.ts";
import { asChecksumAlgorithm, checksumAlgorithms, checksumHeader, checksumHeaders } from "./checksums.ts";
import type { Content } from "./content.ts";
import { malformedXml, notImplemented, S3Error } from "./errors.ts";
import { type Exchange, type Reply, xmlReply } from "./exchange.ts";
import { isLocked } from "./object-lock.ts";
import { preconditionOf } from "./precondition.ts";
import { commit, etagOf, newContent, requireDigest, writtenHeaders } from "./put-object.ts";
import { StoredBody, writePiece } from "./stored-body.ts";
import { checksumOfParts, checksumType, type Part, type Upload } from "./upload.ts";
import { childrenOf, element, textOf, type XmlElement, xmlDocument } from "./xml.ts";

const smallestPart = 5 * 1024 * 1024;
const mostParts = 10_000;

export function createMultipartUpload({ call, bucket, world }: Exchange): Reply {
  const { headers, key } = call;
  const named = headers["x-amz-checksum-algorithm"];
  const algorithm = asChecksumAlgorithm(named ?? "CRC64NVME");
  if (algorithm === undefined) throw notImplemented(`the checksum algorithm ${named}`);
  const upload: Upload = {
    id: randomBytes(48).toString("base64url"),
    key,
    startedAt: world.clock.now(),
    made: newContent(headers, bucket, world.clock.now()),
    checksum: { algorithm, type: checksumType(algorithm, headers["x-amz-checksum-type"]), asked: named !== undefined },
    parts: new Map(),
  };
  bucket.uploads.set(upload.id, upload);
  const document = xmlDocument("InitiateMultipartUploadResult", [
    element("Bucket", bucket.name),
    element("Key", key),
    element("UploadId", upload.id),
  ]);
  return xmlReply(document, {
    ...encryptionHeaders(upload.made.attributes),
    ...(named !== undefined && {
      "x-amz-checksum-algorithm": algorithm,
      "x-amz-checksum-type": upload.checksum.type,
    }),
  });
}

export async function uploadPart(exchange: Exchange): Promise<Reply> {
  const { call, bucket, world } = exchange;
  const upload = uploadOf(exchange);
  const { attributes, lock } = upload.made;
  const number = Number(call.query.get("partNumber"));
  if (!Number.isInteger(number) || number < 1 || number > mostParts) {
    throw new S3Error("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
  }
  if (attributes.encryption.customerKeyMd5 !== customerKeyOf(call.headers)) {
    throw new S3Error("InvalidRequest", "The multipart upload was started with another customer key.");
  }
  const { algorithm, asked } = upload.checksum;
  const payload = exchange.payload({ algorithm, md5: etagIsMd5(attributes) });
  if (world.rules.checksums) checkDeclared(upload, payload.declared);
  if (isLocked(lock) && world.rules.checksums) requireDigest(payload);
  const piece = await writePiece(world.directory, payload.bytes);
  const { checksum, md5 } = payload.measured();
  const etag = etagOf(attributes, md5);
  if (bucket.uploads.get(upload.id) !== upload) {
    await new StoredBody([piece]).remove();
    throw noSuchUpload(upload.id);
  }
  const before = upload.parts.get(number);
  upload.parts.set(number, { number, piece, etag, checksum: checksum.value, receivedAt: world.clock.now() });
  if (before !== undefined) await new StoredBody([before.piece]).remove();
  return {
    status: 200,
    headers: {
      etag: `"${etag}"`,
      ...encryptionHeaders(attributes),
      ...(world.rules.checksums && asked && { [checksumHeader(algorithm)]: checksum.value.toString("base64") }),
    },
  };
}

/** Parts come with the checksum that the upload was created for; only one of the whole object can do without. */
function checkDeclared({ checksum: { algorithm, asked, type } }: Upload, declared: string | undefined): void {
  const expected = asked ? algorithm : undefined;
  if (declared === expected || (declared === undefined && type === "FULL_OBJECT")) return;
  const [wanted, given] = [expected, declared].map((each) => each?.toLowerCase() ?? "null");
  throw new S3Error(
    "InvalidRequest",
    `Checksum Type mismatch occurred, expected checksum Type: ${wanted}, actual checksum Type: ${given}`,
  );
}

export async function completeMultipartUpload(exchange: Exchange): Promise<Reply> {
  const { call, bucket, world } = exchange;
  const upload = uploadOf(exchange);
  const condition = preconditionOf(exchange);
  const document = await exchange.document("CompleteMultipartUpload");
  const parts = chosenParts(upload, childrenOf(document, ["Part"]));
  const body = new StoredBody(parts.map(({ piece }) => piece));
  const checksum = checksumOfParts(upload.checksum, parts);
  if (world.rules.checksums) compareWhole(call.headers, checksum, body.bytes);

  condition.stillHolds();
  if (!bucket.uploads.delete(upload.id)) throw noSuchUpload(upload.id);
  const md5 = createHash("md5").update(Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, "hex"))));
  const content: Content = {
    ...upload.made,
    body,
    etag: `${etagOf(upload.made.attributes, md5.digest())}-${parts.length}`,
    checksum,
  };
  const version = await commit(exchange, content, condition);
  const unused = [...upload.parts.values()].filter((part) => !parts.includes(part));
  await new StoredBody(unused.map(({ piece }) => piece)).remove();

  const { etag, ...headers } = writtenHeaders(exchange, version, content);
  const [name, type] = ["x-amz-checksum-", "x-amz-checksum-type"];
  const told = Object.entries(headers).filter(([header]) => header.startsWith(name));
  const result = xmlDocument("CompleteMultipartUploadResult", [
    element("Location", `http://s3.${world.region}.amazonaws.com/${bucket.name}/${call.key}`),
    element("Bucket", bucket.name),
    element("Key", call.key),
    element("ETag", etag),
    ...told.map(([header, value]) =>
      element(header === type ? "ChecksumType" : `Checksum${header.slice(name.length).toUpperCase()}`, value),
    ),
  ]);
  return xmlReply(result, Object.fromEntries(Object.entries(headers).filter(([header]) => !header.startsWith(name))));
}

export async function abortMultipartUpload(exchange: Exchange): Promise<Reply> {
  const upload = uploadOf(exchange);
  exchange.bucket.uploads.delete(upload.id);
  await new StoredBody([...upload.parts.values()].map(({ piece }) => piece)).remove();
  return { status: 204 };
}

/** The upload that a call is about. @throws S3Error when it is not there (any more). */
export function uploadOf({ call, bucket }: Exchange): Upload {
  const id = call.query.get("uploadId") ?? "";
  const upload = bucket.uploads.get(id);
  if (upload === undefined || upload.key !== call.key) throw noSuchUpload(id);
  return upload;
}

/** The parts that the caller lists, each compared with what came. */
function chosenParts(upload: Upload, rows: readonly XmlElement[]): readonly Part[] {
  const { algorithm, asked, type } = upload.checksum;
  if (rows.length === 0 || rows.length > mostParts) throw malformedXml();
  let previous = 0;
  const parts = rows.map((row) => {
    childrenOf(row, ["PartNumber", "ETag", ...checksumAlgorithms.map((each) => `Checksum${each}`)]);
    const number = Number(textOf(row, "PartNumber"));
    if (!Number.isInteger(number)) throw malformedXml();
    if (number <= previous) throw new S3Error("InvalidPartOrder", "The list of parts was not in ascending order.");
    previous = number;
    const part = upload.parts.get(number);
    const checksum = textOf(row, `Checksum${algorithm}`);
    if (checksum === undefined && asked && type === "COMPOSITE") {
      throw new S3Error(
        "InvalidRequest",
        `The upload was created using a ${algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`,
      );
    }
    const etag = textOf(row, "ETag")?.replace(/^"(.*)"$/, "$1");
    const differs = checksum !== undefined && checksum !== part?.checksum.toString("base64");
    if (part === undefined || part.etag !== etag || differs) {
      throw new S3Error(
        "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
        { elements: { UploadId: upload.id, PartNumber: String(number), ETag: etag ?? "" } },
      );
    }
    return part;
  });
  const small = parts.slice(0, -1).find(({ piece }) => piece.bytes < smallestPart);
  if (small !== undefined) {
    throw new S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", {
      elements: {
        ProposedSize: String(small.piece.bytes),
        MinSizeAllowed: String(smallestPart),
        PartNumber: String(small.number),
        ETag: small.etag,
      },
    });
  }
  return parts;
}

/** What a completion says of the whole object. */
function compareWhole(headers: Readonly<Record<string, string>>, checksum: Content["checksum"], bytes: number): void {
  const size = headers["x-amz-mp-object-size"];
  if (size !== undefined && Number(size) !== bytes) {
    throw new S3Error("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed.");
  }
  const type = headers["x-amz-checksum-type"];
  if (type !== undefined && type !== checksum.type) {
    throw new S3Error("InvalidRequest", `The upload was created with the checksum type ${checksum.type}, not ${type}.`);
  }
  const expected = checksumHeaders(checksum)[checksumHeader(checksum.algorithm)];
  for (const algorithm of checksumAlgorithms) {
    const given = headers[checksumHeader(algorithm)];
    if (given === undefined || (algorithm === checksum.algorithm && given === expected)) continue;
    throw new S3Error("BadDigest", `The ${algorithm} you specified did not match the calculated checksum.`);
  }
}

function noSuchUpload(id: string): S3Error {
  return new S3Error(
    "NoSuchUpload",
    "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    { elements: { UploadId: id } },
  );
}
