import { type Files, isAbsent } from "../../core/ports/files.ts";
import { bytePath } from "./byte-path.ts";

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
