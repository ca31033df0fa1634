import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { outputOf } from "../../processes.ts";
import { bytePath } from "../byte-path.ts";
import type { Place, Selection, Staged, World } from "../component.ts";
import { removeTree } from "../remove-tree.ts";
import { buildMailbox, type Owner } from "./build-mailbox.ts";
import { type MailConfig, rootOf } from "./config.ts";
import { parentOf } from "./index-rows.ts";
import { selectMailboxes } from "./select.ts";
import { listNames } from "./tree.ts";

/** What the index promised of a staged mailbox. */
export interface StagedMailbox {
  /** Below the mail root, in latin1. */
  readonly path: string;
  readonly messages: number;
  readonly messageBytes: number;
  readonly files: number;
  readonly folders: number;
}

export interface StagedMail extends Staged {
  /** The mail root that it was staged below, in latin1. */
  readonly root: string;
  readonly mailboxes: readonly StagedMailbox[];
  readonly snapshot: SnapshotReader;
  readonly narrowed: boolean;
}

/** Below the target while mailboxes are built; what remains of it shows a restore that did not end. */
const workshop = ".mailark-partial";

/** Brings mailboxes back below an empty mail root, each whole or not at all. */
export async function stageMail(
  config: MailConfig,
  snapshot: SnapshotReader,
  place: Place,
  selection: Selection,
  world: World,
): Promise<StagedMail> {
  const { files, progress, signal } = world;
  const root = place.kind === "service" ? rootOf(config) : Buffer.from(place.path, "utf8").toString("latin1");
  refuseUnlessEmpty(files, root);
  const mailboxes: StagedMailbox[] = [];
  const made: string[] = [];
  const takeBack = () => {
    for (const path of made) removeTree(files, `${root}/${path}`);
    removeTree(files, `${root}/${workshop}`);
    if (place.kind === "scratch") removeTree(files, root);
  };
  try {
    files.mkdirSync(bytePath(`${root}/${workshop}`), {
      recursive: true,
      mode: place.kind === "service" ? 0o755 : 0o700,
    });
    for await (const mailbox of selectMailboxes(snapshot, selection, config)) {
      const { index } = mailbox;
      const { path } = index;
      progress(`mailbox ${mailboxes.length + 1}`);
      const owner = ownerFor(config, index);
      const beside = `${root}/${workshop}/mailbox`;
      await buildMailbox(beside, mailbox, snapshot, { files, signal, owner });
      makeParents(path, owner);
      files.renameSync(bytePath(beside), bytePath(`${root}/${path}`));
      mailboxes.push({
        path,
        messages: index.messages.size,
        messageBytes: [...index.messages.values()].reduce((sum, { bytes }) => sum + bytes, 0),
        files: index.files.size,
        folders: index.folders.size,
      });
    }
    files.rmdirSync(bytePath(`${root}/${workshop}`));
    await flush(root, world);
  } catch (error) {
    takeBack();
    throw error;
  }
  const narrowed = selection.mailboxes !== undefined;
  const remove = async () => {
    if (place.kind === "scratch") takeBack();
  };
  return { place, root, mailboxes, snapshot, narrowed, remove };

  /** The directories between the mail root and a mailbox (its domain), owned as the mailbox is. */
  function makeParents(path: string, owner: Owner | undefined) {
    const parent = parentOf(path);
    if (parent === ".") {
      made.push(path);
      return;
    }
    const missing: string[] = [];
    for (let above = parent; above !== "." && !exists(files, `${root}/${above}`); above = parentOf(above))
      missing.push(above);
    for (const above of missing.reverse()) {
      files.mkdirSync(bytePath(`${root}/${above}`), { mode: 0o700 });
      if (owner) files.chownSync(bytePath(`${root}/${above}`), owner.uid, owner.gid);
    }
    made.push(missing[0] ?? path);
  }
}

function ownerFor({ owner }: MailConfig, { uid, gid }: Owner): Owner | undefined {
  return process.getuid?.() === 0 ? (owner ?? { uid, gid }) : undefined;
}

function refuseUnlessEmpty(files: Files, root: string): void {
  const names = listNames(files, root);
  if (names.length === 0) return;
  throw new MailarkError("TARGET_NOT_EMPTY", "the target holds something already", {
    detail: Buffer.from(root, "latin1").toString("utf8"),
    hint: names.includes(workshop)
      ? "it is what a restore left that did not end: look at it, remove it, and start again"
      : "give an empty or a new directory: mailark never restores over anything",
  });
}

function exists(files: Files, path: string): boolean {
  try {
    files.lstatSync(bytePath(path));
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** Everything that was written is on the disk when this resolves. */
async function flush(root: string, { processes, signal }: World): Promise<void> {
  const path = Buffer.from(root, "latin1").toString("utf8");
  await outputOf(processes, ["sync", "--file-system", path], { signal });
}
