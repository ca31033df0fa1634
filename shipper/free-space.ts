/** Whether what is to be written fits, told before anything is. */
import { dirname } from "node:path";
import { MailarkError } from "../core/errors.ts";
import type { Files } from "../core/ports/files.ts";
import type { Component, Place, PlannedItem, World } from "./components/component.ts";
import { sizeText } from "./terminal/quantity.ts";

/** Something that will take room below a path. */
export interface Demand {
  /** For a person: `mail`, `the drill`. */
  readonly what: string;
  readonly path: string;
  readonly bytes: number;
  /** Each may take a block more than its bytes. Default: none. */
  readonly files?: number;
}

/**
 * Demands on one file system are taken together.
 *
 * @throws MailarkError `FILE_FAILED` for the first file system that has less than is needed, naming both and where.
 */
export function refuseWithoutRoom(files: Files, demands: readonly Demand[], hint: string): void {
  const together = Map.groupBy(demands, ({ path }) => files.statSync(existing(files, path)).dev);
  for (const group of together.values()) {
    const { bsize } = files.statfsSync(existing(files, group[0]!.path));
    const needed = group.reduce((sum, { bytes, files = 0 }) => sum + bytes + files * bsize, 0);
    const free = freeSpace(files, group[0]!.path);
    if (free === undefined || free >= needed) continue;
    const what = group.map(({ what }) => what).join(", ");
    throw new MailarkError(
      "FILE_FAILED",
      `${sizeText(needed)} are needed for ${what}, and ${sizeText(free)} are free`,
      {
        detail: [...new Set(group.map(({ path }) => path))].join("\n"),
        hint,
      },
    );
  }
}

/** Bytes that a user may still write on the file system that a path is on, or will be. `undefined`: it counts no blocks, as some in user space do. */
export function freeSpace(files: Files, path: string): number | undefined {
  const { bavail, blocks, bsize } = files.statfsSync(existing(files, path));
  return blocks === 0 ? undefined : bavail * bsize;
}

/** How many small files all of them lie in. */
export const filesOf = (items: readonly PlannedItem[]): number => items.reduce((sum, { files = 0 }) => sum + files, 0);

/** How much more a stage takes than what it brings back: a database that is loaded has indexes, and a log beside its rows. */
export function shareOf({ name }: Pick<Component, "name">, { kind }: Pick<Place, "kind">): number {
  return kind !== "directory" && (name === "mysql" || name === "postgres") ? 1.5 : 1;
}

/**
 * Where a stage fills this machine's disk; `undefined` where that is elsewhere or can not be told, as before a server runs. Then the stage
 * itself says what it lacks.
 */
export async function targetOf(component: Component, place: Place, world: World): Promise<string | undefined> {
  if (place.kind !== "service") return place.path;
  try {
    return await component.serviceDirectory?.(world);
  } catch {
    world.signal.throwIfAborted();
    return undefined;
  }
}

function existing(files: Files, path: string): string {
  for (let place = path; ; place = dirname(place)) {
    if (place === "/" || files.statSync(place, { throwIfNoEntry: false }) !== undefined) return place;
  }
}
