import type { Clock } from "../../../core/ports/clock.ts";
import type { Judged } from "./access.ts";
import type { Bucket } from "./bucket.ts";
import type { ChecksumAlgorithm } from "./checksums.ts";
import type { Need } from "./credentials.ts";
import type { OperationName } from "./operations.ts";
import type { Payload } from "./payload.ts";
import type { XmlElement } from "./xml.ts";

/** Rules of S3 that can be switched off, to see that whoever relies on one of them notices. */
export interface Rules {
  /** False: `If-None-Match` and `If-Match` of a PUT are not looked at. */
  conditions: boolean;
  /** False: no checksum and no `Content-MD5` is compared, or given back. */
  checksums: boolean;
  /** False: a PUT or a DELETE takes the place of what was there, also where versions are kept. */
  versions: boolean;
}

/** An object that was made, by whichever call. */
export interface CreatedObject {
  readonly operation: OperationName;
  readonly bucket: string;
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
  /** `undefined` in a bucket without versions. */
  readonly versionId: string | undefined;
  /** Of two of one key, the greater one came later: both are as long. */
  readonly sequencer: string;
  readonly requestId: string;
}

/** All that the server keeps. */
export interface World {
  readonly region: string;
  readonly clock: Clock;
  readonly signersClock: Clock;
  readonly created: (object: CreatedObject) => void;
  readonly rules: Rules;
  readonly buckets: Map<string, Bucket>;
  /** Where bodies are written. */
  readonly directory: string;
}

/** A request that is signed, known and permitted. */
export interface Exchange {
  readonly call: Judged;
  readonly world: World;
  /** @throws S3Error where there is no such bucket. */
  readonly bucket: Bucket;
  readonly requestId: string;
  may(need: Need): boolean;
  /** @throws S3Error when the caller may not do one of these. */
  demand(needs: readonly Need[]): void;
  /** The body, to be read once. */
  payload(wanted: { readonly algorithm: ChecksumAlgorithm; readonly md5: boolean }): Payload;
  /** The body as an XML document with this root. @throws S3Error when it is another one, or over its limit. */
  document(root: string): Promise<XmlElement>;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | { readonly bytes: number; read(): AsyncIterable<Buffer> };
}

export type Handler = (exchange: Exchange) => Reply | Promise<Reply>;

export function xmlReply(body: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status: 200, headers: { ...headers, "content-type": "application/xml" }, body };
}
