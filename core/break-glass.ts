import { createHash } from "node:crypto";

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
