import { MailarkError } from "../../core/errors.ts";
import { type Files, isAbsent } from "../../core/ports/files.ts";
import { bytePath } from "./byte-path.ts";

/**
 * Makes sure that a restore finds an empty directory, or nothing at all.
 *
 * @param path as people write it.
 * @param hintOf what to do about certain names (in latin1) there, if it knows better.
 * @throws MailarkError `TARGET_NOT_EMPTY`.
 */
export function refuseUnlessEmpty(
  files: Files,
  path: string,
  hintOf: (names: readonly string[]) => string | undefined = () => undefined,
): void {
  const status = files.statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  const names = status.isDirectory() ? namesAtTarget(files, Buffer.from(path).toString("latin1")) : undefined;
  if (names?.length === 0) return;
  const what = names === undefined ? "is not a directory" : "holds something already";
  throw new MailarkError("TARGET_NOT_EMPTY", `the target ${what}`, {
    detail: path,
    hint: hintOf(names ?? []) ?? "give an empty or a new directory: mailark never restores over anything",
  });
}

/**
 * Makes sure that a database server holds nothing that a restore would have to go around.
 *
 * @param names of databases that are in the way.
 * @throws MailarkError `TARGET_NOT_EMPTY` naming them.
 */
export function refuseDatabases(names: readonly string[]): void {
  if (names.length === 0) return;
  throw new MailarkError("TARGET_NOT_EMPTY", `the database server holds ${names.length} databases already`, {
    detail: names.join(", "),
    hint: "restore to a scratch place or a directory and take from there, or move what is on the server away first",
  });
}

/**
 * What a restore would find at its target: the names there, in latin1; none where there is nothing. The `lost+found` that every new
 * volume has is not told while it is empty.
 */
export function namesAtTarget(files: Files, path: string): string[] {
  return namesIn(files, path).filter((name) => name !== "lost+found" || !isOfNewVolume(files, `${path}/${name}`));
}

function isOfNewVolume(files: Files, path: string): boolean {
  const status = files.lstatSync(bytePath(path));
  return status.isDirectory() && status.uid === 0 && namesIn(files, path).length === 0;
}

function namesIn(files: Files, path: string): string[] {
  try {
    return files.readdirSync(bytePath(path), { encoding: "latin1" }) as string[];
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
