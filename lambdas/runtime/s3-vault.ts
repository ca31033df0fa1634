import { HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { MailarkError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { dividedStore } from "../../core/stores/divided.ts";
import { withRetries } from "../../core/stores/retry.ts";
import { s3Store } from "../../core/stores/s3.ts";
import { parseS3Url } from "../../core/stores/s3-url.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import type { MeasuredVersion } from "../verify/verify-snapshot.ts";

export interface VaultBuckets {
  readonly data: string;
  readonly keyring: string;
  readonly region: string;
}

/** Data and keyring, two buckets, as the one store that a host writes to. */
export function vaultReader({ data, keyring, region }: VaultBuckets): ObjectReader {
  const open = (bucket: string) =>
    withRetries(s3Store(parseS3Url(`s3://${bucket}?region=${region}`)), { clock: systemClock, random: Math.random });
  return dividedStore(open(data), open(keyring));
}

/** What S3 measured of an object in the data bucket, and which version it was. Costs one HEAD. */
export function measureIn(client: S3Client, Bucket: string) {
  return async (Key: string, abortSignal?: AbortSignal): Promise<MeasuredVersion | undefined> => {
    try {
      const asked = new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" });
      const {
        ContentLength = 0,
        ChecksumCRC64NVME,
        VersionId,
      } = await client.send(asked, {
        ...(abortSignal && { abortSignal }),
      });
      const crc64nvme = ChecksumCRC64NVME && Buffer.from(ChecksumCRC64NVME, "base64").toString("hex");
      return { bytes: ContentLength, crc64nvme, version: VersionId };
    } catch (cause) {
      const status = (cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
      if (status === 404) return undefined;
      throw new MailarkError("STORE_UNREACHABLE", "the data bucket does not say what it measured", {
        retryable: true,
        cause,
      });
    }
  };
}
