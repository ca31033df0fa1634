import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { MailarkError } from "../../core/errors.ts";
import type { ControlStore } from "../control/control-store.ts";

/** The control bucket. Each replacement names the state that it replaces (`If-Match`), so that none is lost. */
export function s3ControlStore(client: S3Client, Bucket: string): ControlStore {
  return {
    async read(Key, signal) {
      try {
        const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket, Key }), options(signal));
        const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
        return { bytes, tag: ETag ?? "" };
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw controlError(error, "read");
      }
    },

    async replace(Key, Body, over, signal) {
      const condition = over === undefined ? { IfNoneMatch: "*" } : { IfMatch: over.tag };
      const put = { Bucket, Key, Body, ContentType: "application/json", ...condition };
      try {
        await client.send(new PutObjectCommand(put), options(signal));
        return true;
      } catch (error) {
        // 409: another write of the same object is under way; 404: what should be replaced is gone.
        if ([404, 409, 412].includes(statusOf(error) ?? 0)) return false;
        throw controlError(error, "write");
      }
    },

    async *list(Prefix, { signal, startAfter } = {}) {
      let ContinuationToken: string | undefined;
      do {
        const from = ContinuationToken === undefined ? { StartAfter: startAfter } : { ContinuationToken };
        const asked = { Bucket, Prefix, ...from };
        const page = await client.send(new ListObjectsV2Command(asked), options(signal)).catch((error) => {
          throw controlError(error, "list");
        });
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },
  };
}

const options = (abortSignal: AbortSignal | undefined) => ({ ...(abortSignal && { abortSignal }) });
const statusOf = (error: unknown) =>
  (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
const controlError = (cause: unknown, action: string) =>
  new MailarkError(
    "STORE_UNREACHABLE",
    `the control bucket can not be ${action === "list" ? "listed" : action === "read" ? "read" : "written"}`,
    {
      retryable: true,
      cause,
    },
  );
