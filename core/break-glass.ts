import { createHash } from "node:crypto";
import { MailarkError } from "./errors.ts";

/** What is stored beside the data so that it can be read without mailark. */
export interface BreakGlass {
  readonly "restore.sh": Buffer;
  readonly "format.md": Buffer;
}

/** The version is a hash of the content (docs/format.md §9), so a changed file shows. */
export function breakGlassVersion(files: BreakGlass): string {
  const sha256 = createHash("sha256").update(files["restore.sh"]).update(files["format.md"]);
  return `1-${sha256.digest("hex").slice(0, 16)}`;
}

/**
 * The restore script or the format description is not in a store as it was sent. It has the name that every later run gives it, so it
 * stays like this.
 *
 * @param code `UPLOAD_MISMATCH` where the store said so when it received it, `OBJECT_CORRUPT` where it was read back.
 */
export const damagedBreakGlass = (code: "UPLOAD_MISMATCH" | "OBJECT_CORRUPT", key: string): MailarkError =>
  new MailarkError(code, "the restore script or the format description is not in the store as it was sent", {
    detail: key,
    hint: "a name that is taken is never written again: erase this object with credentials that may, then run the backup again",
  });
