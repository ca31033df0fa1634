/** Brings a captured tree back beside everything live and, for a service, puts it in its place once it was judged. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { outputOf } from "../../processes.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { Check, Place, Selection, World } from "../component.ts";
import { removeTree } from "../remove-tree.ts";
import { namesAtTarget, refuseUnlessEmpty } from "../target-names.ts";
import { checkTree } from "./check-tree.ts";
import { type SwitchPoint, sweepWorkshops, switchPoints } from "./place-tree.ts";
import { type RestoredTree, restoreTree } from "./restore-tree.ts";
import type { StagedTree } from "./staged-tree.ts";
import { type Kept, switchTrees } from "./switch-tree.ts";
import { archivePath } from "./tar-command.ts";
import { readTreeFacts, type TreeFacts } from "./tree-facts.ts";
import { detached } from "./wanted.ts";

export interface StageTreeOptions {
  /** What the configuration lets a restore replace; absent: whatever the snapshot has. */
  readonly paths?: readonly string[] | undefined;
  /** Where the files came from; those of another place can not be put there. */
  readonly command: readonly string[];
  /** What the component says of a staged tree, beside what holds of every one; it keeps no file from its place. */
  readonly judge?: (staged: StagedTree, world: World) => Promise<readonly Check[]>;
}

/**
 * @throws MailarkError `TARGET_NOT_EMPTY` or `RESTORE_FAILED` before anything is touched; `CHECK_FAILED` where a service would get what is not as
 *   it was captured: it is then as before; otherwise what went wrong, with nothing of it left.
 */
export async function stageTree(
  snapshot: SnapshotReader,
  place: Place,
  selection: Selection,
  world: World,
  options: StageTreeOptions,
): Promise<StagedTree> {
  if (place.kind !== "service") refuseUnlessEmpty(world.files, place.path);
  const captured = await readTreeFacts(snapshot);
  const wanted = wantedPaths(captured, selection);
  const facts = detached(captured, wanted);
  if (place.kind === "service") return stageService(snapshot, captured, wanted, world, options);
  const root = Buffer.from(place.path, "utf8").toString("latin1");
  const takeBack = () => {
    if (place.kind === "scratch") removeTree(world.files, root);
    else for (const name of namesAtTarget(world.files, root)) removeAny(world, `${root}/${name}`);
  };
  world.files.mkdirSync(place.path, { recursive: true, mode: 0o700 });
  try {
    const only = selection.paths === undefined ? {} : { only: wanted };
    const tree = await restoreTree(snapshot, place.path, world, { ...only, facts: captured });
    if (place.kind === "directory") await flush([place.path], world);
    if (!tree.owners && place.kind === "directory") {
      world.warn?.("restored files belong to the user that runs this: only root can give them to their owners");
    }
    const remove = async () => {
      if (place.kind === "scratch") takeBack();
    };
    return { place, root, trees: [tree], facts, wanted, where: whereIn([tree]), remove };
  } catch (error) {
    takeBack();
    throw error;
  }
}

async function stageService(
  snapshot: SnapshotReader,
  captured: TreeFacts,
  wanted: readonly string[],
  world: World,
  { paths, command, judge }: StageTreeOptions,
): Promise<StagedTree> {
  const facts = detached(captured, wanted);
  if (command.length > 0) {
    throw new MailarkError("RESTORE_FAILED", "files can not be put into another place than this machine", {
      hint: "restore into a directory with --to, and copy them from there",
    });
  }
  const allowed = paths?.map(archivePath);
  const other = wanted.find((path) => allowed && !allowed.some((one) => path === one || path.startsWith(`${one}/`)));
  if (other !== undefined) {
    throw new MailarkError("RESTORE_FAILED", "the snapshot has a path that the configuration does not name", {
      detail: `/${pathText(other)}`,
      hint: "add it to the paths of the configuration, or name what to restore with --path",
    });
  }
  const { snapshotId } = snapshot.manifest;
  const points = switchPoints(world.files, wanted, snapshotId);
  sweepWorkshops(world, points, (path) => removeTree(world.files, path));
  const place: Place = { kind: "service" };
  const trees: RestoredTree[] = [];
  const clean = () => {
    for (const { workshop } of points) removeTree(world.files, workshop);
  };
  let judged: Check[];
  let kept: readonly Kept[];
  try {
    for (const point of points) trees.push(await extractBeside(snapshot, captured, point, world));
    await flush(
      trees.map(({ root }) => root),
      world,
    );
    const before: StagedTree = { place, root: "", trees, facts, wanted, where: whereIn(trees), remove: async () => {} };
    judged = await checkTree(before, world);
    const failed = judged.filter(({ outcome }) => outcome === "failed");
    if (failed.length > 0) {
      throw new MailarkError(
        "CHECK_FAILED",
        `${failed.length} checks of the staged files failed: what is live was not touched`,
        {
          detail: failed.map(({ name, detail }) => `${name}: ${detail}`).join("\n"),
          hint: "look at it with --to DIR, or try an older snapshot with --at",
        },
      );
    }
    // What a service says of its own files was so on the host: they come back, and it is told.
    judged.push(...((await judge?.(before, world)) ?? []));
    world.progress("putting the files in their place");
    kept = await switchTrees(points, snapshotId, world);
  } catch (error) {
    clean();
    throw error;
  }
  const where = (path: string) => (wanted.some((one) => isBelow(path.slice(1), one)) ? path : undefined);
  return { place, root: "", trees, facts, wanted, where, judged, kept, remove: async () => {} };
}

async function extractBeside(
  snapshot: SnapshotReader,
  facts: TreeFacts,
  { workshop, wanted }: SwitchPoint,
  world: World,
) {
  world.files.mkdirSync(bytePath(workshop), { mode: 0o700 });
  return restoreTree(snapshot, pathText(workshop), world, { only: wanted, facts });
}

/** Everything that was written is on the disk when this resolves. */
async function flush(paths: readonly string[], { processes, signal }: World): Promise<void> {
  await outputOf(processes, ["sync", "--file-system", ...paths], { signal });
}

/** The paths that a selection names, or all that were captured. */
export function wantedPaths(facts: TreeFacts, { paths }: Selection): readonly string[] {
  if (paths === undefined) return facts.roots;
  return paths.map((path) => {
    const wanted = archivePath(path);
    if (facts.entries.some((entry) => entry.path === wanted) && facts.roots.some((root) => isBelow(wanted, root)))
      return wanted;
    throw new MailarkError("ARGUMENT_INVALID", "the snapshot does not have a path that was asked for", {
      detail: path,
      hint: `it has ${facts.roots.map((root) => `/${pathText(root)}`).join(", ")} and what is below`,
    });
  });
}

const isBelow = (path: string, top: string) => path === top || path.startsWith(`${top}/`);

function whereIn(trees: readonly RestoredTree[]): StagedTree["where"] {
  return (path) => {
    const tree = trees.find(({ paths }) => paths.has(path.slice(1)));
    return tree && `${Buffer.from(tree.root, "utf8").toString("latin1")}${path}`;
  };
}

function removeAny({ files }: World, path: string): void {
  if (files.lstatSync(bytePath(path)).isDirectory()) removeTree(files, path);
  else files.unlinkSync(bytePath(path));
}
