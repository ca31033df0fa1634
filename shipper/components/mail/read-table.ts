import { MailarkError } from "../../../core/errors.ts";
import { readRows } from "../../../core/rows.ts";
import type { SegmentReference, SnapshotReader } from "../../../core/snapshot-reader.ts";
import { type Index, replayIndex } from "./index-rows.ts";

/** OWNER → the segments of that mailbox's index, in order. */
export type MailboxTable = ReadonlyMap<string, readonly SegmentReference[]>;

/**
 * The mailboxes of a snapshot (docs/format.md §8.1).
 *
 * @throws MailarkError `OBJECT_CORRUPT` for a table that is not as the format says; what reading throws.
 */
export async function readTable(snapshot: SnapshotReader): Promise<MailboxTable> {
  const table = new Map<string, SegmentReference[]>();
  for await (const [word, ownerId = "", ...fields] of readRows(snapshot.readPart(snapshot.part("mailboxes")))) {
    if (word === "mailbox") table.set(ownerId, []);
    else if (word === "gone") table.delete(ownerId);
    else if (word === "index") {
      const [keyId = "", pack = "", offset, bytes] = fields;
      const chain = table.get(ownerId);
      if (chain === undefined)
        throw new MailarkError("OBJECT_CORRUPT", "the mailbox table has an index without its mailbox");
      chain.push({ ownerId, keyId, pack, offset: Number(offset), bytes: Number(bytes) });
    }
  }
  return table;
}

/** What one mailbox held. Throws as {@link replayIndex} does, and what reading throws. */
export function readIndex(snapshot: SnapshotReader, chain: readonly SegmentReference[]): Promise<Index> {
  return replayIndex(readRows(snapshot.segments(chain)));
}
