/**
 * A store in S3, or in what speaks its protocol. One request creates an object that fits a part; a larger one goes up in parts, several
 * at a time, while its body still grows. Each request declares the checksum of what it carries, so that what was damaged on its way is
 * refused, and the receipt is what the store measured. Nothing is sent twice here: that is for a decorator (retry.ts).
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import { asMailarkError, MailarkError, toldAs } from "../errors.ts";
import { checkedKey, checkedPrefix, isKey } from "../keys.ts";
import { isSilent, statusOf } from "./s3-error.ts";
import { S3Requests, type S3RequestsOptions } from "./s3-requests.ts";
import { upload } from "./s3-upload.ts";
import type { S3Place } from "./s3-url.ts";
import type { Listed, ObjectEraser, ObjectHead, ObjectReader, ObjectReplacer, ObjectWriter } from "./store.ts";

export interface S3Store extends ObjectWriter, ObjectReader, ObjectEraser, ObjectReplacer {}

/** An object is read in pieces of so many bytes, each as fast as it comes: a reader who takes his time loses no connection by it. */
const pieceBytes = 8 * 1024 * 1024;

/**
 * `erase` removes the current version. On a bucket with versions that is a delete marker: what it hides takes room until the bucket's
 * lifecycle ends it.
 */
export function s3Store(place: S3Place, options?: S3RequestsOptions): S3Store {
  const requests = new S3Requests(place, options);
  const at = (key: string) => ({ Bucket: place.bucket, Key: place.prefix + checkedKey(key) });

  return {
    async put(key, body, { signal } = {}) {
      const where = at(key);
      try {
        signal?.throwIfAborted();
        if (!place.conditional) await refuseIfThere(key, signal);
        return await upload({ requests, place, where }, body, signal);
      } catch (error) {
        throw statusOf(error) === 412 ? taken(key, error) : asMailarkError(error);
      }
    },

    async replace(key, body, { signal } = {}) {
      await upload({ requests, place: { ...place, conditional: false }, where: at(key) }, body, signal);
    },

    async *get(key, { range, signal } = {}) {
      at(key);
      let position = range?.start ?? 0;
      let end = range?.end ?? Number.POSITIVE_INFINITY;
      let etag: string | undefined;
      try {
        while (position < end) {
          const last = Math.min(position + pieceBytes, end) - 1;
          const piece = await readPiece(key, `bytes=${position}-${last}`, etag, signal);
          if (range !== undefined && piece.size < range.end) throw endsEarly(key, range.end);
          end = Math.min(end, piece.size);
          if (piece.length !== Math.min(last + 1, end) - position) throw endsEarly(key, end);
          position += piece.length;
          etag = piece.etag;
          for (const chunk of piece.chunks) {
            yield chunk;
            signal?.throwIfAborted();
          }
        }
      } catch (error) {
        throw asMailarkError(error);
      }
    },

    async head(key, { signal } = {}) {
      return headOf(key, signal);
    },

    async *list(prefix, { startAfter = "", delimiter, signal } = {}) {
      const asked = {
        Bucket: place.bucket,
        Prefix: place.prefix + checkedPrefix(prefix),
        ...(startAfter !== "" && { StartAfter: place.prefix + startAfter }),
        ...(delimiter !== undefined && { Delimiter: delimiter }),
      };
      let ContinuationToken: string | undefined;
      do {
        const page = await requests.send("s3:ListBucket", signal, (client, listing) =>
          client.send(new ListObjectsV2Command({ ...asked, ...(ContinuationToken && { ContinuationToken }) }), listing),
        );
        const rows: Listed[] = [
          ...(page.Contents ?? []).map(({ Key, Size, LastModified }) => headFrom(nameOf(Key), Size, LastModified)),
          ...(page.CommonPrefixes ?? []).map(({ Prefix }) => ({ prefix: nameOf(Prefix) })),
        ];
        for (const row of rows.filter(isOurs).sort((a, b) => (nameIn(a) < nameIn(b) ? -1 : 1))) {
          yield row;
          if (signal?.aborted) throw asMailarkError(signal.reason);
        }
        if (page.IsTruncated === undefined || (page.IsTruncated && !page.NextContinuationToken)) throw brokenOff();
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },

    async erase(key, { signal } = {}) {
      const where = at(key);
      await requests.send("s3:DeleteObject", signal, (client, erasing) =>
        client.send(new DeleteObjectCommand(where), erasing),
      );
    },
  };

  async function headOf(key: string, signal: AbortSignal | undefined): Promise<ObjectHead | undefined> {
    const where = at(key);
    try {
      const answer = await requests.send("s3:GetObject", signal, (client, asking) =>
        client.send(new HeadObjectCommand(where), asking),
      );
      return headFrom(key, answer.ContentLength, answer.LastModified);
    } catch (error) {
      if (!isSilent(error)) throw error;
      return headByReading(key, signal);
    }
  }

  /** A failed HEAD has no body that could say why: no such object, or no such bucket, or which credentials. */
  async function headByReading(key: string, signal: AbortSignal | undefined): Promise<ObjectHead | undefined> {
    const where = at(key);
    try {
      return await requests.send("s3:GetObject", signal, async (client, asking) => {
        const { Body, ContentRange, LastModified } = await client.send(
          new GetObjectCommand({ ...where, Range: "bytes=0-0" }),
          asking,
        );
        await Body?.transformToByteArray();
        return headFrom(key, sizeIn(ContentRange), LastModified);
      });
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  async function readPiece(key: string, Range: string, etag: string | undefined, signal: AbortSignal | undefined) {
    const where = at(key);
    try {
      return await requests.send("s3:GetObject", signal, async (client, reading) => {
        const answer = await client.send(
          new GetObjectCommand({ ...where, Range, ...(etag !== undefined && { IfMatch: etag }) }),
          reading,
        );
        const chunks = await chunksOf(answer);
        const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
        return {
          chunks,
          length,
          size: sizeIn(answer.ContentRange) ?? answer.ContentLength ?? length,
          etag: answer.ETag,
        };
      });
    } catch (error) {
      const status = statusOf(error);
      if (status === 404) throw new MailarkError("OBJECT_MISSING", `there is no object ${key}`, { cause: error });
      // Nothing can be read of what is empty.
      if (status === 416) return { chunks: [], length: 0, size: 0, etag: undefined };
      if (status === 412) throw new MailarkError("OBJECT_CORRUPT", `the object was replaced while it was read: ${key}`);
      throw error;
    }
  }

  /** Not safe against another writer at the same moment: what such a store offers. */
  async function refuseIfThere(key: string, signal: AbortSignal | undefined) {
    const there = await headOf(key, signal).catch((thrown) => {
      const error = asMailarkError(thrown);
      if (error.code === "STORE_FORBIDDEN") throw blind(error);
      // Nothing was sent yet.
      throw error.code === "STORE_UNREACHABLE" && error.retryable ? toldAs(error, "STORE_BUSY") : error;
    });
    if (there !== undefined) throw taken(key);
  }

  function nameOf(key: string | undefined): string {
    return (key ?? "").slice(place.prefix.length);
  }
}

async function chunksOf({ Body }: GetObjectCommandOutput): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of Body as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return chunks;
}

/** Listings know whole seconds only, so that all answers agree. */
function headFrom(key: string, bytes: number | undefined, received: Date | undefined): ObjectHead {
  if (bytes === undefined || received === undefined) {
    throw new MailarkError("STORE_UNREACHABLE", "the store does not say size and time of an object");
  }
  return { key, bytes, receivedAt: Math.floor(received.getTime() / 1000) * 1000 };
}

/** Size of the object in `bytes 0-9/100`. */
function sizeIn(contentRange: string | undefined): number | undefined {
  const size = /\/(\d+)$/.exec(contentRange ?? "")?.[1];
  return size === undefined ? undefined : Number(size);
}

const nameIn = (row: Listed) => ("key" in row ? row.key : row.prefix);
/** Others may have put into the bucket what no key can name. */
const isOurs = (row: Listed) => ("key" in row ? isKey(row.key) : isKey(row.prefix.replace(/\/$/, "")));
const taken = (key: string, cause?: unknown) =>
  new MailarkError("OBJECT_EXISTS", `the object exists already: ${key}`, { cause });
const blind = (cause: MailarkError) =>
  new MailarkError("STORE_FORBIDDEN", "with conditional=false nothing is stored by credentials that may not read", {
    hint: "allow s3:GetObject and s3:ListBucket, or use a store that knows If-None-Match: every backup would overwrite what is there",
    detail: cause.detail ?? cause.message,
    cause,
  });
const brokenOff = () =>
  new MailarkError("STORE_UNREACHABLE", "the store does not say where a listing goes on, or that it is over", {
    hint: "run the same command again; if it comes back, the store does not list as S3 does",
    retryable: true,
  });
const endsEarly = (key: string, end: number) =>
  new MailarkError("OBJECT_CORRUPT", `the object ends before byte ${end}: ${key}`);
