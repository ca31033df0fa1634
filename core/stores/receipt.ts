import { crc64nvme } from "../crc64nvme.ts";
import { MailarkError } from "../errors.ts";
import { interruptible } from "./interruptible.ts";
import type { Body, Receipt } from "./store.ts";

/** What a store that received this has to say. Throws what the body throws, and the signal's reason. */
export async function measured(body: Body, signal?: AbortSignal): Promise<Receipt & { readonly crc64nvme: string }> {
  const sum = crc64nvme();
  let bytes = 0;
  for await (const chunk of interruptible(body, signal)) {
    sum.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, crc64nvme: sum.digest() };
}

/** What one of them does not say is no contradiction. */
export const agree = (one: Receipt, other: Receipt): boolean =>
  one.bytes === other.bytes &&
  (one.crc64nvme === undefined || other.crc64nvme === undefined || one.crc64nvme === other.crc64nvme);

/** A store says that it took something else than was sent to it. */
export const uploadMismatch = (): MailarkError =>
  new MailarkError("UPLOAD_MISMATCH", "the store received other bytes than were sent", {
    hint: "run the backup again; if it comes back, check the memory and the network of this host",
    retryable: true,
  });
