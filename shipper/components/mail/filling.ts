import type { Dirent } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import { refuseArrivals } from "../arrivals.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { Filling, World } from "../component.ts";
import { removeTree } from "../remove-tree.ts";
import { namesAtTarget } from "../target-names.ts";
import { type MailConfig, rootOf } from "./config.ts";
import type { Index } from "./index-rows.ts";
import { workshop } from "./mail-root.ts";
import { parseMessageName } from "./message-name.ts";
import { selectMailboxes } from "./select.ts";
import { messageStates } from "./tree.ts";

/** Mailboxes appear one after the other, each whole. */
export function mailFilling(config: MailConfig): Filling {
  const root = rootOf(config);
  const refuseUnlessEmpty = ({ files }: Pick<World, "files">) => {
    const names = namesAtTarget(files, root);
    if (names.length > 0) throw holds(names[0]!);
  };
  return {
    async refuseUnlessEmpty(world) {
      refuseUnlessEmpty(world);
    },
    async takeBack(snapshot, world) {
      const names = namesAtTarget(world.files, root);
      if (names.length === 0) return;
      const own = new Set([workshop]);
      for await (const mailbox of selectMailboxes(snapshot, {}, config)) {
        if (!("index" in mailbox)) continue;
        refuseOthers(root, mailbox.index, world);
        own.add(mailbox.index.path);
      }
      const found = whatIsThere(root, own, names, world);
      for (const path of found.own) removeTree(world.files, `${root}/${path}`);
      for (const path of found.between) world.files.rmdirSync(bytePath(`${root}/${path}`));
      refuseUnlessEmpty(world);
    },
  };
}

/**
 * What a restore builds has the messages of the snapshot, each under the name that it keeps for life: any other came afterwards, and is
 * nowhere else.
 *
 * @throws MailarkError `TARGET_NOT_EMPTY`.
 */
function refuseOthers(root: string, { path: mailbox, messages }: Index, { files }: World): void {
  const own = new Set([...messages.values()].map(({ base }) => base));
  const arrived: string[] = [];
  const look = (path: string, holdsMessages: boolean) => {
    const entries = files.readdirSync(bytePath(`${root}/${path}`), { withFileTypes: true, encoding: "latin1" });
    for (const entry of entries as Dirent[]) {
      const below = `${path}/${entry.name}`;
      if (entry.isDirectory()) look(below, [...messageStates, "tmp"].includes(entry.name));
      else if (holdsMessages && !own.has(parseMessageName(entry.name).base)) arrived.push(pathText(below));
    }
  };
  const top = files.lstatSync(bytePath(`${root}/${mailbox}`), { throwIfNoEntry: false });
  if (top === undefined) return;
  if (!top.isDirectory()) throw holds(mailbox);
  look(mailbox, false);
  refuseArrivals("messages have arrived", arrived);
}

/**
 * The mailboxes of a snapshot that are below a mail root, and the directories between, the innermost first.
 *
 * @param names in the mail root; what is not among them may stay.
 * @throws MailarkError `TARGET_NOT_EMPTY` where there is anything else.
 */
function whatIsThere(root: string, own: ReadonlySet<string>, names: readonly string[], { files }: World) {
  const above = new Set(
    [...own].flatMap((path) => path.split("/").map((_, count, all) => all.slice(0, count).join("/"))),
  );
  const found: { own: string[]; between: string[] } = { own: [], between: [] };
  const look = (directory: string) => {
    const entries = files.readdirSync(bytePath(`${root}/${directory}`), { withFileTypes: true, encoding: "latin1" });
    for (const entry of entries as Dirent[]) {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (directory === "" && !names.includes(path)) continue;
      if (own.has(path)) found.own.push(path);
      else if (entry.isDirectory() && above.has(path)) {
        look(path);
        found.between.push(path);
      } else throw holds(path);
    }
  };
  look("");
  return found;
}

const holds = (path: string) =>
  new MailarkError("TARGET_NOT_EMPTY", "the mail root holds something already", {
    detail: pathText(path),
    hint: "move what is there away, or restore into another directory with --to",
  });
