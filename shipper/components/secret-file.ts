/**
 * Passwords in files: one that a person wrote, and one for a client program that takes it in no better way. What a client program would read is
 * a file that only this user can read, in a directory that only this user can enter. A pipe would be better, but such programs open it by
 * its path, and what Node gives a child as its input is a socket, which can not be opened.
 */
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MailarkError } from "../../core/errors.ts";
import { type Files, isAbsent, writeWhole } from "../../core/ports/files.ts";
import { processTag, tagPattern } from "../process-tag.ts";
import { readText } from "../state-files.ts";
import { leftoversIn } from "./leftovers.ts";

export interface SecretFile {
  readonly path: string;
  remove(): void;
}

/** Writes a file for client programs of this run. What a killed run left behind goes with the next one. */
export function writeSecretFile(files: Files, name: string, text: string): SecretFile {
  sweep(files);
  const folder = join(tmpdir(), `mailark-client-${processTag(files)}-${randomBytes(8).toString("hex")}`);
  const path = join(folder, name);
  const remove = () => removeFolder(files, folder);
  files.mkdirSync(folder, { mode: 0o700 });
  try {
    const descriptor = files.openSync(path, "wx", 0o600);
    try {
      writeWhole(files, descriptor, Buffer.from(text));
    } finally {
      files.closeSync(descriptor);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { path, remove };
}

/**
 * The one line of a password file; `undefined` where none is named.
 *
 * @param what the file, as errors name it.
 * @throws MailarkError `CONFIG_INVALID` when it is not there, or not one line.
 */
export function readPassword(files: Files, path: string | undefined, what: string): string | undefined {
  if (path === undefined) return undefined;
  const text = readText(files, path);
  if (text === undefined) throw new MailarkError("CONFIG_INVALID", `${what} does not exist`, { detail: path });
  const password = text.replace(/\r?\n$/, "");
  if (password !== "" && !/[\r\n\0]/.test(password)) return password;
  throw new MailarkError("CONFIG_INVALID", `${what} does not hold one line`, { detail: path });
}

function sweep(files: Files): void {
  const left = leftoversIn(files, tmpdir(), new RegExp(`^mailark-client-(${tagPattern})-[0-9a-f]{16}$`));
  for (const folder of left) removeFolder(files, folder);
}

function removeFolder(files: Files, folder: string): void {
  try {
    for (const name of files.readdirSync(folder)) files.unlinkSync(join(folder, name));
    files.rmdirSync(folder);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}
