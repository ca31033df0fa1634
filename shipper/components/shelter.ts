/**
 * A private directory with private servers in it, here or in a container, which ends with this process however that one ends: what
 * guards it are small programs that wait for their input to close, and the system closes it also for a process that is killed.
 */
import { MailarkError } from "../../core/errors.ts";
import { feed, outputOf, type RunningProcess, succeed } from "../processes.ts";
import type { World } from "./component.ts";

export interface ShelterOptions {
  /** Absent or an empty directory; its parent is there, and the account may pass through it. */
  readonly path: string;
  /** Put before every program, to run it elsewhere; the path is then one of that place. */
  readonly command?: readonly string[];
  /**
   * Where this runs as root, everything in the shelter is run by the first of these accounts that is there; `+NUMBER` is one without a name,
   * where the system lets there be such a number.
   */
  readonly accounts: readonly string[];
}

export interface ServerPlan {
  /** As a file name: what it says is in `NAME.log`. */
  readonly name: string;
  readonly words: readonly [string, ...string[]];
  /** Whether it does its work now; asked until it says yes. What it throws counts as no. */
  ready(): Promise<boolean>;
  /** Makes it leave at once; after five seconds it and its children are killed. Default: `KILL`. */
  readonly endSignal?: "KILL" | "QUIT" | "TERM";
  /** Whether root runs it as root. */
  readonly asRoot?: boolean;
  /** Whether it reads what is restored when it starts: then that may be why it does not. */
  readonly reads?: boolean;
}

/** A scratch place could not be had, or a server in it did not start: nothing was said of what it was for. */
export class ScratchFailure extends MailarkError {}

export interface Shelter {
  readonly path: string;
  /** Who runs what is in it; `undefined`: whoever runs this process. */
  readonly account: { readonly uid: number; readonly gid: number } | undefined;
  /** The command line of a program that is run as the account, in the directory. */
  command(words: readonly string[]): [string, ...string[]];
  /** What a program prints. Throws as `outputOf` does. */
  run(words: readonly string[], input?: string | Uint8Array): Promise<Buffer>;
  /** Makes a file of a stream, and gives its path. */
  write(name: string, content: AsyncIterable<Uint8Array>): Promise<string>;
  /**
   * Starts a server; resolves when it is ready.
   *
   * @throws MailarkError `PROGRAM_MISSING`; `PROGRAM_FAILED` with the end of its log when it ended, or was not ready within a minute, a
   *   {@link ScratchFailure} unless it reads what is restored.
   */
  serve(plan: ServerPlan): Promise<{ end(): Promise<void> }>;
  /** Ends the servers and removes the directory. May be called again, and after an abort. */
  remove(): Promise<void>;
}

/**
 * @throws MailarkError `PROGRAM_MISSING` when the place has no `sh`; {@link ScratchFailure} when the directory can not be made or holds something.
 */
