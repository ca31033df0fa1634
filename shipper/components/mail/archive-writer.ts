import { createHash, hash } from "node:crypto";
import type { Stats } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import { maximumSegmentBytes } from "../../../core/segment.ts";
import type { SealingKey, SnapshotWriter } from "../../pipeline/snapshot-writer.ts";
import { endOfArchive, memberBytes, writeMemberHeader } from "./archive.ts";
import type { ArchiveSegment, Content } from "./index-rows.ts";
import { openFile, readInto } from "./read-file.ts";

/** A message above this gets an archive of its own, over several segments. In bytes. */
const largest = maximumSegmentBytes - memberBytes(0) - endOfArchive.length;
const pieceBytes = 1024 * 1024;

/**
 * Collects the contents of one mailbox in archives, each content once. Nothing here waits for the store but by back-pressure.
 */
export class ArchiveWriter {
  readonly #writer: SnapshotWriter;
  readonly #key: SealingKey;
  readonly #files: Files;
  /** By hash. */
  readonly #contents = new Map<string, number>();
  /** By device, inode, size and time: a message that IMAP copied is one file with two names. */
  readonly #inodes = new Map<string, Content>();
  readonly #segments: Promise<{ readonly archive: number; readonly segment: ArchiveSegment }[]>[] = [];
  #members: Buffer[] = [];
  #bytes = 0;
  #archive = 1;

  readonly #within: string | undefined;

  /** @param within the real path of the directory that all files must be below; absent where the system can not tell. */
  constructor(writer: SnapshotWriter, key: SealingKey, files: Files, within?: string) {
    this.#within = within;
    this.#writer = writer;
    this.#key = key;
    this.#files = files;
  }

  /**
   * Stores what a file holds and returns where, with its mode and its owner.
   *
   * @throws `ENOENT` where there is no such file (any more); MailarkError `CAPTURE_FAILED` where it is not a regular file.
   */
  async add(path: string): Promise<Content & { readonly mode: number }> {
    const { descriptor, stats } = openFile(this.#files, path, this.#within);
    try {
      const mode = stats.mode & 0o7777;
      // With size and time, because the number of an inode is used again as soon as a message is expunged.
      const inode = stats.nlink > 1 ? `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}` : undefined;
      const known = inode === undefined ? undefined : this.#inodes.get(inode);
      if (known) return { ...known, mode };
      const stored =
        stats.size > largest
          ? await this.#addLarge(descriptor, stats.size, path)
          : await this.#addSmall(descriptor, stats.size, path);
      const content = { ...stored, bytes: stats.size, modified: seconds(stats.mtimeMs) };
      if (inode !== undefined) this.#inodes.set(inode, content);
      return { ...content, mode };
    } finally {
      this.#files.closeSync(descriptor);
    }
  }

  /** Stores what was read of a file already, with its status of then. */
  async addContent(
    bytes: Buffer,
    stats: Pick<Stats, "mode" | "mtimeMs">,
  ): Promise<Content & { readonly mode: number }> {
    const member = Buffer.allocUnsafe(memberBytes(bytes.length));
    bytes.copy(member, memberBytes(0));
    member.fill(0, memberBytes(0) + bytes.length);
    const stored = await this.#put(member, bytes.length);
    return { ...stored, bytes: bytes.length, modified: seconds(stats.mtimeMs), mode: stats.mode & 0o7777 };
  }

  /** Ends the open archive; where every segment is, once all are stored. */
  async finish(): Promise<readonly { readonly archive: number; readonly segment: ArchiveSegment }[]> {
    await this.#flush();
    return (await Promise.all(this.#segments)).flat();
  }

  #addSmall(descriptor: number, bytes: number, path: string) {
    const member = Buffer.allocUnsafe(memberBytes(bytes));
    const start = memberBytes(0);
    readInto(this.#files, descriptor, member.subarray(start, start + bytes), path);
    member.fill(0, start + bytes);
    return this.#put(member, bytes);
  }

  async #put(member: Buffer, bytes: number): Promise<Pick<Content, "sha256" | "archive">> {
    const start = memberBytes(0);
    const sha256 = hash("sha256", member.subarray(start, start + bytes), "hex");
    const known = this.#contents.get(sha256);
    if (known !== undefined) return { sha256, archive: known };
    if (this.#bytes + member.length + endOfArchive.length > maximumSegmentBytes) await this.#flush();
    writeMemberHeader(member, sha256, bytes);
    this.#members.push(member);
    this.#bytes += member.length;
    this.#contents.set(sha256, this.#archive);
    return { sha256, archive: this.#archive };
  }

  /** Reads it twice, since the name of the member comes before its content: to name it, then to store it. */
  async #addLarge(descriptor: number, bytes: number, path: string): Promise<Pick<Content, "sha256" | "archive">> {
    const measured = createHash("sha256");
    for await (const piece of this.#pieces(descriptor, bytes, path)) measured.update(piece);
    const sha256 = measured.digest("hex");
    const known = this.#contents.get(sha256);
    if (known !== undefined) return { sha256, archive: known };
    await this.#flush();
    const archive = this.#archive;
    this.#archive += 1;
    const header = Buffer.alloc(memberBytes(0));
    writeMemberHeader(header, sha256, bytes);
    const pieces = this.#pieces(descriptor, bytes, path);
    const again = createHash("sha256");
    const locations = await this.#writer.segments(
      (async function* () {
        yield header;
        for await (const piece of pieces) {
          again.update(piece);
          yield piece;
        }
        if (again.digest("hex") !== sha256) {
          throw new MailarkError("CAPTURE_FAILED", "a file changed while it was read", {
            detail: path,
            retryable: true,
          });
        }
        yield Buffer.alloc(memberBytes(bytes) - memberBytes(0) - bytes);
        yield endOfArchive;
      })(),
      this.#key,
    );
    this.#contents.set(sha256, archive);
    const { keyId } = this.#key;
    this.#segments.push(Promise.resolve(locations.map((location) => ({ archive, segment: { ...location, keyId } }))));
    return { sha256, archive };
  }

  async *#pieces(descriptor: number, bytes: number, path: string): AsyncGenerator<Buffer> {
    for (let position = 0; position < bytes; position += pieceBytes) {
      const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, bytes - position));
      readInto(this.#files, descriptor, piece, path, position);
      yield piece;
    }
  }

  async #flush(): Promise<void> {
    if (this.#members.length === 0) return;
    const plain = Buffer.concat([...this.#members, endOfArchive]);
    const archive = this.#archive;
    this.#members = [];
    this.#bytes = 0;
    this.#archive += 1;
    const { keyId } = this.#key;
    const { location } = await this.#writer.submit(plain, this.#key);
    const placed = location.then((segment) => [{ archive, segment: { ...segment, keyId } }]);
    placed.catch(() => {});
    this.#segments.push(placed);
  }
}

const seconds = (milliseconds: number) => (Math.floor(milliseconds) / 1000).toString();
