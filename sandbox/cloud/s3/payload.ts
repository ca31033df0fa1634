import { createHash } from "node:crypto";
import {
  asChecksumAlgorithm,
  type ChecksumAlgorithm,
  checksumAlgorithms,
  checksumHeader,
  digestBytes,
  measure,
} from "./checksums.ts";
import { chunkedBody } from "./chunked-body.ts";
import { notImplemented, S3Error } from "./errors.ts";
import { chunkSignatures, type Signing } from "./signature.ts";

/** The body of a request, without its transfer's wrapping. */
export interface Payload {
  /** Throws an S3Error, at its end at the latest, when the bytes are not those that the request speaks of. */
  readonly bytes: AsyncIterable<Buffer>;
  /** Algorithm of the checksum that the sender gives, before or after the bytes. */
  readonly declared: ChecksumAlgorithm | undefined;
  /** The sender gives an MD5. */
  readonly hasMd5: boolean;
  /** What was measured; to be asked once the bytes have ended. */
  measured(): Measured;
}

export interface Measured {
  readonly bytes: number;
  /** Only where it was asked for, or sent. */
  readonly md5: Buffer | undefined;
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: Buffer };
}

/** A single PUT: 5 GiB. */
const largest = 5 * 1024 ** 3;

/**
 * Reads a body and compares it with everything that the request says of it: length, payload hash, chunk signatures,
 * `Content-MD5`, checksum in a header or in the trailer. Measures only what is needed.
 */
export function payloadOf(
  headers: Readonly<Record<string, string>>,
  source: AsyncIterable<Buffer>,
  signing: Signing,
  wanted: {
    /** The checksum that is measured where the sender gives none. */
    readonly algorithm: ChecksumAlgorithm;
    readonly md5: boolean;
    /** False: what the sender says of checksums is as if it was not there. */
    readonly verify: boolean;
  },
): Payload {
  const hash = headers["x-amz-content-sha256"]!;
  const streaming = /^STREAMING-/.test(hash);
  const declaration = wanted.verify ? declaredChecksum(headers) : undefined;
  const announced = headers["x-amz-trailer"] !== undefined;
  const expectedBytes = lengthOf(headers, streaming);
  const md5 = wanted.verify ? contentMd5(headers) : undefined;
  if (!streaming && /\baws-chunked\b/.test(headers["content-encoding"] ?? "")) {
    throw notImplemented(`aws-chunked with x-amz-content-sha256 "${hash}"`);
  }
  if (announced !== (streaming && hash.endsWith("-TRAILER")))
    throw invalid("x-amz-trailer and x-amz-content-sha256 differ");

  const chunked = streaming
    ? chunkedBody(source, {
        decodedBytes: expectedBytes,
        trailer: announced,
        signatures: signaturesOf(hash, signing),
      })
    : undefined;
  if (chunked === undefined && hash !== "UNSIGNED-PAYLOAD" && !/^[0-9a-f]{64}$/.test(hash)) {
    throw new S3Error(
      "InvalidArgument",
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD or a valid sha256 value.",
    );
  }
  let measured: Measured | undefined;
  return {
    bytes: verified(),
    declared: declaration?.algorithm,
    hasMd5: md5 !== undefined,
    measured() {
      if (measured === undefined) throw new Error("the body has not been read to its end");
      return measured;
    },
  };

  async function* verified(): AsyncGenerator<Buffer> {
    const algorithm = declaration?.algorithm ?? wanted.algorithm;
    const measures = {
      checksum: measure(algorithm),
      sha256: chunked === undefined && hash !== "UNSIGNED-PAYLOAD" ? createHash("sha256") : undefined,
      md5: md5 !== undefined || wanted.md5 ? createHash("md5") : undefined,
    };
    let bytes = 0;
    for await (const piece of chunked?.bytes ?? source) {
      bytes += piece.length;
      for (const each of Object.values(measures)) each?.update(piece);
      yield piece;
    }
    if (bytes !== expectedBytes) {
      throw new S3Error(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
      );
    }
    if (measures.sha256 !== undefined && measures.sha256.digest("hex") !== hash) {
      throw new S3Error(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
      );
    }
    measured = { bytes, md5: measures.md5?.digest(), checksum: { algorithm, value: measures.checksum.digest() } };
    compare(measured);
  }

  function compare({ md5: actualMd5, checksum }: Measured): void {
    if (md5 !== undefined && !md5.equals(actualMd5!)) {
      throw new S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.");
    }
    if (declaration === undefined) return;
    const given = declaration.value ?? trailing(declaration.algorithm);
    if (!given.equals(checksum.value)) {
      throw new S3Error(
        "BadDigest",
        `The ${declaration.algorithm} you specified did not match the calculated checksum.`,
      );
    }
  }

  function trailing(algorithm: ChecksumAlgorithm): Buffer {
    const [name, ...more] = [...(chunked?.trailer.keys() ?? [])];
    if (name !== checksumHeader(algorithm) || more.length > 0) {
      throw new S3Error("MalformedTrailerError", "The trailer is not the one that x-amz-trailer speaks of");
    }
    return checksumValue(algorithm, chunked!.trailer.get(name)!);
  }
}

