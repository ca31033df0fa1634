/**
 * Sparse files in GNU's format 1.0: before the content stands a map, decimal numbers each ended by a line feed: how many extents, then offset and
 * length of each; filled with zeros to a whole block. The map counts in the member's size.
 */
import type { ByteReader } from "../byte-reader.ts";
import { corruptArchive } from "./corrupt-archive.ts";
import type { SparseExtent } from "./member.ts";
import { numberOf } from "./pax-records.ts";

const block = 512;
const maximumExtents = 1_000_000;

export interface SparseMap {
  /** Of the file with its holes. */
  readonly size: number;
  /** Bytes that follow the map. */
  readonly stored: number;
  readonly extents: readonly SparseExtent[];
}

/** @throws MailarkError `OBJECT_CORRUPT` for another format, or a map that does not fit its file. */
export async function readSparseMap(
  bytes: ByteReader,
  declared: number,
  records: ReadonlyMap<string, string>,
): Promise<SparseMap> {
  const size = numberOf(records, "GNU.sparse.realsize");
  if (records.get("GNU.sparse.major") !== "1" || records.get("GNU.sparse.minor") !== "0" || size === undefined) {
    throw corruptArchive("a sparse file of an unknown form");
  }
  const numbers: number[] = [];
  let text = "";
  let used = 0;
  while (numbers.length === 0 || numbers.length < 1 + 2 * numbers[0]!) {
    if (used + block > declared) throw corruptArchive("a map of a sparse file without an end");
    text += (await bytes.exactly(block)).toString("latin1");
    used += block;
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      if (!/^[0-9]{1,16}$/.test(line)) throw corruptArchive("a map of a sparse file that is none");
      numbers.push(Number(line));
      if (numbers[0]! > maximumExtents) throw corruptArchive("a map of a sparse file with too many extents");
      if (numbers.length === 1 + 2 * numbers[0]!) {
        text = "";
        break;
      }
    }
  }
  const extents: SparseExtent[] = [];
  let end = 0;
  let stored = 0;
  for (let at = 1; at < numbers.length; at += 2) {
    const extent = { offset: numbers[at]!, bytes: numbers[at + 1]! };
    if (extent.offset < end || extent.offset + extent.bytes > size)
      throw corruptArchive("a map that does not fit its file");
    end = extent.offset + extent.bytes;
    stored += extent.bytes;
    extents.push(extent);
  }
  if (stored !== declared - used) throw corruptArchive("a map that does not fit its file");
  return { size, stored, extents };
}

/** The map as it stands before the content, whole blocks. */
export function formatSparseMap(extents: readonly SparseExtent[]): Buffer {
  const text = [extents.length, ...extents.flatMap(({ offset, bytes }) => [offset, bytes])].join("\n");
  const map = Buffer.alloc(Math.ceil((text.length + 1) / block) * block);
  map.write(`${text}\n`, "latin1");
  return map;
}
