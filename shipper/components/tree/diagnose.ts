import { inTime, looked, obstacle } from "../../doctor/looking.ts";
import { fine, found, type Observation } from "../../doctor/observation.ts";
import { lookForTools, type Tools } from "../../doctor/tools.ts";
import { outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import { reach } from "../elsewhere.ts";
import { type TreeSource, versionCommand } from "./tar-command.ts";

/** GNU's tar and find, what puts files back, and the paths. */
export async function diagnoseTree(
  source: TreeSource,
  world: World,
  checkers: readonly Tools[] = [],
): Promise<readonly Observation[]> {
  const here: readonly Tools[] = [{ names: ["perl"], package: "perl", for: "restore" }, ...checkers];
  const obstacles = await inTime(world, (world) => reach(source.command, world)).then(
    () => [],
    (error) => {
      world.signal.throwIfAborted();
      return [obstacle("place", error)];
    },
  );
  return [
    ...obstacles,
    ...(await lookForTools(
      [{ names: ["tar", "find", "du"], package: "tar, findutils and coreutils", for: "capture" }],
      source.command,
      world,
    )),
    ...(await looked("tar", world, (world) => lookAtTar(source, world))),
    ...(await looked("paths", world, (world) => lookAtPaths(source, world))),
    ...(await lookForTools(here, [], world)),
  ];
}

async function lookAtTar({ command }: TreeSource, { processes, signal }: World): Promise<Observation[]> {
  const [said = ""] = (await outputOf(processes, versionCommand(command), { signal })).toString("utf8").split("\n");
  if (/GNU tar/.test(said)) return [fine("tar", said)];
  return [
    found("TOOL_UNFIT", "tar", `tar is not GNU's: ${said}`, {
      advice: "install tar of GNU, where PATH finds it first",
    }),
  ];
}

async function lookAtPaths({ paths, command }: TreeSource, { processes, signal }: World): Promise<Observation[]> {
  const words = [...command, "sh", "-c", readable, "sh", ...paths] as unknown as [string, ...string[]];
  const said = (await outputOf(processes, words, { signal })).toString("utf8");
  const missing = said.split("\n").flatMap((line) => (line === "" ? [] : [paths[Number(line) - 1]!]));
  if (missing.length === 0) return [fine("paths", paths.join(", "))];
  return missing.map((path) =>
    found("PATH_MISSING", "paths", `${path} is not there, or can not be read: each backup is partial`, {
      advice: `put ${path} back, or take it out of the configuration`,
    }),
  );
}

/** Prints the numbers of those that can not be read, from 1. A link is captured as it is. */
const readable = 'n=0; for path; do n=$((n + 1)); [ -L "$path" ] || [ -r "$path" ] || echo "$n"; done';
