/** What a drill needs besides what the components need: room that every account may pass into, and a network with nothing in it. */
import { dirname } from "node:path";
import { asMailarkError } from "../../core/errors.ts";
import type { World } from "../components/component.ts";
import { refuseUnlessOpen } from "../drill/drill.ts";
import { isolate } from "../drill/whole-host/isolation.ts";
import { freeSpace } from "../free-space.ts";
import { outputOf } from "../processes.ts";
import { sizeText } from "../terminal/quantity.ts";
import { tryToWrite } from "./configuration.ts";
import { looked, reasonOf } from "./looking.ts";
import { commandOf, fine, found, type Observation, unproven } from "./observation.ts";
import { lookForTools } from "./tools.ts";

/** @param needed bytes that the components take when they are brought back; `undefined` where one of them could not say. */
export async function lookAtDrill(
  scratch: string,
  needed: number | undefined,
  world: World,
): Promise<readonly Observation[]> {
  return [
    ...(await lookForTools(
      [{ names: ["setsid", "setpriv", "unshare"], package: "util-linux", for: "restore" }],
      [],
      world,
    )),
    ...(await looked("scratch", world, (world) => lookAtScratch(scratch, world))),
    ...(await looked("room", world, () => [lookAtRoom(scratch, needed, world)])),
    ...(await looked("isolation", world, lookAtIsolation)),
  ];
}

async function lookAtScratch(scratch: string, world: World): Promise<Observation[]> {
  const { files, signal } = world;
  const check = "scratch";
  const unusable = (detail: string, fix: Parameters<typeof found>[3]) => [
    found("SCRATCH_UNUSABLE", check, detail, fix),
  ];
  if (!files.statSync(scratch, { throwIfNoEntry: false })?.isDirectory()) {
    return unusable(`${scratch} is no directory`, commandOf("mkdir", "-p", "-m", "1777", "--", scratch));
  }
  try {
    tryToWrite(files, scratch);
    if (process.getuid?.() === 0) await refuseUnlessOpen(scratch, world);
    return [fine(check, scratch)];
  } catch (thrown) {
    signal.throwIfAborted();
    const error = asMailarkError(thrown);
    if (error.code === "PROGRAM_MISSING") return [unproven(check, reasonOf(error))];
    const closed = aboveOf(scratch).filter((path) => (files.statSync(path).mode & 0o001) === 0);
    if (error.code === "ARGUMENT_INVALID" && closed.length > 0) {
      return unusable(`${error.message}: ${closed.join(", ")}`, {
        advice: "name another directory with --scratch, one that every account can pass into",
      });
    }
    return unusable(`nothing can be made in ${scratch}: ${reasonOf(error)}`, {
      advice: error.hint ?? "name another directory with --scratch",
    });
  }
}

const aboveOf = (path: string): string[] => (path === "/" ? ["/"] : [...aboveOf(dirname(path)), path]);

function lookAtRoom(scratch: string, needed: number | undefined, { files }: World): Observation {
  const free = freeSpace(files, scratch);
  if (free === undefined) return unproven("room", `the file system of ${scratch} does not say how much is free`);
  if (needed === undefined) return unproven("room", "not every component could say how much it has");
  if (free >= needed)
    return fine("room", `${sizeText(free)} are free in ${scratch}, a drill takes about ${sizeText(needed)}`);
  return found(
    "SCRATCH_SPACE_LOW",
    "room",
    `${sizeText(free)} are free in ${scratch}, and a drill takes about ${sizeText(needed)}`,
    {
      advice: "free space there, or name a directory with more room with --scratch",
    },
  );
}

/** The same words that a drill uses: nothing of the machine is changed. */
async function lookAtIsolation({ processes, signal }: World): Promise<Observation[]> {
  const run = (words: readonly string[]) => outputOf(processes, words as unknown as [string, ...string[]], { signal });
  const { missing } = await isolate({ path: "/", run }, [], { signal });
  if (missing === undefined) return [fine("isolation", "a network namespace with nothing in it")];
  return [
    found("ISOLATION_MISSING", "isolation", `${missing}: a drill sends no message through what it brings back`, {
      advice: "install util-linux and iproute2, and drill as root on a machine that may make network namespaces",
    }),
  ];
}
