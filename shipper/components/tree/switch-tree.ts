/** Puts staged trees in the place of live ones: each in one step, all or none, and what was there is kept. */
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import { flushDirectory } from "../../../core/ports/files.ts";
import { outputOf } from "../../processes.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { World } from "../component.ts";
import { freeName, type SwitchPoint, switching } from "./place-tree.ts";
import { parentsOf } from "./vet.ts";

/** What was live before, and where it is now. Absolute paths in latin1. */
export interface Kept {
  readonly live: string;
  readonly kept: string;
}

/**
 * At any moment there is at each path either what was there before or what was staged, also when this is killed.
 *
 * @throws MailarkError what a step failed with; then everything is as it was before, unless it says that it could not be taken back.
 */
export async function switchTrees(points: readonly SwitchPoint[], snapshotId: string, world: World): Promise<Kept[]> {
  const { files } = world;
  const undo: Undo[] = [];
  const kept: Kept[] = [];
  const workshopOf = ({ workshop }: SwitchPoint) =>
    workshop.replace(/[^/]*$/, (name) => name.replace(/^\.mailark-restore-/, switching));
  try {
    for (const point of points) {
      world.signal.throwIfAborted();
      const { live, workshop, exists } = point;
      const marked = workshopOf(point);
      rename(files, workshop, marked);
      undo.push({ point, step: () => rename(files, marked, workshop) });
      const staged = `${marked}${live}`;
      if (exists) {
        await exchange(staged, live, world);
        undo.push({ point, step: () => exchange(staged, live, world) });
      } else {
        rename(files, staged, live);
        undo.push({ point, step: () => rename(files, live, staged) });
      }
    }
    world.signal.throwIfAborted();
    for (const point of points.filter(({ exists }) => exists)) {
      const { live } = point;
      const to = freeName(files, `${live}.before-mailark-${snapshotId}`);
      const from = `${workshopOf(point)}${live}`;
      rename(files, from, to);
      undo.push({ point, step: () => rename(files, to, from) });
      kept.push({ live, kept: to });
    }
    for (const { live } of points)
      flushDirectory(files, bytePath(live.replace(/\/[^/]*$/, "") || "/") as unknown as string);
  } catch (error) {
    const left = await takeBack(undo);
    if (left.length === 0) throw error;
    throw new MailarkError("RESTORE_FAILED", "a switch failed, and could not be taken back to its end", {
      detail: [error, ...left].map((one) => (one instanceof Error ? one.message : String(one))).join("\n"),
      hint: `look at each path: it is either as before or restored, and the other one is in a directory ${switching}… beside it`,
      cause: error,
    });
  }
  for (const point of points) {
    try {
      removeEmptied(files, workshopOf(point), point.live);
    } catch (error) {
      // The files are in their place, and what was there is kept: that is what the caller must hear of.
      world.warn?.(
        "an empty directory of the restore could not be removed",
        `${pathText(workshopOf(point))}: ${error}`,
      );
    }
  }
  return kept;
}

interface Undo {
  readonly point: SwitchPoint;
  readonly step: () => void | Promise<void>;
}

/**
 * Every step, the last first; returns what failed. A point of which one fails is left there: what was live may be in its workshop, which is
 * swept away once it has its first name again.
 */
async function takeBack(undo: Undo[]): Promise<unknown[]> {
  const failures = new Map<SwitchPoint, unknown>();
  for (const { point, step } of undo.reverse()) {
    if (failures.has(point)) continue;
    try {
      await step();
    } catch (error) {
      failures.set(point, error);
    }
  }
  return [...failures.values()];
}

function rename(files: Files, from: string, to: string): void {
  files.renameSync(bytePath(from), bytePath(to));
}

/** `renameat2` with RENAME_EXCHANGE (renameat2(2)), which Node has not. Its numbers: asm/unistd.h. */
const renameat2: Partial<Record<string, number>> = { x64: 316, arm64: 276 };

/** No signal reaches it, nor a terminal's interrupt: of a program that was killed nobody knows whether it had done the step. */
async function exchange(one: string, other: string, { processes }: World): Promise<void> {
  const number = renameat2[process.arch];
  const paths = [one, other].map((path) => bytePath(path).toString("hex"));
  const script = `my ($n, @p) = @ARGV; $_ = pack("H*", $_) for @p;
    syscall($n + 0, -100, $p[0], -100, $p[1], 2) == 0 or die "$!\\n"`;
  try {
    if (number === undefined) throw new Error(`not known on ${process.arch}`);
    await outputOf(processes, ["setsid", "perl", "-e", script, String(number), ...paths]);
  } catch (cause) {
    throw new MailarkError("RESTORE_FAILED", "two paths could not be exchanged in one step", {
      detail: `${pathText(other)}: ${cause instanceof MailarkError ? (cause.detail ?? cause.message) : cause}`,
      hint: "restore into a directory with --to, and take it from there; nothing was changed",
      cause,
    });
  }
}

/** Only directories that are empty: whatever else is there was not made here. */
function removeEmptied(files: Files, workshop: string, live: string): void {
  for (const parent of parentsOf(live.slice(1)).reverse()) {
    if (files.lstatSync(bytePath(`${workshop}/${parent}`), { throwIfNoEntry: false })) {
      files.rmdirSync(bytePath(`${workshop}/${parent}`));
    }
  }
  files.rmdirSync(bytePath(workshop));
}
