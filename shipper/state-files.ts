import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { type Files, flushDirectory, isAbsent, writeWhole } from "../core/ports/files.ts";

/** A small file as text, or `undefined` when there is none. Any other failure throws as it is. */
export function readText(files: Files, path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = files.openSync(path, "r");
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  try {
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.allocUnsafe(65536);
      const read = files.readSync(descriptor, chunk, 0, chunk.length, null);
      if (read === 0) return Buffer.concat(chunks).toString("utf8");
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    files.closeSync(descriptor);
  }
}

/** Replaces a file in one step: after a crash it is the old or the new one. Mode 0600 in directories of 0700. */
export function writeDurably(files: Files, path: string, text: string): void {
  const folder = dirname(path);
  files.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const temporary = join(folder, `.${randomBytes(8).toString("hex")}`);
  const descriptor = files.openSync(temporary, "wx", 0o600);
  try {
    try {
      writeWhole(files, descriptor, Buffer.from(text));
      files.fsyncSync(descriptor);
    } finally {
      files.closeSync(descriptor);
    }
    files.renameSync(temporary, path);
  } catch (error) {
    discard(files, temporary);
    throw error;
  }
  flushDirectory(files, folder);
}

function discard(files: Files, temporary: string): void {
  try {
    files.unlinkSync(temporary);
  } catch {
    // What the write failed with says more.
  }
}
