/**
 * A Postfix instance of its own over a queue that was brought back: it has no services at all, so it can look at messages and hold them, and never
 * deliver, bounce or drop one.
 */
import { feed, outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import type { QueueConfig } from "./config.ts";
import type { Owners } from "./gate.ts";
import { heldMaildrop } from "./layout.ts";
import { commandOf } from "./programs.ts";
import type { Spool } from "./spool.ts";

/** Below `path`: `etc`, `queue`, `data`, `log`. */
export interface Instance {
  readonly path: string;
  readonly configDirectory: string;
  readonly queueDirectory: string;
  readonly owners: Owners;
}

/** Arguments: an account and a group. It prints their numbers: of the account, of its group, of the group. */
const askNumbers = 'id -u -- "$1" && id -g -- "$1" && getent group "$2" | cut -d: -f3';

/** Arguments: the directory, the account, the group of maildrop, the other directory for it. Takes main.cf from its input. */
const makeInstance = `
set -e
umask 022
cd -- "$1"
mkdir etc queue data log
cat > etc/main.cf
echo '# no services: nothing is delivered from here' > etc/master.cf
touch -d '1 minute ago' etc/main.cf etc/master.cf
cd queue
mkdir -m 700 incoming active deferred hold corrupt saved bounce defer trace flush private maildrop public "$4"
mkdir -m 755 pid
chown -- "$2" incoming active deferred hold corrupt saved bounce defer trace flush private maildrop public ../data ../log
chgrp -- "$3" maildrop public "$4"
chmod 1730 maildrop
chmod 2710 public`;

/**
 * @param path an empty directory of that place, made by the caller and passable for the account.
 * @throws MailarkError `PROGRAM_FAILED`, `PROGRAM_MISSING`.
 */
export async function makeInstanceAt(path: string, spool: Spool, config: QueueConfig, world: World): Promise<Instance> {
  const { processes, signal } = world;
  const sh = (script: string, ...args: string[]) => commandOf(config, ["sh", "-c", script, "sh", ...args]);
  const numbers = (await outputOf(processes, sh(askNumbers, spool.owner, spool.group), { signal })).toString();
  const [uid = 0, gid = 0, dropGid = 0] = numbers.split("\n").map(Number);
  const main = {
    compatibility_level: "2",
    queue_directory: `${path}/queue`,
    data_directory: `${path}/data`,
    daemon_directory: spool.daemonDirectory,
    mail_owner: spool.owner,
    setgid_group: spool.group,
    maillog_file: `${path}/log/maillog`,
    maillog_file_prefixes: path,
    myhostname: "restored.invalid",
    mydestination: "",
    inet_interfaces: "loopback-only",
    master_service_disable: "inet unix fifo pass",
    default_transport: "retry:4.3.0 restored from a backup",
    defer_transports: "smtp lmtp local virtual relay pipe error discard",
    ...spool.naming,
  };
  const text = Object.entries(main).map(([name, value]) => `${name} = ${value}\n`);
  const make = sh(makeInstance, path, spool.owner, spool.group, heldMaildrop);
  await outputOf(processes, make, { input: text.join(""), signal });
  return { path, configDirectory: `${path}/etc`, queueDirectory: `${path}/queue`, owners: { uid, gid, dropGid } };
}

/** Unpacks an archive that was vetted. Throws `PROGRAM_FAILED` where tar fails, and what the archive throws. */
export async function unpack(
  archive: AsyncIterable<Uint8Array>,
  directory: string,
  config: Pick<QueueConfig, "command">,
  { processes, signal }: Pick<World, "processes" | "signal">,
  { owners }: { readonly owners: boolean },
): Promise<void> {
  const words = ["tar", "--extract", "--file=-", `--directory=${directory}`, "--preserve-permissions"];
  const more = [owners ? "--same-owner" : "--no-same-owner", "--keep-old-files", "--warning=no-timestamp"];
  await feed(processes, commandOf(config, [...words, ...more]), archive, { signal, env: { LC_ALL: "C" } });
}

/**
 * Gives every message the id that belongs to its new inode, and puts whatever could be delivered on hold (postsuper(1)): in this order, and before
 * anything else sees the queue.
 */
export async function settle(
  { configDirectory }: Instance,
  config: QueueConfig,
  { processes, signal }: World,
): Promise<void> {
  for (const words of [["-s"], ["-h", "ALL"]]) {
    await outputOf(processes, commandOf(config, ["postsuper", "-c", configDirectory, ...words]), { signal });
  }
}
