/**
 * Programs at another place, which the words before them lead to: `docker exec -i NAME`. What such words start is no child of ours. It does not
 * end when they are killed, so it has to notice by itself: its input ends.
 */
import { randomBytes } from "node:crypto";
import { MailarkError } from "../../core/errors.ts";
import { outputOf, type Processes } from "../processes.ts";
import type { World } from "./component.ts";

/**
 * The directory that a service names as its own, where it is on this machine: its programs run here, perhaps as another user, it is reached without
 * a network, and there is such a directory.
 */
export async function directoryHere(
  { command, host }: { readonly command: readonly string[]; readonly host?: string | undefined },
  { files }: Pick<World, "files">,
  ask: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const runsHere = command.length === 0 || /(^|\/)(runuser|sudo|su)$/.test(command[0]!);
  if (!runsHere || (host !== undefined && !["localhost", "127.0.0.1", "::1"].includes(host))) return undefined;
  const directory = await ask();
  return directory && files.statSync(directory, { throwIfNoEntry: false }) ? directory : undefined;
}

/**
 * The command line of a program that reads no input, at a place: there it ends when its input does, so whoever starts it keeps that open. Here
 * it is the program itself.
 *
 * @param before runs first, and reads from the input what is meant for it.
 */
export function leashed(
  place: readonly string[],
  words: readonly string[],
  before: readonly string[] = [],
): [string, ...string[]] {
  const all = place.length === 0 ? words : [...place, ...before, "sh", "-c", leash, "sh", ...words];
  return all as unknown as [string, ...string[]];
}

/**
 * Nothing but the program is left when the shell ends, or is left to the first process of a container, which may never look after it.
 * File descriptors below 9 are the program's.
 */
const leash = `
exec 9<&0
"$@" < /dev/null 9<&- &
program=$!
{ read -r end <&9; kill -KILL "$program"; } > /dev/null 2>&1 &
watch=$!
exec 9<&- < /dev/null
wait "$program"; status=$?
kill "$watch" 2> /dev/null
wait "$watch"
exit "$status"`;

/** Starts programs that take a secret as the first line of their input. */
export function telling(processes: Processes, secret: string): Processes {
  return {
    async start(command, options) {
      const running = await processes.start(command, options);
      running.stdin.write(`${secret}\n`);
      return running;
    },
  };
}

/**
 * Where a scratch server is run: at the place where the live one is, so that it is of the same kind; on this machine, where none of the programs is
 * at that place, or it can not be reached.
 */
export async function placeWith(
  programs: readonly string[],
  place: readonly string[],
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<readonly string[]> {
  if (place.length === 0) return place;
  const words = [...place, "sh", "-c", lookFor, "sh", ...programs] as unknown as [string, ...string[]];
  const found = await outputOf(processes, words, { signal }).catch(() => undefined);
  signal.throwIfAborted();
  return found === undefined ? [] : place;
}

const lookFor = 'PATH=$PATH:/usr/sbin:/sbin; for name; do ! command -v "$name" || exit 0; done; exit 1';

/** Where a scratch place is made that is asked for at a path of this machine: at that path, or in a directory that every place has. */
export function scratchPathAt(place: readonly string[], path: string): string {
  return place.length === 0 ? path : `/var/tmp/mailark-${randomBytes(8).toString("hex")}`;
}

/**
 * Makes sure that programs can be run at a place. Words of podman and of docker tell what is in the way.
 *
 * @throws MailarkError `PLACE_UNREACHABLE` with the way out; `PROGRAM_MISSING` when the words themselves name no program, or the place has no `sh`.
 */
export async function reach(
  place: readonly string[],
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<void> {
  if (place.length === 0) return;
  try {
    await outputOf(processes, [...place, "sh", "-c", ":"] as unknown as [string, ...string[]], { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") throw error;
    throw explained(error, place);
  }
}

function explained(error: MailarkError, place: readonly string[]): MailarkError {
  const said = error.detail ?? "";
  const detail = [place.join(" "), said].filter(Boolean).join("\n");
  if (/exit status 12[67]$/.test(error.message)) {
    return new MailarkError("PROGRAM_MISSING", "the place where the programs run has no sh", {
      detail,
      hint: "name a container whose image has a shell",
      cause: error,
    });
  }
  const known = obstacles.find(({ sign }) => sign.test(said));
  return new MailarkError("PLACE_UNREACHABLE", known?.message ?? "the programs of a service can not be reached", {
    detail,
    hint: known?.hint ?? "run the words of `command` with `true` behind them, by hand, and mend what they say",
    retryable: true,
    cause: error,
  });
}

/** podman tells a paused container from a stopped one by nothing. */
const obstacles = [
  {
    sign: /no such (container|object|service)|No such container|no container with name/i,
    message: "there is no container of that name",
    hint: "correct the name in `command`; `docker ps` or `podman ps` lists those that run",
  },
  {
    sign: /container state improper|is paused|is not running|paused/i,
    message: "the container is stopped or paused",
    hint: "start or unpause it: nothing can be run in it as it is. To keep a service quiet, pause its clients, never the service",
  },
  {
    sign: /Cannot connect to the Docker daemon|connection refused|permission denied.*docker\.sock/i,
    message: "the container engine does not answer",
    hint: "start it, and run mailark as a user who may use it",
  },
];
