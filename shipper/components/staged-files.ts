/** Parts of a snapshot as files for a person, hashed as they are written, so that a check can look at them again. */
import { createHash } from "node:crypto";
import { type Files, writeWhole } from "../../core/ports/files.ts";

/** One file, as it was written. */
export interface StagedFile {
  readonly path: string;
  readonly sha256: string;
}

/** Writes a new file for this user only; it is on the disk when this resolves. */
export async function writeStaged(
  files: Files,
  path: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<StagedFile> {
  const hash = createHash("sha256");
  const descriptor = files.openSync(path, "wx", 0o600);
  try {
    for await (const chunk of body) {
      writeWhole(files, descriptor, chunk);
      hash.update(chunk);
    }
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
  return { path, sha256: hash.digest("hex") };
}

/**
 * Whether a file is still what was written.
 *
 * @param look is shown all of it, in order, in chunks that it may keep.
 */
export function isAsWritten(
  files: Files,
  { path, sha256 }: StagedFile,
  look: (chunk: Buffer) => void = () => {},
): boolean {
  const hash = createHash("sha256");
  const descriptor = files.openSync(path, "r");
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(1024 * 1024);
      const read = files.readSync(descriptor, chunk);
      if (read === 0) return hash.digest("hex") === sha256;
      hash.update(chunk.subarray(0, read));
      look(chunk.subarray(0, read));
    }
  } finally {
    files.closeSync(descriptor);
  }
}

/**
 * The beginning of a file's name for a part that is about something with a name. The part's number makes it unique; of the name it has only
 * what every file system and shell takes as it is.
 *
 * @param part as `database-0001`
 */
export function fileStem(part: string, name: string): string {
  const safe = Buffer.from(name)
    .toString("latin1")
    .replace(/[^A-Za-z0-9_-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
  return `${part.replace(/^[a-z]+-/, "")}-${safe.slice(0, 150)}`;
}
