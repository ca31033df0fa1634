/** Programs that a component needs, where it runs them. */

import type { World } from "../components/component.ts";
import { outputOf } from "../processes.ts";
import { looked } from "./looking.ts";
import { fine, found, type Observation } from "./observation.ts";

export interface Tools {
  /** All of them; or, with `any`, one of them. */
  readonly names: readonly string[];
  readonly any?: true;
  /** Debian's name of what has them. */
  readonly package: string;
  /** A capture fails without them; or a restore is not proven, or not possible. */
  readonly for: "capture" | "restore";
  /** What is not at the place may be on this machine. */
  readonly orHere?: true;
  /** Directories where they are looked for besides those of PATH. */
  readonly also?: readonly string[];
}

/**
 * One observation for those that are there, and one for each package that is missing.
 *
 * @param place put before every program, to run it elsewhere.
 */
export async function lookForTools(
  wanted: readonly Tools[],
  place: readonly string[],
  world: Pick<World, "processes" | "clock" | "signal">,
): Promise<readonly Observation[]> {
  return looked("tools", world, async (world) => {
    const there: string[] = [];
    const missing: Observation[] = [];
    for (const tools of wanted) {
      const present = await presentAt(place, tools, world);
      if (tools.orHere && present.length === 0 && place.length > 0)
        present.push(...(await presentAt([], tools, world)));
      there.push(...present);
      const lacking = tools.names.filter((name) => !present.includes(name));
      if (tools.any ? present.length === 0 : lacking.length > 0) missing.push(lacks(tools, lacking, place));
    }
    return [...(there.length > 0 ? [fine("tools", there.join(", "))] : []), ...missing];
  });
}

async function presentAt(
  place: readonly string[],
  { also = [], names }: Tools,
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<string[]> {
  const words = [...place, "sh", "-c", look, "sh", also.join(":"), ...names] as unknown as [string, ...string[]];
  const said = await outputOf(processes, words, { signal });
  return said
    .toString("utf8")
    .split("\n")
    .filter((name) => name !== "");
}

function lacks(
  { any, package: name, for: purpose }: Tools,
  lacking: readonly string[],
  place: readonly string[],
): Observation {
  const where = place.length === 0 ? "here" : `where ${place.join(" ")} leads`;
  const what = `there is no ${lacking.join(any ? " and no " : ", no ")} ${where}`;
  const detail = purpose === "capture" ? what : `${what}: a restore or a drill can not do without, or proves less`;
  return found(purpose === "capture" ? "TOOL_MISSING" : "RESTORE_TOOL_MISSING", "tools", detail, {
    advice: place.length === 0 ? `install ${name}; no service of it needs to run` : `use an image that has ${name}`,
  });
}

/** Arguments: more directories, with colons; names. Prints those that are there. */
const look =
  '[ -z "$1" ] || PATH=$PATH:$1; shift; for name; do ! command -v -- "$name" > /dev/null || echo "$name"; done';
