/**
 * Where a tree is staged: one directory, or for a service a workshop beside each thing that it will replace, on the same file system, so that
 * a single rename or exchange switches it.
 */
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { World } from "../component.ts";
import { parentsOf } from "./vet.ts";

/** One thing that a service gets back in one step. Paths in latin1. */
export interface SwitchPoint {
  /** Absolute: what is replaced, or made. Either a wanted path, or the highest missing directory above it. */
  readonly live: string;
  /** The wanted paths that come with it, below the top. */
  readonly wanted: readonly string[];
  /** Absolute: an empty directory that the files are extracted below. */
  readonly workshop: string;
  readonly exists: boolean;
}

/** A workshop with nothing but what a restore wrote. */
const staging = ".mailark-restore-";
/** One that may hold what was live before. */
export const switching = ".mailark-switch-";

/**
 * Finds out where wanted paths go, and refuses before anything is touched what can not be switched in one step.
 *
 * @throws MailarkError `RESTORE_FAILED` for what is directly below the root directory, a mount point, or a parent that is no directory.
 */
export function switchPoints(files: Files, wanted: readonly string[], snapshotId: string): SwitchPoint[] {
  const points = new Map<string, SwitchPoint>();
  for (const path of wanted) {
    const missing = [...parentsOf(path), path].find((each) => statusOf(files, `/${each}`) === undefined);
    const live = `/${missing ?? path}`;
    const parent = live.replace(/\/[^/]*$/, "") || "/";
    refuseUnlessSwitchable(files, live, parent, missing === undefined);
    const before = points.get(live);
    points.set(live, {
      live,
      wanted: [...(before?.wanted ?? []), path],
      workshop: `${parent === "/" ? "" : parent}/${staging}${snapshotId}-${points.size + (before ? 0 : 1)}`,
      exists: missing === undefined,
      ...(before && { workshop: before.workshop }),
    });
  }
  return [...points.values()];
}

function refuseUnlessSwitchable(files: Files, live: string, parent: string, exists: boolean): void {
  const status = files.statSync(bytePath(parent));
  const refuse = (what: string) => {
    throw new MailarkError("RESTORE_FAILED", `a path can not be switched in one step: ${what}`, {
      detail: pathText(live),
      hint: "restore into a directory with --to, and take it from there",
    });
  };
  if (!status.isDirectory()) refuse("what it is in is no directory");
  // A snapshot that names /etc or /root as a whole is a mistake, or worse.
  if (exists && parent === "/") refuse("it is a directory of the system itself");
  if (exists && files.lstatSync(bytePath(live)).dev !== status.dev) refuse("it is a mount point");
}

function statusOf(files: Files, path: string) {
  return files.lstatSync(bytePath(path), { throwIfNoEntry: false });
}

/**
 * Clears away what a restore that was killed left: what it wrote itself is removed. One that was killed while it switched may hold what was live
 * before; that is kept beside, under the name that everything has that is kept.
 */
export function sweepWorkshops(
  { files, progress, warn }: World,
  points: readonly SwitchPoint[],
  remove: (path: string) => void,
) {
  for (const parent of new Set(points.map(({ workshop }) => workshop.replace(/\/[^/]*$/, "")))) {
    const names = files.readdirSync(bytePath(parent || "/"), { encoding: "latin1" }) as string[];
    for (const name of names.filter((each) => each.startsWith(staging))) {
      progress("removing what a restore that was killed left");
      remove(`${parent}/${name}`);
    }
    for (const name of names.filter((each) => each.startsWith(switching))) {
      const kept = freeName(files, `${parent}/${name.slice(1)}.before-mailark-killed`);
      files.renameSync(bytePath(`${parent}/${name}`), bytePath(kept));
      warn?.("a restore was killed while it switched: what may have been live before it is kept", pathText(kept));
    }
  }
}

/** A path that nothing has yet: the one that is asked for, or that with a number. */
export function freeName(files: Files, path: string): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? path : `${path}-${number}`;
    if (statusOf(files, name) === undefined) return name;
  }
}
