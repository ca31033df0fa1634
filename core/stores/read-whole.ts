import { MailarkError } from "../errors.ts";
import type { ObjectReader } from "./store.ts";

/**
 * A small object, whole.
 *
 * @param limit bytes; a larger object is refused before it fills the memory.
 * @throws what `get` throws; MailarkError `OBJECT_CORRUPT` above the limit.
 */
export async function readWhole(
  reader: ObjectReader,
  key: string,
  limit: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of reader.get(key, { ...(signal && { signal }) })) {
    bytes += chunk.length;
    if (bytes > limit) throw new MailarkError("OBJECT_CORRUPT", `the object is larger than ${limit} bytes: ${key}`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
