import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { World } from "../component.ts";
import { readArchive } from "./archive.ts";
import { readIndex, readTable } from "./read-table.ts";

/**
 * Reads every mailbox whole: its index, and from its archives every content that the index names.
 *
 * @throws MailarkError `OBJECT_CORRUPT`, `OBJECT_MISSING`, `DECRYPTION_FAILED` or `PATH_UNSAFE` for the first that is wrong.
 */
export async function examineMail(snapshot: SnapshotReader, { signal, progress }: World): Promise<void> {
  const table = await readTable(snapshot);
  let number = 0;
  for (const [ownerId, chain] of table) {
    number += 1;
    progress(`mailbox ${number} of ${table.size}`);
    const { archives, messages, files } = await readIndex(snapshot, chain);
    const sizes = new Map<string, number>();
    for (const [archive, segments] of archives) {
      signal.throwIfAborted();
      const plain = snapshot.segments(segments.map((segment) => ({ ...segment, ownerId })));
      for await (const { sha256, bytes } of readArchive(plain)) sizes.set(`${archive} ${sha256}`, bytes);
    }
    for (const { archive, sha256, bytes } of [...messages.values(), ...files.values()]) {
      if (sizes.get(`${archive} ${sha256}`) === bytes) continue;
      throw new MailarkError(
        "OBJECT_CORRUPT",
        `mailbox ${ownerId} names a content that archive ${archive} does not have`,
      );
    }
  }
}
