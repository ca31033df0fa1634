/**
 * Reads archives as a stream: ustar, POSIX pax and GNU long names (POSIX.1-2017 `pax`; GNU tar's manual, "Tar Internals"; sparse files in GNU's
 * format 1.0, which is how GNU tar writes them in pax archives).
 */
import { ByteReader } from "../byte-reader.ts";
import { corruptArchive } from "./corrupt-archive.ts";
import { type Header, readHeader } from "./header.ts";
import type { Entry, Kind, Member } from "./member.ts";
import { extendedRecords, numberOf, timeOf } from "./pax-records.ts";
import { readSparseMap } from "./sparse.ts";

const block = 512;
const attribute = "SCHILY.xattr.";
/** Of extended headers and long names: a name has 4,096 bytes at the most, an attribute 65,536. */
const maximumHeaderBytes = 1024 * 1024;

/**
 * The members of an archive in their order, whatever they are: nothing is judged here but whether the archive can be read.
 *
 * @param limit bytes that the archive has, where that is known: a size beyond it is not believed.
 * @throws MailarkError `OBJECT_CORRUPT` when a header is damaged, a size impossible, or the two blocks of zeros at the end are missing.
 */
export async function* readTar(source: AsyncIterable<Buffer>, limit = Number.MAX_SAFE_INTEGER): AsyncGenerator<Entry> {
  const bytes = new ByteReader(source, corruptArchive);
  try {
    yield* members(bytes, limit);
  } finally {
    await bytes.close();
  }
}

async function* members(bytes: ByteReader, limit: number): AsyncGenerator<Entry> {
  const always = new Map<string, string>();
  let once = new Map<string, string>();
  for (;;) {
    const raw = await bytes.exactly(block);
    if (raw.every((byte) => byte === 0)) {
      if (once.size > 0) throw corruptArchive("an extended header of nothing");
      if (!(await bytes.exactly(block)).every((byte) => byte === 0))
        throw corruptArchive("a block of zeros in its middle");
      await bytes.onlyZeros();
      return;
    }
    const header = readHeader(raw);
    if ("xgLK".includes(header.flag)) {
      const text = await extension(header);
      if (header.flag === "x") once = new Map([...once, ...extendedRecords(text)]);
      else if (header.flag === "g") for (const [key, value] of extendedRecords(text)) always.set(key, value);
      else once.set(header.flag === "L" ? "path" : "linkpath", text.split("\0")[0]!);
      continue;
    }
    // An empty value takes an earlier one back; an empty attribute is one.
    const given = [...new Map([...always, ...once])].filter(
      ([key, value]) => value !== "" || key.startsWith(attribute),
    );
    const records = new Map(given);
    once = new Map();
    const declared = numberOf(records, "size") ?? header.size;
    const kind = kindOf(header.flag);
    if (kind !== "file" && kind !== "unknown" && declared !== 0)
      throw corruptArchive("bytes after what can not have any");
    if (declared > limit - bytes.taken) throw corruptArchive("a member that is larger than the archive");
    const map = isSparse(records) ? await readSparseMap(bytes, declared, records) : undefined;
    const stored = map === undefined ? declared : map.stored;
    const path = records.get("GNU.sparse.name") ?? records.get("path") ?? header.path;
    const member = memberOf(header, records, {
      path,
      kind: kind === "file" && path.endsWith("/") ? "directory" : kind,
      stored,
      size: map?.size ?? declared,
      ...(map && { extents: map.extents }),
    });
    if (member.kind === "directory" && stored !== 0) throw corruptArchive("bytes after what can not have any");
    let left = stored;
    const chunks = (async function* () {
      for await (const chunk of bytes.next(left)) {
        left -= chunk.length;
        yield chunk;
      }
    })();
    yield { member, chunks };
    for await (const _ of chunks);
    if (left > 0) for await (const _ of bytes.next(left));
    await bytes.exactly(padding(stored));
  }

  async function extension({ size, flag }: Header): Promise<string> {
    if (size > maximumHeaderBytes) throw corruptArchive(`an extended header of ${size} bytes (${flag})`);
    const text = await bytes.exactly(size);
    await bytes.exactly(padding(size));
    return text.toString("latin1");
  }
}

/** Zeros that fill the last block. */
export const padding = (bytes: number): number => (block - (bytes % block)) % block;

function kindOf(flag: string): Kind {
  const kinds: Record<string, Kind> = {
    "0": "file",
    "\0": "file",
    "7": "file",
    "1": "hardlink",
    "2": "symlink",
    "3": "device",
    "4": "device",
    "5": "directory",
    "6": "fifo",
  };
  return kinds[flag] ?? "unknown";
}

const isSparse = (records: ReadonlyMap<string, string>) =>
  [...records.keys()].some((key) => key.startsWith("GNU.sparse."));

function memberOf(
  header: Header,
  records: ReadonlyMap<string, string>,
  own: Pick<Member, "path" | "kind" | "stored" | "size" | "extents">,
): Member {
  const attributes = new Map<string, string>();
  for (const [key, value] of records) if (key.startsWith(attribute)) attributes.set(key.slice(attribute.length), value);
  const access = records.get("SCHILY.acl.access");
  const inherited = records.get("SCHILY.acl.default");
  return {
    ...own,
    path: own.kind === "directory" ? own.path.replace(/(?<=.)\/+$/, "") : own.path,
    flag: header.flag,
    mode: header.mode,
    uid: numberOf(records, "uid") ?? header.uid,
    gid: numberOf(records, "gid") ?? header.gid,
    user: records.get("uname") ?? header.user,
    group: records.get("gname") ?? header.group,
    modified: timeOf(records, "mtime") ?? String(header.modified),
    target: own.kind === "symlink" || own.kind === "hardlink" ? (records.get("linkpath") ?? header.target) : "",
    attributes,
    acl: { ...(access !== undefined && { access }), ...(inherited !== undefined && { default: inherited }) },
  };
}
