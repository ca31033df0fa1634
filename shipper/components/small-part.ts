/** Parts of a snapshot that fit into memory: what is remembered of its content, and accounts. */
import type { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import type { SnapshotReader } from "../../core/snapshot-reader.ts";

/** A small part as a whole. Throws as `SnapshotReader.readPart`. */
export async function readSmall(snapshot: SnapshotReader, part: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of snapshot.readPart(snapshot.part(part))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * The facts of a snapshot, in the form that its component gives them.
 *
 * @throws MailarkError `OBJECT_CORRUPT` when they are none.
 */
export async function readFactsAs<T>(snapshot: SnapshotReader, form: z.ZodType<T>): Promise<T> {
  const text = await readSmall(snapshot, "facts");
  try {
    return form.parse(JSON.parse(text.toString("utf8")));
  } catch (cause) {
    throw new MailarkError("OBJECT_CORRUPT", `the facts of ${snapshot.manifest.snapshotId} can not be read`, { cause });
  }
}
