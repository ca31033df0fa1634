/**
 * What every archive passes, on the way into a snapshot and on the way out: members are judged by their headers before a byte of theirs goes on,
 * and their headers are written anew.
 */
import type { Entry, Member } from "./member.ts";
import { padding, readTar } from "./read-tar.ts";
import type { Finding, Vetting } from "./vet.ts";
import { endOfArchive, headersOf } from "./write-tar.ts";

export interface GateOptions {
  /** Bytes that the archive has, where that is known. */
  readonly limit?: number;
  readonly vetting: Vetting;
  /** Members that are wanted; default: all. */
  readonly wanted?: (member: Member) => boolean;
  readonly found: (finding: Finding) => void;
  /** Another place for what passed. */
  readonly place?: (member: Member) => Member;
  /** Sees what passes; must give its bytes on, all of them. Default: gives them on. */
  readonly watch?: (entry: Entry) => AsyncIterable<Buffer>;
}

/**
 * One archive of what passes of all these, byte for byte the same whenever the same passes.
 *
 * @throws MailarkError `OBJECT_CORRUPT` when the archive can not be read to its end.
 */
export async function* gate(
  archives: Iterable<AsyncIterable<Buffer>>,
  { limit, vetting, wanted, found, place, watch }: GateOptions,
): AsyncGenerator<Buffer> {
  for await (const entry of entriesOf(archives, limit)) {
    if (wanted && !wanted(entry.member)) continue;
    const { member, problems } = vetting.judge(entry.member);
    for (const problem of problems) found({ path: entry.member.path, problem });
    if (member === undefined) continue;
    yield headersOf(place ? place(member) : member);
    const passed = { member, chunks: entry.chunks };
    yield* watch ? watch(passed) : passed.chunks;
    const zeros = padding(member.stored);
    if (zeros > 0) yield Buffer.alloc(zeros);
  }
  yield endOfArchive;
}

async function* entriesOf(archives: Iterable<AsyncIterable<Buffer>>, limit: number | undefined) {
  for (const archive of archives) yield* readTar(archive, limit);
}
