import type { Dirent } from "node:fs";
import { type Files, isAbsent } from "../../core/ports/files.ts";
import { bytePath } from "./byte-path.ts";

/** Removes a directory and all below it, never following a link, also not at `path` itself; nothing there is fine. */
export function removeTree(files: Files, path: string): void {
  if (files.lstatSync(bytePath(path), { throwIfNoEntry: false })?.isSymbolicLink()) {
    files.unlinkSync(bytePath(path));
    return;
  }
  let entries: Dirent[];
  try {
    entries = files.readdirSync(bytePath(path), { withFileTypes: true, encoding: "latin1" }) as Dirent[];
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  for (const entry of entries) {
    const child = `${path}/${entry.name}`;
    if (entry.isDirectory()) removeTree(files, child);
    else files.unlinkSync(bytePath(child));
  }
  files.rmdirSync(bytePath(path));
}
