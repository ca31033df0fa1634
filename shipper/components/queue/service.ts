/**
 * Fills the queue of a stopped Postfix. Everything is unpacked, renamed and put on hold in a directory inside the queue directory where Postfix does
 * not look, and moved into place by renames of whole directories, `hold` last: killed at any moment, it leaves nothing that would be delivered.
 */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { howEnded, outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import type { QueueConfig } from "./config.ts";
import { vetted } from "./gate.ts";
import type { Index } from "./index-rows.ts";
import { makeInstanceAt, settle, unpack } from "./instance.ts";
import { deliverableQueues, heldMaildrop } from "./layout.ts";
import { commandOf } from "./programs.ts";
import { askSpool, instance as instanceWords, type Spool } from "./spool.ts";

/** Inside the queue directory, so that it is on the same file system. */
const workshop = ".mailark-restore";

/**
 * The instance to be filled.
 *
 * @throws MailarkError `RESTORE_FAILED` without root, or while Postfix runs; `TARGET_NOT_EMPTY`.
 */
export async function emptyService(config: QueueConfig, world: World): Promise<Spool> {
  const spool = await stoppedService(config, world);
  await refuseUnlessEmpty(spool.directory, config, world);
  return spool;
}

/** The same for one that may hold messages. */
export async function stoppedService(config: QueueConfig, world: World): Promise<Spool> {
  const spool = await askSpool(config, world);
  await refuseUnlessRoot(config, world);
  await refuseWhileRunning(spool, config, world);
  return spool;
}

/**
 * Returns the queue directory.
 *
 * @throws MailarkError what went wrong; nothing that Postfix would deliver is left then. `RESTORE_FAILED` when Postfix was started meanwhile.
 */
export async function fillService(
  spool: Spool,
  config: QueueConfig,
  snapshot: SnapshotReader,
  index: Index,
  world: World,
): Promise<string> {
  const { processes, signal } = world;
  const { directory } = spool;
  const sh = (script: string, ...args: string[]) =>
    outputOf(processes, commandOf(config, ["sh", "-c", script, "sh", ...args]), { signal });
  const path = `${directory}/${workshop}`;
  await sh(makeWorkshop, path);
  world.progress("bringing the queue back, on hold");
  try {
    const staged = await makeInstanceAt(path, spool, config, world);
    const archive = vetted(snapshot, index, { owners: staged.owners, hold: true });
    await unpack(archive, staged.queueDirectory, config, world, { owners: true });
    await settle(staged, config, world);
    await refuseWhileRunning(spool, config, world);
  } catch (error) {
    await removeWorkshop(path, config, world);
    throw error;
  }
  try {
    await sh(switchOver, directory, workshop, heldMaildrop);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MailarkError)) throw error;
    throw new MailarkError(error.code, `the queue was not moved into place to its end: ${error.message}`, {
      ...(error.detail !== undefined && { detail: error.detail }),
      hint: "nothing of it would be delivered: free space or mend the disk, and run it again; if the queue then holds messages, all of them are there, on hold",
      cause: error,
    });
  }
  return directory;
}

/** Also after an abort. What is left where this fails, the next restore removes. */
async function removeWorkshop(path: string, config: QueueConfig, { processes }: World): Promise<void> {
  const running = await processes.start(commandOf(config, ["rm", "-rf", "--", path])).catch(() => undefined);
  running?.stdin.end();
  running?.stdout.resume();
  await running?.exited;
}

/** Argument: its path. Whatever an interrupted restore left in it was on hold and is in the snapshot. */
const makeWorkshop = 'rm -rf -- "$1" && mkdir -m 711 -- "$1"';

/** Arguments: the queue directory, the workshop, the directory for what was in maildrop. A rename takes the place of an empty directory only. */
const switchOver = `
set -e
cd -- "$1"
from=$2/queue
sync
for queue in bounce defer trace corrupt saved "$3" hold; do
  if [ -d "$queue" ]; then
    find "$queue" -mindepth 1 -depth -type d -empty -delete
    if [ -n "$(ls -A -- "$queue")" ]; then
      [ -n "$(find "$from/$queue" -type f | head -n 1)" ] || continue
      mv -T -- "$queue" "$queue.before-restore-$(date +%s)"
    fi
  fi
  mv -T -- "$from/$queue" "$queue"
done
if [ -z "$(ls -A -- "$3")" ]; then rmdir -- "$3"; fi
rm -rf -- "$2"
sync`;

async function refuseUnlessRoot(config: QueueConfig, { processes, signal }: World): Promise<void> {
  const user = (await outputOf(processes, commandOf(config, ["id", "-u"]), { signal })).toString().trim();
  if (user === "0") return;
  throw new MailarkError("RESTORE_FAILED", "a queue can be brought back by root only: its files belong to Postfix", {
    hint: "run mailark as root, or restore into a directory",
  });
}

/** As Postfix's own scripts find out: master(8), `-t`, looks whether its lock is held. */
async function refuseWhileRunning(spool: Spool, config: QueueConfig, { processes, signal }: World): Promise<void> {
  const words = [`${spool.daemonDirectory}/master`, ...instanceWords(config), "-t"];
  const running = await processes.start(commandOf(config, words), { signal });
  running.stdin.end();
  running.stdout.resume();
  const exit = await running.exited;
  if (exit.code === 0) return;
  signal.throwIfAborted();
  // Of a lock that is held it says nothing but this.
  const isHeld = exit.code === 1 && running.complaint() === "";
  if (!isHeld) {
    throw new MailarkError("RESTORE_FAILED", "whether Postfix is running could not be found out", {
      hint: "`postfix check` tells what its configuration lacks: mend that, and run it again",
      detail: running.complaint() || `master -t: ${howEnded(exit)}`,
    });
  }
  throw new MailarkError("RESTORE_FAILED", "Postfix is running: a queue is brought back while it is stopped", {
    hint: "run `postfix stop`, restore, and start it again: everything is on hold then",
  });
}

async function refuseUnlessEmpty(directory: string, config: QueueConfig, { processes, signal }: World): Promise<void> {
  const queues = deliverableQueues.map((queue) => `${directory}/${queue}`);
  const words = ["find", "-P", directory, "-mindepth", "2", "-type", "f", "-printf", "%P\\0"];
  const paths = (await outputOf(processes, commandOf(config, words), { signal })).toString("latin1").split("\0");
  const found = paths.filter((path) => queues.some((queue) => `${directory}/${path}`.startsWith(`${queue}/`)));
  if (found.length === 0) return;
  throw new MailarkError("TARGET_NOT_EMPTY", `the queue holds ${found.length} messages`, {
    detail: found.slice(0, 20).join(", "),
    hint: "let Postfix deliver them first, or restore into a directory",
  });
}
