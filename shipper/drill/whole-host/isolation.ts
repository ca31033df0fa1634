/**
 * Takes from programs what they must not reach: the network, by a network namespace of their own with nothing in it, and directories of the live host,
 * by an empty file system over each in a mount namespace of their own (unshare(1), namespaces(7)).
 */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../../components/component.ts";
import type { Shelter } from "../../components/shelter.ts";

export interface Isolation {
  /** The command line that runs a program so. */
  command(words: readonly string[]): [string, ...string[]];
  /** Why there is none; `undefined`: there is. */
  readonly missing: string | undefined;
}

/** Directories that are not there need not be hidden; one that holds the shelter can not be. */
export async function isolate(
  shelter: Pick<Shelter, "path" | "run">,
  hidden: readonly string[],
  { signal }: Pick<World, "signal">,
): Promise<Isolation> {
  const covered = hidden.filter((path) => path !== "/" && !`${shelter.path}/`.startsWith(`${path}/`));
  const words = ["unshare", "--net", "--mount", "--", "sh", "-c", cover, "sh", ...covered, "--"];
  try {
    const devices = (await shelter.run([...words, "cat", "/proc/self/net/dev"])).toString("utf8");
    const others = devices.match(/^\s*(?!lo:)[^\s:|]+:/gm) ?? [];
    if (others.length > 0) return none(`a new network namespace has ${others.join(" ").trim()}`);
    return { command: (program) => [...words, ...program] as unknown as [string, ...string[]], missing: undefined };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MailarkError)) throw error;
    return none([error.message, error.detail].filter(Boolean).join(": "));
  }
}

const none = (missing: string): Isolation => ({
  command: (program) => [...program] as unknown as [string, ...string[]],
  missing,
});

/**
 * Arguments: directories, `--`, the program. Postfix wants one interface that is up, so the loopback of the empty network is; 0x8914 is SIOCSIFFLAGS, and 73
 * IFF_UP, IFF_LOOPBACK and IFF_RUNNING (netdevice(7)).
 */
const cover = `
{ ip link set lo up || ifconfig lo up ||
  perl -e '$r = pack("a16s", "lo", 73); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $r) || exit 1'
} 2> /dev/null || { echo "the loopback of a new network can not be brought up" >&2; exit 1; }
while [ "$1" != -- ]; do
  [ ! -d "$1" ] || mount -t tmpfs -o ro,mode=755 none "$1" || exit
  shift
done
shift
exec "$@"`;
