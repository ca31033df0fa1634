import { agree, measured, uploadMismatch } from "./receipt.ts";
import type { ObjectWriter, Receipt } from "./store.ts";

/**
 * Stores what is in memory, and judges the store by its receipt, which it returns.
 *
 * @throws MailarkError as `put`; `UPLOAD_MISMATCH` where the store received other bytes than were sent, as far as it can say.
 */
export async function putWhole(
  store: ObjectWriter,
  key: string,
  content: Uint8Array,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Receipt> {
  const receipt = await store.put(key, [content], options);
  if (!agree(receipt, await measured([content]))) throw uploadMismatch();
  return receipt;
}
