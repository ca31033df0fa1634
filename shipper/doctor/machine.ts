/** What this machine gives a program: rights, limits, time and places. */
import { tmpdir } from "node:os";
import { asMailarkError } from "../../core/errors.ts";
import type { Files } from "../../core/ports/files.ts";
import type { World } from "../components/component.ts";
import { octal } from "../config.ts";
import { outputOf } from "../processes.ts";
import { readText } from "../state-files.ts";
import { sizeText } from "../terminal/quantity.ts";
import { tryToWrite } from "./configuration.ts";
import { looked, reasonOf } from "./looking.ts";
import { commandOf, fine, found, type Observation, unproven } from "./observation.ts";

/** Each of a few tools at once has a handful of pipes and files. */
const fewestOpenFiles = 256;
/** A stream of any size takes less than 250 MB; a drill's scratch servers have as much again. */
const leastMemory = 512 * 1024 * 1024;

export async function lookAtMachine(world: World): Promise<readonly Observation[]> {
  const { files } = world;
  return [
    lookAtUser(),
    ...(await looked("open files", world, () => [lookAtOpenFiles(files)])),
    ...(await looked("memory", world, () => [lookAtMemory(files)])),
    ...(await looked("umask", world, () => [lookAtUmask(files)])),
    lookAtTemporary(files),
    ...(await looked("time", world, lookAtTime)),
  ];
}

function lookAtUser(): Observation {
  if (process.getuid?.() === 0) return fine("user", "root");
  return found(
    "NOT_ROOT",
    "user",
    "not root: mailboxes, the queue and keys of others may not be readable, and no owner can be given back",
    {
      advice: "run mailark as root",
    },
  );
}

/** proc(5) limits: soft, then hard. */
function lookAtOpenFiles(files: Files): Observation {
  const said = /^Max open files\s+(\d+|unlimited)/m.exec(readText(files, "/proc/self/limits") ?? "")?.[1];
  if (said === undefined) return unproven("open files", "the system does not say");
  if (said === "unlimited" || Number(said) >= fewestOpenFiles) return fine("open files", `at most ${said}`);
  return found("OPEN_FILES_FEW", "open files", `this process may open ${said} files at once`, {
    advice: "raise the limit of open files: ulimit -n 1024, or LimitNOFILE= in a unit of systemd",
  });
}

/** proc(5) meminfo. */
function lookAtMemory(files: Files): Observation {
  const said = /^MemAvailable:\s+(\d+) kB/m.exec(readText(files, "/proc/meminfo") ?? "")?.[1];
  if (said === undefined) return unproven("memory", "the system does not say");
  const bytes = Number(said) * 1024;
  if (bytes >= leastMemory) return fine("memory", `${sizeText(bytes)} are available`);
  return found("MEMORY_LOW", "memory", `${sizeText(bytes)} are available; a backup takes up to 250 MB, a drill more`, {
    advice: "add memory or swap, or run backups when the services need less of it",
  });
}

/** proc(5) status. Mailark sets modes itself: what takes its own rights away would lock it out of its own files. */
function lookAtUmask(files: Files): Observation {
  const said = /^Umask:\s+([0-7]+)/m.exec(readText(files, "/proc/self/status") ?? "")?.[1];
  if (said === undefined) return unproven("umask", "the system does not say");
  const mask = Number.parseInt(said, 8);
  if ((mask & 0o700) === 0) return fine("umask", octal(mask));
  return found("UMASK_STRANGE", "umask", `${octal(mask)} takes the owner's own rights from every new file`, {
    advice: "set umask 077 in what starts mailark: in the shell, or as UMask= in a unit of systemd",
  });
}

function lookAtTemporary(files: Files): Observation {
  const directory = tmpdir();
  try {
    tryToWrite(files, directory);
    return fine("temporary files", directory);
  } catch (thrown) {
    const error = asMailarkError(thrown);
    const detail = `nothing can be written in ${directory}: ${reasonOf(error)}`;
    const isThere = files.statSync(directory, { throwIfNoEntry: false }) !== undefined;
    const fix = isThere
      ? { advice: error.hint ?? `set TMPDIR to a directory that can be written, in the place of ${directory}` }
      : commandOf("mkdir", "-p", "-m", "1777", "--", directory);
    return found("TEMPORARY_UNUSABLE", "temporary files", detail, fix);
  }
}

/** Whether the clock is kept by anything. Whether it is right is asked of the store. */
async function lookAtTime({ processes, signal }: World): Promise<Observation[]> {
  const words = ["timedatectl", "show", "--property=NTPSynchronized", "--value"] as const;
  const said = (await outputOf(processes, words as unknown as [string], { signal })).toString("utf8").trim();
  if (said === "yes") return [fine("time", "the clock is synchronised")];
  if (said !== "no") return [unproven("time", "timedatectl does not say whether the clock is synchronised")];
  return [
    found(
      "CLOCK_NOT_SYNCHRONISED",
      "time",
      "the clock of this machine is kept by nothing",
      commandOf("timedatectl", "set-ntp", "true"),
    ),
  ];
}
