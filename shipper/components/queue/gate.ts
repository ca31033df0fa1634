/**
 * What stands between an archive that a host stored and the program that unpacks it: only queue files, each where Postfix expects it, with the
 * modes that it takes, owned by nobody but Postfix, and exactly those that the index names. Everything is written anew from what was judged.
 */
import { createHash } from "node:crypto";
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Member } from "../tree/member.ts";
import { padding, readTar } from "../tree/read-tar.ts";
import { Vetting } from "../tree/vet.ts";
import { endOfArchive, headersOf } from "../tree/write-tar.ts";
import type { CapturedFile, Index } from "./index-rows.ts";
import { deliverableQueues, heldMaildrop, isComplete, movingQueues, parseQueuePath, type QueuePath } from "./layout.ts";

/** Who owns queue files where they are unpacked, by number. */
export interface Owners {
  /** Of all but `maildrop`: the account that Postfix runs as, with its group. */
  readonly uid: number;
  readonly gid: number;
  /** Of what is in `maildrop` and {@link heldMaildrop}. */
  readonly dropGid: number;
}

export interface Target {
  /** `undefined`: whoever unpacks. */
  readonly owners?: Owners | undefined;
  /** Whether everything that Postfix would deliver goes to `hold`, and to {@link heldMaildrop}; otherwise where it was. */
  readonly hold: boolean;
}

/**
 * The archive for `tar --extract`. Nothing of it may be used before it has ended.
 *
 * @throws MailarkError `PATH_UNSAFE` for what no queue holds; `OBJECT_CORRUPT` for what the index does not know, knows differently, or misses.
 */
export async function* vetted(snapshot: SnapshotReader, index: Index, target: Target): AsyncGenerator<Buffer> {
  const known = new Map<string, CapturedFile>([...index.messages, ...index.logs].map((file) => [file.path, file]));
  const places = new Set<string>();
  const vetting = new Vetting();
  const part = snapshot.part("spool");
  for await (const { member, chunks } of readTar(snapshot.readPart(part), part.bytes)) {
    const file = known.get(member.path);
    if (vetting.judge(member).problems.length > 0) throw unsafe("what no archive may hold", member.path);
    const place = judge(member, file);
    const heldAt = held(place);
    if (places.has(heldAt)) throw unsafe("one queue id twice", member.path);
    places.add(heldAt);
    const path = target.hold ? heldAt : member.path;
    known.delete(member.path);
    yield headersOf({ ...plain(member), path, ...ownersOf(member, target) });
    const sha256 = createHash("sha256");
    for await (const chunk of chunks) {
      sha256.update(chunk);
      yield chunk;
    }
    if (sha256.digest("hex") !== file!.sha256)
      throw corrupt("a file with another content than its index says", member.path);
    yield Buffer.alloc(padding(member.size));
  }
  for (const path of known.keys()) throw corrupt("an index that names what is not there", path);
  yield endOfArchive;
}

function judge(member: Member, file: CapturedFile | undefined): QueuePath {
  const place = parseQueuePath(member.path);
  if (member.kind !== "file" || place === undefined) throw unsafe("what no queue holds", member.path);
  if (member.extents !== undefined || member.attributes.size > 0 || Object.keys(member.acl).length > 0) {
    throw unsafe("a file with more than its content", member.path);
  }
  if (!isComplete(place.queue, member.mode)) throw unsafe("a file with a mode that Postfix does not give", member.path);
  if (file === undefined || file.size !== member.size)
    throw corrupt("a file that its index does not know", member.path);
  return place;
}

/** Where it goes when it is held. `postsuper -s` brings files to their hashed directories. */
function held({ queue, id }: QueuePath): string {
  if (queue === "maildrop") return `${heldMaildrop}/${id}`;
  return (movingQueues as readonly string[]).includes(queue) ? `hold/${id}` : `${queue}/${id}`;
}

/** In `maildrop` a file belongs to whoever sent it, by whose name Postfix knows the sender; the number is for a name that is not there. */
function ownersOf({ path, user }: Member, { owners }: Target): Pick<Member, "uid" | "gid" | "user" | "group"> {
  if (owners === undefined) return { uid: 0, gid: 0, user: "", group: "" };
  if (/^maildrop(\.held)?\//.test(path)) return { uid: owners.uid, gid: owners.dropGid, user, group: "" };
  return { uid: owners.uid, gid: owners.gid, user: "", group: "" };
}

const plain = ({ path, kind, flag, mode, modified, size, stored }: Member) => ({
  path,
  kind,
  flag,
  mode,
  modified,
  size,
  stored,
  target: "",
  attributes: new Map<string, string>(),
  acl: {},
});

const unsafe = (what: string, detail: string) =>
  new MailarkError("PATH_UNSAFE", `the stored queue has ${what}`, { detail: JSON.stringify(detail) });
const corrupt = (what: string, detail: string) =>
  new MailarkError("OBJECT_CORRUPT", `the stored queue has ${what}`, { detail: JSON.stringify(detail) });

/** How many messages Postfix would deliver, once they are released. */
export const deliverable = ({ messages }: Index): number =>
  messages.filter(({ path }) => deliverableQueues.includes(parseQueuePath(path)?.queue as never)).length;