function signaturesOf(hash: string, signing: Signing) {
  switch (hash) {
    case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
      return undefined;
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
    case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
      return chunkSignatures(signing);
    default:
      throw notImplemented(`x-amz-content-sha256 "${hash}"`);
  }
}

function lengthOf(headers: Readonly<Record<string, string>>, streaming: boolean): number {
  const name = streaming ? "x-amz-decoded-content-length" : "content-length";
  const text = headers[name];
  if (text === undefined) throw new S3Error("MissingContentLength", `You must provide the ${name} HTTP header.`);
  if (!/^\d{1,15}$/.test(text)) throw new S3Error("InvalidArgument", `${name} is not a number of bytes`);
  if (Number(text) > largest) {
    throw new S3Error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
  }
  return Number(text);
}

/** The checksum that a request speaks of; without a value, it comes in the trailer. */
function declaredChecksum(
  headers: Readonly<Record<string, string>>,
): { readonly algorithm: ChecksumAlgorithm; readonly value: Buffer | undefined } | undefined {
  const inHeaders = checksumAlgorithms.filter((algorithm) => headers[checksumHeader(algorithm)] !== undefined);
  const names = [...inHeaders.map(checksumHeader), ...(headers["x-amz-trailer"]?.toLowerCase().split(/\s*,\s*/) ?? [])];
  const [name, ...more] = names;
  if (more.length > 0) {
    throw invalid("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
  }
  const named = headers["x-amz-sdk-checksum-algorithm"];
  if (name === undefined) {
    if (named === undefined) return undefined;
    throw invalid(
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    );
  }
  const algorithm = asChecksumAlgorithm(/^x-amz-checksum-(.*)$/.exec(name)?.[1] ?? "");
  if (algorithm === undefined) throw notImplemented(`the trailer ${name}`);
  if (named !== undefined && asChecksumAlgorithm(named) !== algorithm) {
    throw invalid("Value for x-amz-sdk-checksum-algorithm header is invalid.");
  }
  const value = headers[name];
  return { algorithm, value: value === undefined ? undefined : checksumValue(algorithm, value) };
}

/** @throws S3Error when it is not base64 of as many bytes as the algorithm has. */
export function checksumValue(algorithm: ChecksumAlgorithm, text: string): Buffer {
  const value = Buffer.from(text, "base64");
  if (value.length !== digestBytes(algorithm) || value.toString("base64") !== text) {
    throw invalid(`Value for ${checksumHeader(algorithm)} header is invalid.`);
  }
  return value;
}

function contentMd5(headers: Readonly<Record<string, string>>): Buffer | undefined {
  const text = headers["content-md5"];
  if (text === undefined) return undefined;
  const value = Buffer.from(text, "base64");
  if (value.length !== 16) throw new S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.");
  return value;
}

function invalid(message: string): S3Error {
  return new S3Error("InvalidRequest", message);
}
