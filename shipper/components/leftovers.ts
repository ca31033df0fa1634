import { join } from "node:path";
import type { Files } from "../../core/ports/files.ts";
import { isHolder } from "../process-tag.ts";

/**
 * Directories that runs which were killed left in a place where others may write too. A name can be anybody's: only a real directory of
 * this user's, which nobody else can write to or exchange for another, is one that such a run made. Everything else is passed over.
 *
 * @param pattern of names; its first group is the tag of the process that made it (process-tag.ts).
 * @throws what reading `parent` fails with.
 */
export function leftoversIn(files: Files, parent: string, pattern: RegExp): string[] {
  const names = files.readdirSync(parent);
  if (!keepsOwners(files, parent)) return [];
  return names
    .filter((name) => {
      const tag = pattern.exec(name)?.[1];
      return tag !== undefined && !isHolder(files, tag);
    })
    .map((name) => join(parent, name))
    .filter((path) => {
      const status = files.lstatSync(path, { throwIfNoEntry: false });
      return status?.isDirectory() && status.uid === process.getuid?.() && (status.mode & 0o022) === 0;
    });
}

/** Whether what is in a directory can be renamed by its own owner only. */
function keepsOwners(files: Files, directory: string): boolean {
  const { uid, mode } = files.statSync(directory);
  return (uid === 0 || uid === process.getuid?.()) && ((mode & 0o022) === 0 || (mode & 0o1000) !== 0);
}
