import { hash } from "node:crypto";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { Check, World } from "../component.ts";
import { nameOf } from "./bad-mailbox.ts";
import { readFile } from "./read-file.ts";
import { readIndex, readTable } from "./read-table.ts";
import type { StagedMail, StagedMailbox } from "./stage.ts";
import { listTree, type Tree } from "./tree.ts";
import { parseUidlist } from "./uidlist.ts";

/** Judges staged mailboxes by reading them again from the disk, as an IMAP server would find them. */
export async function checkMail(staged: StagedMail, { files, signal, progress }: World): Promise<readonly Check[]> {
  const counts: string[] = [];
  const uids: string[] = [];
  let messages = 0;
  let uidlists = 0;
  for (const mailbox of staged.mailboxes) {
    signal.throwIfAborted();
    progress(`checking mailbox ${pathText(mailbox.path)}`);
    const path = `${staged.root}/${mailbox.path}`;
    const tree = listTree(files, path);
    messages += tree.messages.length;
    counts.push(...differences(mailbox, tree, files, path));
    for (const folder of tree.folders.keys()) {
      const found = uidlistOf(files, `${path}/${folder}/dovecot-uidlist`);
      if (found === undefined) continue;
      uidlists += 1;
      if (found !== "sound") uids.push(`${pathText(`${mailbox.path}/${folder}`)}: ${found}`);
    }
  }
  const { facts } = staged.snapshot.manifest;
  return [
    verdict(
      "every mailbox came back",
      staged.failures.map((failure) => `${nameOf(failure)}: ${failure.error.message}`),
      `${staged.mailboxes.length} mailboxes`,
    ),
    verdict("every message is in its folder", counts, `${messages} messages in ${staged.mailboxes.length} mailboxes`),
    staged.narrowed
      ? { name: "as many as were captured", outcome: "unproven", detail: "only some mailboxes were restored" }
      : verdict(
          "as many as were captured",
          facts.messages === messages && facts.mailboxes === staged.mailboxes.length
            ? []
            : [`captured ${facts.messages} messages in ${facts.mailboxes} mailboxes, found ${messages}`],
          `${facts.messages} messages, ${facts.messageBytes} bytes`,
        ),
    await checkContents(staged, files),
    verdict("UIDs of every folder are sound", uids, `${uidlists} folders with UIDs`),
    { name: "an IMAP server shows them", outcome: "unproven", detail: "no IMAP server was started for this check" },
  ];
}

function differences(mailbox: StagedMailbox, tree: Tree, files: Files, path: string): string[] {
  const bytes = tree.messages.reduce((sum, { folder, state, base, info }) => {
    return sum + files.lstatSync(bytePath(`${path}/${folder}/${state}/${base}${info}`)).size;
  }, 0);
  const compared = [
    ["messages", mailbox.messages, tree.messages.length],
    ["bytes", mailbox.messageBytes, bytes],
    ["folders", mailbox.folders, tree.folders.size],
    ["files", mailbox.files, tree.files.length],
  ] as const;
  return compared
    .filter(([, expected, found]) => expected !== found)
    .map(([what, expected, found]) => `${pathText(mailbox.path)}: ${expected} ${what} expected, ${found} found`);
}

/** Hashes a sample of the messages, at least one of every mailbox, as they are on the disk now. */
async function checkContents({ snapshot, mailboxes, root }: StagedMail, files: Files): Promise<Check> {
  const wanted = new Set(mailboxes.map(({ ownerId }) => ownerId));
  const wrong: string[] = [];
  let read = 0;
  for (const [ownerId, chain] of await readTable(snapshot)) {
    if (!wanted.has(ownerId)) continue;
    const index = await readIndex(snapshot, chain);
    let number = 0;
    for (const { folder, state, base, info, sha256 } of index.messages.values()) {
      if (number++ % sampleEvery !== 0) continue;
      const path = `${root}/${index.path}/${folder}/${state}/${base}${info}`;
      if (hashOf(files, path) !== sha256) wrong.push(pathText(`${index.path}/${folder}/${base}`));
      read += 1;
    }
  }
  return verdict("messages read back as they were captured", wrong, `a sample of ${read} messages`);
}

const sampleEvery = 50;

/** `undefined`: there is no such file. */
function hashOf(files: Files, path: string): string | undefined {
  try {
    return hash("sha256", readFile(files, path).content, "hex");
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** `undefined`: the folder has none, Dovecot makes one. */
function uidlistOf(files: Files, path: string): "sound" | string | undefined {
  let content: Buffer;
  try {
    content = readFile(files, path).content;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  if (parseUidlist(content) === undefined) return "not a whole list of ascending UIDs";
  return "sound";
}

function verdict(name: string, wrong: readonly string[], passed: string): Check {
  if (wrong.length === 0) return { name, outcome: "passed", detail: passed };
  const shown = wrong.slice(0, 5).join("; ");
  return { name, outcome: "failed", detail: wrong.length > 5 ? `${shown}; and ${wrong.length - 5} more` : shown };
}
