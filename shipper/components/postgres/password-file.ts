/**
 * A password for the client programs, as a file in libpq's form that only this user can read, in a directory that only this user can
 * enter. What a killed run left behind goes with the next one.
 */
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent, writeWhole } from "../../../core/ports/files.ts";
import { readText } from "../../state-files.ts";

export interface PrivateFile {
  readonly path: string;
  remove(): void;
}

/** Writes the file that libpq calls passfile: the password for whatever is connected to. */
export function writePassfile(files: Files, password: string): PrivateFile {
  sweep(files);
  const folder = join(tmpdir(), `mailark-client-${process.pid}-${randomBytes(8).toString("hex")}`);
  const path = join(folder, "pgpass");
  const remove = () => removeFolder(files, folder);
  files.mkdirSync(folder, { mode: 0o700 });
  try {
    const descriptor = files.openSync(path, "wx", 0o600);
    try {
      writeWhole(files, descriptor, Buffer.from(`*:*:*:*:${password.replace(/[\\:]/g, "\\$&")}\n`));
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
 * The one line of a password file.
 *
 * @throws MailarkError `CONFIG_INVALID` when there is none.
 */
export function readPassword(files: Files, path: string): string {
  const text = readText(files, path);
  if (text === undefined) {
    throw new MailarkError("CONFIG_INVALID", "the database's password file does not exist", { detail: path });
  }
  const password = text.replace(/\r?\n$/, "");
  if (password !== "" && !/[\r\n\0]/.test(password)) return password;
  throw new MailarkError("CONFIG_INVALID", "the database's password file does not hold one line", { detail: path });
}

function sweep(files: Files): void {
  for (const name of files.readdirSync(tmpdir())) {
    const owner = /^mailark-client-(\d+)-[0-9a-f]{16}$/.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    try {
      removeFolder(files, join(tmpdir(), name));
    } catch {
      // Another user's: theirs to remove.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function removeFolder(files: Files, folder: string): void {
  try {
    for (const name of files.readdirSync(folder)) files.unlinkSync(join(folder, name));
    files.rmdirSync(folder);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}
