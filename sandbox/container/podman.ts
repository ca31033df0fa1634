import { randomBytes } from "node:crypto";
import { MailarkError } from "../../core/errors.ts";
import { nodeProcesses, outputOf } from "../../shipper/processes.ts";
import { programPath } from "../host/programs.ts";

/** A podman whose containers, settings and locks are below one directory: it knows nothing of the machine's own. */
export interface Podman {
  /** The program with the options that come before any of its words. */
  readonly words: readonly [string, ...string[]];
  /** Runs it. Throws `PROGRAM_FAILED` with its own words. */
  run(args: readonly string[]): Promise<string>;
}

/** Debian's podman is content with either; which one works depends on what the machine lets a container do. */
const runtimes = ["runc", "crun"];

/**
 * @param directory exists, with a path of at most 48 characters, for podman wants its own to be short; the storage is made below it.
 * @throws MailarkError `PROGRAM_MISSING` naming the Debian package.
 */
export function podmanIn(directory: string, runtime: string): Podman {
  const words = [
    programPath("podman", "podman"),
    ...["--root", `${directory}/storage`],
    ...["--runroot", `${directory}/r`],
    ...["--tmpdir", `${directory}/tmp`],
    ...["--storage-driver", "vfs"],
    ...["--events-backend", "none"],
    ...["--cgroup-manager", "cgroupfs"],
    ...["--runtime", runtime],
  ] as const;
  return {
    words,
    run: async (args) => (await outputOf(nodeProcesses, [...words, ...args])).toString("utf8"),
  };
}

/** Names no container has, neither of this process nor of another. */
export function containerName(what: string): string {
  return `mailark-${process.pid}-${randomBytes(4).toString("hex")}-${what}`;
}

/**
 * Tries `start` with each runtime that is installed, and returns what the first gave that works.
 *
 * @throws MailarkError `PROGRAM_FAILED` with what each of them said: a machine that can not run containers must not look like one
 *   whose containers are fine.
 */
export async function withRuntime<T>(start: (runtime: string) => Promise<T>): Promise<T> {
  const complaints: string[] = [];
  for (const runtime of runtimes) {
    try {
      programPath(runtime, runtime);
      return await start(runtime);
    } catch (error) {
      if (!(error instanceof MailarkError)) throw error;
      complaints.push(`${runtime}: ${error.detail ?? error.message}`);
    }
  }
  throw new MailarkError("PROGRAM_FAILED", "no container can be run on this machine", {
    detail: complaints.join("\n"),
    hint: "the tests of containers need podman with runc or crun, and root that may make namespaces",
  });
}
