/**
 * Archives of contents: POSIX ustar files whose members are named by the SHA-256 of what they hold (docs/format.md §8.1), so that
 * no name in them can point anywhere.
 */
import { createHash } from "node:crypto";
import { Header } from "tar";
import { MailarkError } from "../../../core/errors.ts";
import { ByteReader } from "../byte-reader.ts";

const block = 512;
/** Two zero blocks end an archive. */
export const endOfArchive = Buffer.alloc(2 * block);

/** Room that a content takes in an archive, in bytes. */
export const memberBytes = (bytes: number): number => block + padded(bytes);

const padded = (bytes: number) => Math.ceil(bytes / block) * block;

/** Writes a member's header into the first 512 bytes of `target`, which may hold anything. */
export function writeMemberHeader(target: Buffer, sha256: string, bytes: number): void {
  target.fill(0, 0, block);
  new Header({ path: sha256, mode: 0o600, uid: 0, gid: 0, size: bytes, mtime: new Date(0), type: "File" }).encode(
    target,
  );
}

/** One content on its way out of an archive. Its chunks must be taken before the next member is asked for. */
export interface Member {
  readonly sha256: string;
  readonly bytes: number;
  readonly chunks: AsyncIterable<Buffer>;
}

/**
 * The members of an archive, in their order. The chunks of each throw at their end unless they are what the name promises.
 *
 * @throws MailarkError `OBJECT_CORRUPT` for anything that the format does not allow in an archive.
 */
export async function* readArchive(source: AsyncIterable<Buffer>): AsyncGenerator<Member> {
  const bytes = new ByteReader(source, corrupt);
  for (;;) {
    const header = await bytes.exactly(block);
    if (header.every((byte) => byte === 0)) {
      const second = await bytes.exactly(block);
      if (!second.every((byte) => byte === 0)) throw corrupt("a single zero block in the middle");
      await bytes.onlyZeros();
      return;
    }
    const member = parseHeader(header);
    let taken = false;
    const chunks = (async function* () {
      const sha256 = createHash("sha256");
      for await (const chunk of bytes.next(member.bytes)) {
        sha256.update(chunk);
        yield chunk;
      }
      await bytes.exactly(padded(member.bytes) - member.bytes);
      if (sha256.digest("hex") !== member.sha256)
        throw corrupt(`another content than its name says (${member.sha256})`);
      taken = true;
    })();
    yield { ...member, chunks };
    for await (const _ of chunks);
    if (!taken) throw corrupt("a member that was not read to its end");
  }
}

function parseHeader(block: Buffer): { sha256: string; bytes: number } {
  const { path, size, type, cksumValid, linkpath } = new Header(block);
  if (!cksumValid || path === undefined || size === undefined) throw corrupt("a damaged header");
  if (type !== "File" || linkpath || !/^[0-9a-f]{64}$/.test(path)) {
    throw corrupt("a member that is not a content named by its hash");
  }
  return { sha256: path, bytes: size };
}

const corrupt = (what: string) => new MailarkError("OBJECT_CORRUPT", `an archive of messages has ${what}`);
