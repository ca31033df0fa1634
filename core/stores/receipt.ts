import { MailarkError } from "../errors.ts";
import type { Receipt } from "./store.ts";

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
