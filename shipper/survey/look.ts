/** Looking at a machine's files: what can not be looked at counts as not there. */
import type { Dirent, Stats } from "node:fs";
import type { Files } from "../../core/ports/files.ts";
import { bytePath } from "../components/byte-path.ts";

/** What a path leads to, through links; `undefined`: nothing that could be looked at. Paths are latin1. */
export const lookAt = (files: Files, path: string): Stats | undefined => quietly(() => files.statSync(bytePath(path)));

/** Whether a path leads to a directory. */
export const isDirectory = (files: Files, path: string): boolean => lookAt(files, path)?.isDirectory() === true;

/** Whether a path leads to a socket. */
export const isSocket = (files: Files, path: string): boolean => lookAt(files, path)?.isSocket() === true;

/** Whether the path itself is a link. */
export const isLink = (files: Files, path: string): boolean =>
  quietly(() => files.lstatSync(bytePath(path)).isSymbolicLink()) === true;

/** What a directory holds; nothing where it can not be read. */
export function entriesOf(files: Files, path: string): Dirent[] {
  const options = { withFileTypes: true, encoding: "latin1" } as const;
  return quietly(() => files.readdirSync(bytePath(path), options) as Dirent[]) ?? [];
}

function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
