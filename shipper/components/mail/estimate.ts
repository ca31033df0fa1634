import { isAbsent } from "../../../core/ports/files.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { Estimate, World } from "../component.ts";
import { type MailConfig, rootOf } from "./config.ts";
import { discover, noMailboxes } from "./discover.ts";
import { listTree } from "./tree.ts";

/** What a capture would read, mailbox by mailbox: names and sizes only. */
export async function estimateMail(
  config: MailConfig,
  { files, signal, progress }: World,
): Promise<readonly Estimate[]> {
  const { mailboxes } = discover(files, config);
  if (mailboxes.length === 0) throw noMailboxes(config);
  return mailboxes.map(({ path }, number) => {
    signal.throwIfAborted();
    progress(`mailbox ${number + 1} of ${mailboxes.length}`);
    const mailbox = `${rootOf(config)}/${path}`;
    const tree = listTree(files, mailbox);
    const paths = [
      ...tree.files,
      ...tree.messages.map(({ folder, state, base, info }) => `${folder}/${state}/${base}${info}`),
    ];
    const bytes = paths.reduce((sum, name) => {
      try {
        return sum + files.lstatSync(bytePath(`${mailbox}/${name}`)).size;
      } catch (error) {
        if (isAbsent(error)) return sum;
        throw error;
      }
    }, 0);
    return { what: contentsOf(path, tree.messages.length, tree.folders.size), bytes };
  });
}

/** A mailbox in a list for people. */
export function contentsOf(path: string, messages: number, folders: number): string {
  const words = [`${messages} message${messages === 1 ? "" : "s"}`, `${folders} folder${folders === 1 ? "" : "s"}`];
  return `${pathText(path)}: ${words.join(" in ")}`;
}
