import { createHash } from "node:crypto";

/** Ids that AWS would make up are made from what they are of: the same in each run. Hexadecimal, 64 digits. */
export const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** In the form of a UUID, of the first 32 of a digest's digits. */
export const uuidOf = (digest: string): string =>
  digest.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5");
