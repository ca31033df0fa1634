import { dirname } from "node:path";
import type { Files } from "../core/ports/files.ts";

/** Bytes that a user may still write on the file system that a path is on, or will be. */
export function freeSpace(files: Files, path: string): number {
  for (let place = path; ; place = dirname(place)) {
    if (files.statSync(place, { throwIfNoEntry: false }) === undefined && place !== "/") continue;
    const { bavail, bsize } = files.statfsSync(place);
    return bavail * bsize;
  }
}
