/** What each component stored the last time, by which a run knows beforehand whether a store has room for it. */
import { z } from "zod";
import type { Files } from "../../core/ports/files.ts";
import { type Demand, refuseWithoutRoom } from "../free-space.ts";
import { readText, writeDurably } from "../state-files.ts";
import { placeOf } from "../store-url.ts";

const schema = z.record(z.string(), z.int().nonnegative());

/** Bytes by component. What can not be read is not known, which lets everything through. */
export function lastSizes(files: Files, path: string): Readonly<Record<string, number>> {
  try {
    return schema.parse(JSON.parse(readText(files, path) ?? "{}"));
  } catch {
    return {};
  }
}

/** Components that stored nothing this time keep what they had. */
export function rememberSizes(files: Files, path: string, sizes: Readonly<Record<string, number>>): void {
  const known = lastSizes(files, path);
  const all = { ...known, ...sizes };
  if (JSON.stringify(all) !== JSON.stringify(known)) writeDurably(files, path, JSON.stringify(all));
}

/**
 * Only the disk of a store in a directory tells how much it has.
 *
 * @throws MailarkError `FILE_FAILED` where it has less than these components stored the last time.
 */
export function refuseFullStore(
  files: Files,
  url: string,
  components: readonly string[],
  sizes: Readonly<Record<string, number>>,
): void {
  const { directory } = placeOf(url);
  if (directory === undefined) return;
  const demands = components.flatMap((what): Demand[] => {
    const bytes = sizes[what];
    return bytes === undefined ? [] : [{ what, path: directory, bytes }];
  });
  refuseWithoutRoom(
    files,
    demands,
    "make room with `mailark prune --delete`, or on a larger disk; that much was stored the last time; if this host has shrunk since, remove sizes.json in the state directory",
  );
}
