import { type Checksum, type ChecksumAlgorithm, checksumOf, combineCrcs } from "./checksums.ts";
import type { Content } from "./content.ts";
import { S3Error } from "./errors.ts";
import type { Piece } from "./stored-body.ts";

/** A multipart upload that is neither completed nor aborted. */
export interface Upload {
  readonly id: string;
  readonly key: string;
  readonly startedAt: number;
  /** What its object will be, beside its bytes. */
  readonly made: Pick<Content, "attributes" | "tags" | "lock">;
  readonly checksum: {
    readonly algorithm: ChecksumAlgorithm;
    readonly type: Checksum["type"];
    /** False: its parts come without checksums, and S3 measures one for itself. */
    readonly asked: boolean;
  };
  readonly parts: Map<number, Part>;
}

export interface Part {
  readonly number: number;
  readonly piece: Piece;
  readonly etag: string;
  readonly checksum: Buffer;
  readonly receivedAt: number;
}

/** A CRC can be told of a whole object from its parts; a hash can not. Default: as the API reference has it. */
export function checksumType(algorithm: ChecksumAlgorithm, asked: string | undefined): Checksum["type"] {
  const type = asked ?? (algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE");
  const hash = algorithm === "SHA1" || algorithm === "SHA256";
  if ((type !== "FULL_OBJECT" && type !== "COMPOSITE") || type === (hash ? "FULL_OBJECT" : undefined)) {
    throw unfit(type, algorithm);
  }
  if (type === "COMPOSITE" && algorithm === "CRC64NVME") throw unfit(type, algorithm);
  return type;
}

function unfit(type: string, algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error(
    "InvalidRequest",
    `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
  );
}

/** The checksum of an object from those of its parts, in order. */
export function checksumOfParts({ algorithm, type }: Upload["checksum"], parts: readonly Part[]): Checksum {
  if (type === "COMPOSITE") {
    const value = checksumOf(algorithm, Buffer.concat(parts.map(({ checksum }) => checksum)));
    return { algorithm, type, value, parts: parts.length };
  }
  if (algorithm === "SHA1" || algorithm === "SHA256") throw unfit(type, algorithm);
  const value = parts
    .slice(1)
    .reduce((sum, { checksum, piece }) => combineCrcs(algorithm, sum, checksum, piece.bytes), parts[0]!.checksum);
  return { algorithm, type, value };
}
