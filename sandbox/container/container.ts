import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MailarkError } from "../../core/errors.ts";
import { nodeProcesses, outputOf } from "../../shipper/processes.ts";
import { startWatcher } from "../host/watcher.ts";
import { containerName, type Podman, podmanIn, withRuntime } from "./podman.ts";
import { makeSkeleton } from "./skeleton.ts";

export interface ContainerOptions {
  /** What it is, as a part of its name. */
  readonly name: string;
  /** Its first process: it ends with that. Default: one that waits. */
  readonly command?: readonly [string, ...string[]];
  /** Directories of this machine, by where they are in the container. */
  readonly volumes?: Readonly<Record<string, string>>;
  /** Programs of the machine that it lacks. */
  readonly without?: readonly string[];
  /** Makes what is in it before it starts, given where its root directory is on this machine. */
  readonly prepare?: (root: string) => void;
  /** Whether its service does its work; asked until it says yes, given where its root directory is. */
  readonly ready?: (root: string) => Promise<boolean>;
}

/** A container of the sandbox. It shares this machine's programs and network, and nothing else. */
export interface Container {
  readonly name: string;
  /** What a configuration has as `command`: the words before a program that is to run in it. */
  readonly command: readonly [string, ...string[]];
  /** The words before a program that is to run in a container of its own with the same files, also while this one is stopped. */
  readonly oneOff: readonly [string, ...string[]];
  /** Its root directory, as this machine sees it. No program in it knows that path. */
  readonly root: string;
  readonly podman: Podman;
  /** What a program in it prints. Throws `PROGRAM_FAILED`. */
  run(words: readonly string[], input?: string | Uint8Array): Promise<string>;
  /** The command lines of all that runs in it, words separated by blanks, without the one that looks. */
  processes(): Promise<string[]>;
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** Ends its processes; it is still there. */
  stop(): Promise<void>;
  /** Starts it again; does not wait for its service. */
  start(): Promise<void>;
  /** Ends it and leaves nothing of it. May be called again. */
  remove(): Promise<void>;
}

const waiting = ["sleep", "infinity"] as const;
const startSeconds = 30;

/**
 * Starts a container out of the machine's own programs. It ends with this process, however that one ends.
 *
 * @throws MailarkError `PROGRAM_MISSING` naming the Debian package; `PROGRAM_FAILED` where no container can be run, or with the words
 *   of its service where that does not come up.
 */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const container = await withRuntime((runtime) => create(runtime, options));
  try {
    await waitUntil(() => options.ready?.(container.root) ?? Promise.resolve(true), container);
    return container;
  } catch (error) {
    await container.remove();
    throw error;
  }
}

async function create(
  runtime: string,
  { name: what, command = waiting, volumes = {}, without = [], prepare }: ContainerOptions,
): Promise<Container> {
  const directory = makeDirectory();
  chmodSync(directory, 0o711);
  const podman = podmanIn(directory, runtime);
  const name = containerName(what);
  const rm = [...podman.words, "rm", "--all", "--force", "--time", "0"];
  const farewell = ["sh", "-c", removeAll, "sh", directory, ...rm] as const;
  const watcher = startWatcher(directory, farewell);
  let removed: Promise<void> | undefined;
  const remove = () => {
    removed ??= (async () => {
      await outputOf(nodeProcesses, farewell);
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
      await watcher.dismiss();
    })();
    return removed;
  };
  const prefix = [...podman.words, "exec", "-i", name] as const;
  const run = async (words: readonly string[], input: string | Uint8Array = "") =>
    (await outputOf(nodeProcesses, [...prefix, ...words], { input })).toString("utf8");
  try {
    const { root, mounts } = makeSkeleton(directory, without);
    prepare?.(root);
    const mounted = Object.entries(volumes).flatMap(([inside, here]) => ["--volume", `${here}:${inside}`]);
    const files = [...limits, ...mounts, ...mounted, "--rootfs", root];
    await podman.run(["run", "--detach", "--name", name, ...files, ...command]);
    return {
      name,
      command: prefix,
      oneOff: [...podman.words, "run", "--rm", "-i", ...files],
      root,
      podman,
      run,
      async processes() {
        const lines = (await run(["sh", "-c", listProcesses])).split("\n").map((line) => line.trim());
        return lines.filter((line) => line !== "");
      },
      pause: async () => void (await podman.run(["pause", name])),
      unpause: async () => void (await podman.run(["unpause", name])),
      stop: async () => void (await podman.run(["stop", "--time", "0", name])),
      start: async () => void (await podman.run(["start", name])),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Podman wants a short path. */
function makeDirectory(): string {
  const name = `mailark-c-${process.pid}-`;
  return mkdtempSync(join(tmpdir().length + name.length > 40 ? "/tmp" : tmpdir(), name));
}

/**
 * Arguments: the directory, and the command that removes the containers. What the engine does after a container's end goes on for a moment, and
 * would make the directory anew.
 */
const removeAll = `
directory=$1; shift
busy() {
  for each in /proc/[0-9]*; do
    read -r name < "$each/comm" || continue
    case $name in conmon | podman) ! grep -qaF -- "$directory/" "$each/cmdline" || return 0 ;; esac
  done 2> /dev/null
  return 1
}
"$@" || exit
tries=0
while busy && [ "$tries" -lt 300 ]; do tries=$((tries + 1)); sleep 0.05; done`;

/** The limits that podman would raise are not ours to raise on every machine. */
const limits = [
  ...["--net", "host"],
  ...["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"],
  ...["--security-opt", "apparmor=unconfined"],
  ...["--log-driver", "k8s-file"],
  ...["--env", "LANG=C.UTF-8", "--env", "TZ=UTC"],
];

/** Zombies have no command line. */
const listProcesses =
  'for each in /proc/[0-9]*; do [ "$each" = "/proc/$$" ] || tr "\\0\\n" "  " < "$each/cmdline"; echo; done 2> /dev/null';

async function waitUntil(ready: () => Promise<boolean>, { podman, name }: Container): Promise<void> {
  const deadline = Date.now() + startSeconds * 1000;
  for (let asked = 1; !(await ready()); asked += 1) {
    const state = asked % 20 === 0 ? await podman.run(["inspect", "--format", "{{.State.Running}}", name]) : "true";
    if (state.trim() !== "true" || Date.now() > deadline) {
      throw new MailarkError("PROGRAM_FAILED", "the service of a sandbox container did not come up", {
        detail: (await podman.run(["logs", name])).slice(-2000),
      });
    }
    await sleep(25);
  }
}
