import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { outputOf } from "../../processes.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { Place, Selection, Staged, World } from "../component.ts";
import { removeTree } from "../remove-tree.ts";
import { refuseUnlessEmpty } from "../target-names.ts";
import { type BadMailbox, badMailbox, nameOf } from "./bad-mailbox.ts";
import { buildMailbox, type Owner } from "./build-mailbox.ts";
import { type MailConfig, rootOf } from "./config.ts";
import type { Index } from "./index-rows.ts";
import { MailRoot, workshop } from "./mail-root.ts";
import { RaiseCounters } from "./raise-counters.ts";
import { type StoredMailbox, selectMailboxes } from "./select.ts";

/** What the index promised of a staged mailbox. */
export interface StagedMailbox {
  readonly ownerId: string;
  /** Below the mail root, in latin1. */
  readonly path: string;
  readonly messages: number;
  readonly messageBytes: number;
  readonly files: number;
  readonly folders: number;
  /** What was captured of it; absent where too much is in memory already, then it is read again. */
  readonly index?: Index;
}

/** Of so many messages, indexes stay in memory for the check: about half a kilobyte each. */
const mostKept = 100_000;

/** Of a mail root that is made: servers pass through that of a service, and those of a drill through its own; the rest is private. */
const rootModes = { service: 0o755, scratch: 0o711, directory: 0o700 } as const;

const unfinished = "it is what a restore left that did not end: look at it, remove it, and start again";

export interface StagedMail extends Staged {
  /** The mail root that it was staged below, in latin1. */
  readonly root: string;
  readonly mailboxes: readonly StagedMailbox[];
  /** What was to be staged and could not be; nothing of it is there. */
  readonly failures: readonly BadMailbox[];
  readonly snapshot: SnapshotReader;
  readonly narrowed: boolean;
}

/**
 * Brings mailboxes back below an empty mail root, each whole or not at all. One that can not be brought back is told, and the others are.
 *
 * @throws MailarkError as `Component.stage`, also what the first was bad with when no mailbox could be brought back.
 */
export async function stageMail(
  config: MailConfig,
  snapshot: SnapshotReader,
  place: Place,
  selection: Selection,
  world: World,
): Promise<StagedMail> {
  const { files, progress, signal, warn } = world;
  const root = place.kind === "service" ? rootOf(config) : Buffer.from(place.path, "utf8").toString("latin1");
  refuseUnlessEmpty(files, pathText(root), (names) => (names.includes(workshop) ? unfinished : undefined));
  const mailRoot = new MailRoot(files, root);
  const mailboxes: StagedMailbox[] = [];
  const failures: BadMailbox[] = [];
  let kept = 0;
  const beside = `${root}/${workshop}/mailbox`;
  const owners = ownersFor(config, place, world);
  const counters = new RaiseCounters(world);
  const takeBack = () => {
    mailRoot.takeBack();
    removeTree(files, `${root}/${workshop}`);
    if (place.kind === "scratch") removeTree(files, root);
  };
  try {
    files.mkdirSync(bytePath(`${root}/${workshop}`), {
      recursive: true,
      mode: rootModes[place.kind],
    });
    for await (const mailbox of selectMailboxes(snapshot, selection, config)) {
      const failure = "error" in mailbox ? mailbox : await stageOne(mailbox);
      if (failure === undefined) continue;
      failures.push(failure);
      warn?.(`a mailbox could not be restored: ${failure.error.message}`, nameOf(failure));
    }
    if (mailboxes.length === 0 && failures[0]) throw failures[0].error;
    mailRoot.settle();
    files.rmdirSync(bytePath(`${root}/${workshop}`));
    await flush(root, world);
  } catch (error) {
    takeBack();
    throw error;
  } finally {
    await counters.end();
  }
  if (counters.failure) {
    const { message, hint } = counters.failure;
    const why = [message, hint].filter(Boolean).join(": ");
    warn?.(
      "Dovecot's counters could not be raised: do it by hand before users come back, as the restore page says",
      why,
    );
  }
  const narrowed = selection.mailboxes !== undefined;
  const remove = async () => {
    if (place.kind === "scratch") takeBack();
  };
  const offers = { mail: { root, liveRoot: config.root.replace(/\/+$/, ""), layout: config.layout } };
  return {
    place,
    root,
    mailboxes,
    failures,
    snapshot,
    narrowed,
    remove,
    ...(place.kind === "scratch" && { offers }),
  };

  /** Leaves nothing of a mailbox that it returns as bad. */
  async function stageOne(mailbox: StoredMailbox): Promise<BadMailbox | undefined> {
    const { ownerId, index } = mailbox;
    const { path } = index;
    progress(`mailbox ${mailboxes.length + failures.length + 1}`);
    const owner = owners(index);
    try {
      mailRoot.refuseUnlessFree(path);
      await buildMailbox(beside, mailbox, snapshot, { files, signal, owner });
      // A drill's server counts for itself.
      if (place.kind !== "scratch") await counters.raise(beside, index, owner);
      mailRoot.put(beside, path, owner);
    } catch (thrown) {
      const failure = badMailbox(ownerId, path, thrown);
      removeTree(files, beside);
      return failure;
    }
    kept += index.messages.size;
    mailboxes.push({
      ...(kept <= mostKept && { index }),
      ownerId,
      path,
      messages: index.messages.size,
      messageBytes: [...index.messages.values()].reduce((sum, { bytes }) => sum + bytes, 0),
      files: index.files.size,
      folders: index.folders.size,
    });
    return undefined;
  }
}

/** To whom mailboxes are given; to nobody unless root runs this, and then that is said once, or refused where a service needs it. */
function ownersFor(config: MailConfig, place: Place, { warn }: World): (index: Index) => Owner | undefined {
  const own = process.getuid?.();
  const group = process.getgid?.();
  let said = place.kind === "scratch";
  return ({ path, uid, gid }) => {
    const owner = config.owner ?? { uid, gid };
    if (own === 0) return owner;
    const detail = `${pathText(path)} belongs to ${owner.uid}:${owner.gid}, and this runs as ${own}:${group}`;
    if (place.kind === "service" && owner.uid !== own) {
      throw new MailarkError("RESTORE_FAILED", "only root can give mailboxes to their owners", {
        detail,
        hint: "run mailark as root, or restore the files into a directory with --to",
      });
    }
    if (!said && (owner.uid !== own || owner.gid !== group)) {
      said = true;
      warn?.("restored files belong to the user that runs this: only root can give them to their owners", detail);
    }
    return undefined;
  };
}

/** Everything that was written is on the disk when this resolves. */
async function flush(root: string, { processes, signal }: World): Promise<void> {
  const path = Buffer.from(root, "latin1").toString("utf8");
  await outputOf(processes, ["sync", "--file-system", path], { signal });
}
