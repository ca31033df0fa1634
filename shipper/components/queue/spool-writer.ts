/** Turns queue files into members of the archive, each message once, and remembers what they are. */
import { createHash } from "node:crypto";
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { Entry, Member } from "../tree/member.ts";
import { padding } from "../tree/read-tar.ts";
import { headersOf } from "../tree/write-tar.ts";
import type { QueueConfig } from "./config.ts";
import { readEnvelope } from "./envelope.ts";
import type { CapturedFile, CapturedMessage } from "./index-rows.ts";
import { heldMaildrop, isComplete, logQueues, parseQueuePath } from "./layout.ts";
import type { ListedFile } from "./listing.ts";
import { readFiles } from "./read-files.ts";

/** A larger message is stored like all others, but not looked into. In bytes. */
const largestToRead = 32 * 1024 * 1024;

export class SpoolWriter {
  readonly messages: CapturedMessage[] = [];
  readonly logs: CapturedFile[] = [];
  /** Of each message, in seconds; `undefined`: not known. */
  readonly arrivals: (number | undefined)[] = [];
  /** Messages that do not lead to an end. */
  damaged = 0;
  readonly #config: QueueConfig;
  readonly #directory: string;
  readonly #world: World;
  readonly #written = new Map<string, { readonly size: number; readonly inode: string }>();
  readonly #sought = new Set<string>();

  constructor(config: QueueConfig, directory: string, world: World) {
    this.#config = config;
    this.#directory = directory;
    this.#world = world;
  }

  /** Whether that message is in the archive. */
  has(id: string): boolean {
    return this.#written.has(id);
  }

  /** Whether it was looked for before, in vain. */
  sought(id: string): boolean {
    return this.#sought.has(id);
  }

  /**
   * The members of those files that are there.
   *
   * @throws MailarkError as `readFiles` does.
   */
  async *add(files: readonly ListedFile[]): AsyncGenerator<Buffer> {
    const inodes = new Map(files.map(({ id, inode }) => [id, inode]));
    const paths = new Set(files.map(({ path }) => path));
    for await (const entry of readFiles(this.#config, this.#directory, [...paths], this.#world)) {
      const place = parseQueuePath(entry.member.path);
      if (place === undefined || !paths.has(entry.member.path) || entry.member.kind !== "file" || entry.member.extents)
        continue;
      if (!isComplete(place.queue, entry.member.mode)) continue;
      const log = (logQueues as readonly string[]).includes(place.queue);
      // An id there is of another time: a message of today may have the same.
      const aside = place.queue === heldMaildrop;
      if (!log && !aside && this.has(place.id)) continue;
      yield* this.#write(entry, aside ? place.queue + place.id : place.id, log, inodes.get(place.id) ?? "");
    }
    for (const { id } of files) this.#sought.add(id);
  }

  /**
   * @throws MailarkError `CAPTURE_FAILED` when a complete message is not as long as it was read: Postfix never does that.
   */
  compare(files: readonly ListedFile[]): void {
    for (const { id, size, inode, queue, path } of files) {
      const written = this.#written.get(id);
      if (written === undefined || written.inode !== inode || written.size === size) continue;
      if ((logQueues as readonly string[]).includes(queue)) continue;
      throw new MailarkError("CAPTURE_FAILED", "a message of the queue changed while it was read", {
        detail: path,
        retryable: true,
      });
    }
  }

  async *#write({ member, chunks }: Entry, id: string, log: boolean, inode: string): AsyncGenerator<Buffer> {
    const { path, size } = member;
    const sha256 = createHash("sha256");
    const kept: Buffer[] = [];
    yield headersOf(asStored(member));
    for await (const chunk of chunks) {
      sha256.update(chunk);
      if (!log && size <= largestToRead) kept.push(chunk);
      yield chunk;
    }
    yield Buffer.alloc(padding(size));
    const file = { path, size, sha256: sha256.digest("hex") };
    if (log) {
      this.logs.push(file);
      return;
    }
    const envelope = size <= largestToRead ? readEnvelope(Buffer.concat(kept)) : undefined;
    if (envelope === undefined && size <= largestToRead && !/^(?:corrupt|saved)\//.test(path)) this.damaged += 1;
    const { sender, recipients, messageBytes = 0 } = envelope ?? {};
    this.messages.push({
      ...file,
      envelope: sender === undefined ? undefined : { sender, recipients: recipients ?? [], contentBytes: messageBytes },
    });
    this.arrivals.push(envelope?.arrivedAt);
    this.#written.set(id, { size, inode });
  }
}

/** What is kept of a queue file: its place, mode, time, and the names of its owners, since their numbers are those of one machine. */
const asStored = ({ path, mode, modified, size, user, group, uid, gid }: Member): Member => ({
  path,
  kind: "file",
  flag: "0",
  mode,
  uid,
  gid,
  user,
  group,
  modified,
  size,
  stored: size,
  target: "",
  attributes: new Map(),
  acl: {},
});