export async function openShelter({ path, command = [], accounts }: ShelterOptions, world: World): Promise<Shelter> {
  const { processes, signal, clock } = world;
  // A container's processes are in no group of ours; here a killed group must not take the guard with it.
  const elsewhere: readonly string[] = command.length > 0 ? command : ["setsid"];
  const script = (text: string, args: readonly string[]) =>
    [...elsewhere, "sh", "-c", text, "sh", ...args] as unknown as [string, ...string[]];
  signal.throwIfAborted();
  const guard = await processes.start(script(keepDirectory, [path, ...accounts]));
  const account = await made(guard, path);
  const become = account ? ["setpriv", `--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups", "--"] : [];
  const servers: { end(): Promise<void> }[] = [];
  const inside = (words: readonly string[]) =>
    [...command, "sh", "-c", runInside, "sh", path, ...become, ...words] as unknown as [string, ...string[]];

  async function run(words: readonly string[], input: string | Uint8Array = ""): Promise<Buffer> {
    return explained(words[0]!, () => outputOf(processes, inside(words), { input, signal }));
  }

  return {
    path,
    account,
    run,
    command: inside,
    async write(name, content) {
      const file = `${path}/${name}`;
      await feed(processes, inside(["sh", "-c", 'cat > "$1"', "sh", file]), content, { signal });
      return file;
    },
    async serve({ name, words, ready, endSignal = "KILL", asRoot = false, reads = false }) {
      const log = `${path}/${name}.log`;
      const line = await processes.start(
        script(keepServer, [path, log, endSignal, ...(asRoot ? [] : become), ...words]),
      );
      const end = async () => {
        line.stdin.end();
        await line.exited;
      };
      servers.push({ end });
      let gone = false;
      line.exited.then(() => {
        gone = true;
      });
      line.stdout.resume();
      const started = new AbortController();
      let late = false;
      const minute = clock.sleep(60_000, AbortSignal.any([signal, started.signal])).then(
        () => {
          late = true;
        },
        () => {},
      );
      // An answer may never come.
      const isReady = () => Promise.race([ready().catch(() => false), minute, line.exited.then(() => false)]);
      try {
        while (!(await isReady())) {
          signal.throwIfAborted();
          if (gone || late) {
            const said = await run(["tail", "-c", "2000", log]).catch(() => Buffer.alloc(0));
            await end();
            const exit = await line.exited;
            throw exit.code === 127 ? missing(words[0]) : notUp(name, said.toString("utf8"), reads);
          }
          await clock.sleep(25, signal);
        }
      } finally {
        started.abort();
      }
      return { end };
    },
    async remove() {
      await Promise.all(servers.map(({ end }) => end()));
      guard.stdin.end();
      await succeed("removing the scratch directory", guard);
    },
  };
}

/** Arguments: the directory, then the accounts. It says `made`, or `made UID GID`, and removes the directory when its input ends. */
const keepDirectory = `
path=$1; shift
if [ -d "$path" ]; then
  [ -z "$(ls -A -- "$path")" ] || { echo "the directory is not empty" >&2; exit 1; }
  chmod 700 -- "$path" || exit
else mkdir -m 700 -- "$path" || exit
fi
owner=
if [ "$(id -u)" = 0 ]; then
  for name; do
    case $name in
    +*) chown -- "\${name#+}:\${name#+}" "$path" 2> /dev/null || continue; owner="\${name#+} \${name#+}"; break ;;
    esac
    if id -u -- "$name" > /dev/null 2>&1; then owner="$(id -u -- "$name") $(id -g -- "$name")"; break; fi
  done
fi
[ -z "$owner" ] || chown -- "$(echo "$owner" | tr ' ' :)" "$path" || exit
echo "made $owner"
trap : TERM INT HUP
cat > /dev/null
tries=0
until rm -rf -- "$path" 2> /dev/null && [ ! -e "$path" ]; do
  tries=$((tries + 1)); [ "$tries" -lt 100 ] || exit 1; sleep 0.1
done`;

const runInside = 'cd -- "$1" && shift && exec "$@"';

/**
 * Arguments: the directory, the log, the signal that ends the server, its words. It ends with the server, and the server with its input,
 * which may end before the server has a group of its own: then only its number is there to be killed.
 */
const keepServer = `
cd -- "$1" || exit
log=$2; name=$3; shift 3
exec 3<&0
setsid "$@" < /dev/null > "$log" 2>&1 3<&- &
server=$!
over() {
  tries=0
  until kill -KILL "-$server"; do
    kill -KILL "$server" && [ "$tries" -lt 100 ] || return
    tries=$((tries + 1)); sleep 0.1
  done
}
finish() {
  if [ "$name" = KILL ]; then over; return; fi
  kill "-$name" "$server"
  tries=0
  while kill -0 "$server" && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
  over
}
{ cat <&3; finish; } > /dev/null 2>&1 &
exec 3<&-
trap : TERM INT HUP
wait "$server"; status=$?
while kill -0 "$server" 2> /dev/null; do wait "$server"; status=$?; done
kill -KILL "-$server" 2> /dev/null
exit "$status"`;

/** What the guard of a directory says first: the account. */
async function made(guard: RunningProcess, path: string): Promise<Shelter["account"]> {
  let said = "";
  for await (const chunk of guard.stdout.iterator({ destroyOnReturn: false })) {
    said += chunk;
    if (said.includes("\n")) break;
  }
  const [, uid, gid] = /^made (?:(\d+) (\d+))?\n/.exec(said) ?? [];
  if (/^made /.test(said)) {
    guard.stdout.resume();
    return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
  }
  guard.stdin.end();
  await guard.exited;
  throw new ScratchFailure("PROGRAM_FAILED", "a scratch directory could not be made", {
    detail: [path, guard.complaint()].filter(Boolean).join("\n"),
    hint: "its parent must exist, with room in it, and it must be absent or empty",
  });
}

/** Errors name the program, not the shell around it. `sh` and `setpriv` say with 127 that there is no such program. */
async function explained<T>(program: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") throw error;
    if (error.message.endsWith("exit status 127")) throw missing(program, error);
    const message = error.message.replace(/^.*(?= failed with )/, program);
    throw new MailarkError(error.code, message, { ...(error.detail && { detail: error.detail }), cause: error });
  }
}

const missing = (program: string, cause?: unknown) =>
  new MailarkError("PROGRAM_MISSING", `can not start ${program}`, {
    hint: `install the package that provides ${program}; it needs not run as a service`,
    cause,
  });

const notUp = (name: string, log: string, reads: boolean) =>
  new (reads ? MailarkError : ScratchFailure)("PROGRAM_FAILED", `the scratch server ${name} did not come up`, {
    detail: log,
    hint: "the scratch path must be below a directory that every user may pass through, with room for what is loaded",
  });
