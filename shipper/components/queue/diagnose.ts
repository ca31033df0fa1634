import type { Observation } from "../../doctor/observation.ts";
import { lookForTools } from "../../doctor/tools.ts";
import type { World } from "../component.ts";
import type { QueueConfig } from "./config.ts";

/** The programs. Where a configuration names the directory, a capture can do without Postfix; a restore can not. */
export async function diagnoseQueue(config: QueueConfig, world: World): Promise<readonly Observation[]> {
  const postfix = { names: ["postconf"], package: "postfix" } as const;
  return lookForTools(
    [
      { names: ["find", "tar"], package: "findutils and tar", for: "capture" },
      { ...postfix, for: config.directory === undefined ? "capture" : "restore" },
      { names: ["postsuper", "postqueue"], package: "postfix", for: "restore" },
    ],
    config.command,
    world,
  );
}
