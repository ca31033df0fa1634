import { spawn } from "node:child_process";
import { once } from "node:events";

/** Ends processes and removes a directory when this process dies without having done so itself. */
export interface Watcher {
  /** From now on this process group ends with us. */
  guard(group: number): void;
  /** This process group has ended. */
  release(group: number): void;
  /** Everything has ended and the directory is gone: resolves when the watcher is gone too. */
  dismiss(): Promise<void>;
}

/**
 * The kernel's parent-death signal is not enough: it is lost when a server changes its user, as Postfix does. So a shell waits
 * on a pipe that only this process holds the other end of. Its end tells of any death, also by `kill -9`.
 */
const script = `
running=
while read -r sign group; do
  case $sign in
    +) running="$running $group" ;;
    -) rest=; for each in $running; do [ "$each" = "$group" ] || rest="$rest $each"; done; running=$rest ;;
    .) exit 0 ;;
  esac
done
sleep 0.3
for each in $running; do kill -s KILL -- "-$each"; done 2>/dev/null
directory=$1; shift
[ $# -eq 0 ] || "$@"
rm -rf -- "$directory"
`;

/**
 * Watches over a directory. It does not keep this process from ending.
 *
 * @param farewell the words of a program that is run before the directory goes, where this process did not do it itself.
 */
export function startWatcher(directory: string, farewell: readonly string[] = []): Watcher {
  const shell = spawn("/bin/sh", ["-c", script, "sandbox-watcher", directory, ...farewell], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const gone = once(shell, "exit");
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  // The watcher may be gone before us only when somebody ended it; the host itself is not worse for that.
  shell.stdin.on("error", () => {});
  return {
    guard: (group) => void shell.stdin.write(`+ ${group}\n`),
    release: (group) => void shell.stdin.write(`- ${group}\n`),
    async dismiss() {
      shell.ref();
      shell.stdin.end(".\n");
      if (shell.exitCode === null && shell.signalCode === null) await gone;
    },
  };
}
