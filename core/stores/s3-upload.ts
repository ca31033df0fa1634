/** How an object gets into S3: whole in one request, or in parts that become an object when all of them are there. */
import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { crc64nvme } from "../crc64nvme.ts";
import { MailarkError } from "../errors.ts";
import { interruptible } from "./interruptible.ts";
import { cutParts, partBytes, type S3Part } from "./s3-parts.ts";
import type { S3Requests } from "./s3-requests.ts";
import type { S3Place } from "./s3-url.ts";
import type { Body, Receipt } from "./store.ts";

/** Bytes of parts that are under way at a time; one part always may be. Beside them one is being filled. */
const bytesUnderWay = 4 * partBytes;
/** Milliseconds for giving up an upload, for which nobody waits gladly. */
const patience = 10_000;

export interface Upload {
  readonly requests: S3Requests;
  readonly place: S3Place;
  readonly where: { readonly Bucket: string; readonly Key: string };
}

/** Creates an object as `ObjectWriter.put` does; what throws is what the first failure was. */
export async function upload(options: Upload, body: Body, signal: AbortSignal | undefined): Promise<Receipt> {
  const failed = new AbortController();
  const until = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const parts = cutParts(interruptible(body, until));
  try {
    const first = await nextOf(parts);
    if (first === undefined || first.last) return await sendWhole(options, first?.chunks ?? [], until);
    return await sendParts(options, first, parts, until, (reason) => failed.abort(reason));
  } finally {
    await parts.return(undefined);
  }
}

async function sendWhole(options: Upload, chunks: readonly Uint8Array[], signal: AbortSignal): Promise<Receipt> {
  const { requests, place, where } = options;
  const sum = sumOf(chunks, place);
  const answer = await requests.sendBody(
    "s3:PutObject",
    signal,
    { chunks, bytes: sum.bytes },
    (body, client, sending) =>
      client.send(
        new PutObjectCommand({ ...where, ...keptAs(place), ...ifAbsent(place), ...sum.declared, ...body }),
        sending,
      ),
  );
  return receiptFrom(answer, sum.bytes, place);
}

async function sendParts(
  options: Upload,
  first: S3Part,
  rest: AsyncIterator<S3Part>,
  signal: AbortSignal,
  giveUp: (reason: unknown) => void,
): Promise<Receipt> {
  const { requests, place, where } = options;
  const byCrc = place.checksum === "crc64nvme";
  const whole = crc64nvme();
  const { UploadId } = await requests.send("s3:PutObject", signal, (client, sending) =>
    client.send(
      new CreateMultipartUploadCommand({
        ...where,
        ...keptAs(place),
        ...(byCrc && { ChecksumAlgorithm: "CRC64NVME", ChecksumType: "FULL_OBJECT" }),
      }),
      sending,
    ),
  );
  const target = { ...where, UploadId };
  const sent: Promise<CompletedPart>[] = [];
  try {
    const underWay = new Set<Promise<unknown>>();
    let bytes = 0;
    let busy = 0;
    for (let part: S3Part | undefined = first; part !== undefined; part = await nextOf(rest)) {
      while (busy > 0 && busy + part.bytes > bytesUnderWay) await Promise.race(underWay);
      signal.throwIfAborted();
      for (const chunk of part.chunks) whole.update(chunk);
      const size = part.bytes;
      const sending = sendPart(options, target, part, signal);
      sent.push(sending);
      bytes += size;
      busy += size;
      // The body may have nothing to give for a long time: a part that fails does not wait for it.
      const ended = sending.catch(giveUp).then(() => {
        busy -= size;
        underWay.delete(ended);
      });
      underWay.add(ended);
    }
    const Parts = await Promise.all(sent);
    const answer = await requests.send("s3:PutObject", signal, (client, completing) =>
      client.send(
        new CompleteMultipartUploadCommand({
          ...target,
          ...ifAbsent(place),
          ...(byCrc && {
            ChecksumCRC64NVME: base64(whole.digest()),
            ChecksumType: "FULL_OBJECT",
            MpuObjectSize: bytes,
          }),
          MultipartUpload: { Parts },
        }),
        completing,
      ),
    );
    return receiptFrom(answer, bytes, place);
  } catch (error) {
    giveUp(error);
    await Promise.allSettled(sent);
    await abandon(options, target);
    throw error;
  }
}

async function sendPart(
  { requests, place }: Upload,
  target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
  { number, chunks }: S3Part,
  signal: AbortSignal,
): Promise<CompletedPart> {
  const { bytes, declared } = sumOf(chunks, place);
  const answer = await requests.sendBody("s3:PutObject", signal, { chunks, bytes }, (body, client, sending) =>
    client.send(new UploadPartCommand({ ...target, PartNumber: number, ...declared, ...body }), sending),
  );
  const { ChecksumCRC64NVME } = declared;
  return { PartNumber: number, ETag: answer.ETag, ...(ChecksumCRC64NVME !== undefined && { ChecksumCRC64NVME }) };
}

/** The parts would cost money for ever. Where this fails too, the bucket's rule for unfinished uploads ends them; and where the upload has become an object after all, it stays. */
async function abandon({ requests }: Upload, target: { Bucket: string; Key: string; UploadId: string | undefined }) {
  await requests
    .send("s3:PutObject", AbortSignal.timeout(patience), (client, sending) =>
      client.send(new AbortMultipartUploadCommand(target), sending),
    )
    .catch(() => {});
}

/** Size and checksum of a request's body, as it declares them. */
function sumOf(chunks: readonly Uint8Array[], { checksum }: S3Place) {
  const crc = crc64nvme();
  const md5 = createHash("md5");
  const sum = checksum === "md5" ? md5 : crc;
  let bytes = 0;
  for (const chunk of chunks) {
    sum.update(chunk);
    bytes += chunk.length;
  }
  const declared: { ContentMD5?: string; ChecksumCRC64NVME?: string } =
    checksum === "md5" ? { ContentMD5: md5.digest("base64") } : { ChecksumCRC64NVME: base64(crc.digest()) };
  return { bytes, declared };
}

/** What the store measured, and not what was sent; a store that was to say it and does not is not to be relied on. */
function receiptFrom(
  answer: { readonly ChecksumCRC64NVME?: string | undefined; readonly VersionId?: string | undefined },
  bytes: number,
  { checksum }: S3Place,
): Receipt {
  const { ChecksumCRC64NVME: measured, VersionId: version } = answer;
  if (measured !== undefined) return { bytes, crc64nvme: Buffer.from(measured, "base64").toString("hex"), version };
  if (checksum === "md5") return { bytes, crc64nvme: undefined, version };
  throw new MailarkError("UPLOAD_MISMATCH", "the store does not say the checksum of what it received", {
    hint: "where it knows no CRC64NVME, write checksum=md5 in its URL: docs/guide.md says what that costs",
  });
}

const keptAs = ({ storageClass, kmsKey }: S3Place) => ({
  ...(storageClass !== undefined && { StorageClass: storageClass as "STANDARD" }),
  ...(kmsKey !== undefined && { ServerSideEncryption: "aws:kms" as const, SSEKMSKeyId: kmsKey }),
});
const ifAbsent = ({ conditional }: S3Place) => (conditional ? { IfNoneMatch: "*" } : {});
const base64 = (hex: string) => Buffer.from(hex, "hex").toString("base64");

async function nextOf(parts: AsyncIterator<S3Part>): Promise<S3Part | undefined> {
  const { done, value } = await parts.next();
  return done ? undefined : value;
}
