import { spawn } from "node:child_process";

/** One script, as the agent has it run. */
export interface Script {
  /** File with its text; without `#!` in it, `sh` reads it. */
  readonly path: string;
  readonly directory: string;
  /** Added to the machine's own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ends it, and everything that it has started. */
  readonly signal: AbortSignal;
  readonly stdout: (bytes: Buffer) => void;
  readonly stderr: (bytes: Buffer) => void;
}

/** How a machine runs a script. Resolves with its exit status, `undefined` where it was killed, once nobody can print any more. */
export type RunScript = (script: Script) => Promise<number | undefined>;

/**
 * Scripts as children of this process, in an environment that is the host's and has nothing of this process's.
 *
 * @param places - directories that they see instead of this machine's, by whose paths (mount_namespaces(7)); whoever may not mount has none.
 */
export function localMachine(
  own: Readonly<Record<string, string>>,
  places: Readonly<Record<string, string>> = {},
): RunScript {
  const pairs = Object.entries(places).flat();
  return ({ path, directory, environment, signal, stdout, stderr }) =>
    new Promise((resolve) => {
      // A process group of its own, as the agent makes one, so that children of children end with it.
      const [program, ...words] = [...(pairs.length === 0 ? [] : apart(pairs)), "sh", "-c", path];
      const child = spawn(program!, words, {
        cwd: directory,
        env: { ...own, ...environment },
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const kill = () => {
        try {
          if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
        }
      };
      child.stdout.on("data", stdout);
      child.stderr.on("data", stderr);
      // Such as a directory that is not there: the agent's command fails then, too.
      child.once("error", (error) => {
        stderr(Buffer.from(`failed to run commands: ${error.message}`));
        resolve(1);
      });
      child.once("close", (status) => {
        signal.removeEventListener("abort", kill);
        resolve(status ?? undefined);
      });
      if (signal.aborted) kill();
      else signal.addEventListener("abort", kill, { once: true });
    });
}

const apart = (pairs: readonly string[]) => ["unshare", "--mount", "--", "sh", "-c", bind, "sh", ...pairs, "--"];

/** Arguments: a path and what it shall show, and so on; `--`; the program. */
const bind = `
while [ "$1" != -- ]; do
  mount --bind "$2" "$1" || exit
  shift 2
done
shift
exec "$@"`;
