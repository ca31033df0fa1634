/**
 * The list of all packs that a snapshot needs (docs/format.md §5.2).
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { MailarkError } from "./errors.ts";
import { type PackReference, patterns } from "./keys.ts";
import type { Pack } from "./manifest.ts";
import { formatRow } from "./rows.ts";

/** A pack of any snapshot of one host and component. */
export interface NeededPack extends Omit<Pack, "name"> {
  readonly pack: PackReference;
}

const firstLine = "mailark-closure/1\n";
/** A closure of a million packs, which hold 32 TB, is smaller. */
const maximumBytes = 256 * 1024 * 1024;

export function formatClosure(packs: readonly NeededPack[]): Buffer {
  const rows = packs
    .toSorted((a, b) => (a.pack < b.pack ? -1 : 1))
    .map(({ pack, bytes, sha256, crc64nvme }) => formatRow(pack, bytes, sha256, crc64nvme));
  const plain = Buffer.from(firstLine + rows.join(""));
  return zstdCompressSync(plain, { pledgedSrcSize: plain.length });
}

/**
 * @throws MailarkError `OBJECT_CORRUPT` when it is not a closure.
 */
export function parseClosure(bytes: Buffer): NeededPack[] {
  const corrupt = (cause?: unknown) => new MailarkError("OBJECT_CORRUPT", "the closure is damaged", { cause });
  let text: string;
  try {
    text = zstdDecompressSync(bytes, { maxOutputLength: maximumBytes }).toString("utf8");
  } catch (cause) {
    throw corrupt(cause);
  }
  if (!text.startsWith(firstLine) || !text.endsWith("\n")) throw corrupt();
  const lines = text.slice(firstLine.length).split("\n").slice(0, -1);
  return lines.map((line) => {
    const [pack = "", bytes = "", sha256 = "", crc64nvme = ""] = line.split("\t");
    const sound =
      patterns.pack.test(pack) &&
      /^[1-9]\d{0,15}$/.test(bytes) &&
      patterns.sha256.test(sha256) &&
      patterns.crc64nvme.test(crc64nvme);
    if (!sound) throw corrupt();
    return { pack, bytes: Number(bytes), sha256, crc64nvme };
  });
}
