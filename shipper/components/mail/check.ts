import { hash } from "node:crypto";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath, pathText } from "../byte-path.ts";
import type { Check, World } from "../component.ts";
import { nameOf } from "./bad-mailbox.ts";
import { checkOwners } from "./check-owners.ts";
import { ImapCheck } from "./imap-check.ts";
import type { Index, MessageRow } from "./index-rows.ts";
import { readFile } from "./read-file.ts";
import { readIndex, readTable } from "./read-table.ts";
import type { StagedMail, StagedMailbox } from "./stage.ts";
import { listTree, type Tree } from "./tree.ts";
import { parseUidlist } from "./uidlist.ts";
import { verdict } from "./verdict.ts";

/** Judges staged mailboxes by reading them again from the disk, and by what an IMAP server shows of them. */
export async function checkMail(staged: StagedMail, world: World): Promise<readonly Check[]> {
  const { files, signal, progress } = world;
  const { mailboxes, failures, root, narrowed, snapshot } = staged;
  const counts: string[] = [];
  const uids: string[] = [];
  const contents: string[] = [];
  let messages = 0;
  let uidlists = 0;
  let read = 0;
  const imap = new ImapCheck(staged, world);
  try {
    for (const mailbox of mailboxes) {
      signal.throwIfAborted();
      progress(`checking mailbox ${pathText(mailbox.path)}`);
      const path = `${root}/${mailbox.path}`;
      const tree = listTree(files, path);
      messages += tree.messages.length;
      counts.push(...differences(mailbox, tree, files, path));
      for (const folder of tree.folders.keys()) {
        const found = uidlistOf(files, `${path}/${folder}/dovecot-uidlist`);
        if (found === undefined) continue;
        uidlists += 1;
        if (found !== "sound") uids.push(`${pathText(`${mailbox.path}/${folder}`)}: ${found}`);
      }
      const index = mailbox.index ?? (await indexAgain(staged, mailbox));
      const sample = [...index.messages.values()].filter((_, number) => number % sampleEvery === 0);
      contents.push(...changed(sample, path, mailbox.path, files));
      read += sample.length;
      await imap.add({ mailbox: path, tree, index });
    }
    const { facts } = snapshot.manifest;
    return [
      verdict(
        "every mailbox came back",
        failures.map((failure) => `${nameOf(failure)}: ${failure.error.message}`),
        `${mailboxes.length} mailboxes`,
      ),
      verdict("every message is in its folder", counts, `${messages} messages in ${mailboxes.length} mailboxes`),
      narrowed
        ? { name: "as many as were captured", outcome: "unproven", detail: "only some mailboxes were restored" }
        : verdict(
            "as many as were captured",
            facts.messages === messages && facts.mailboxes === mailboxes.length
              ? []
              : [`captured ${facts.messages} messages in ${facts.mailboxes} mailboxes, found ${messages}`],
            `${facts.messages} messages, ${facts.messageBytes} bytes`,
          ),
      verdict("messages read back as they were captured", contents, `a sample of ${read} messages`),
      verdict("UIDs of every folder are sound", uids, `${uidlists} folders with UIDs`),
      ...(staged.place.kind === "service" ? [await checkOwners(staged, world)] : []),
      await imap.verdict(),
    ];
  } finally {
    await imap.end();
  }
}

async function indexAgain({ snapshot }: StagedMail, { ownerId }: StagedMailbox): Promise<Index> {
  return readIndex(snapshot, (await readTable(snapshot)).get(ownerId) ?? []);
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

/** Hashes messages as they are on the disk now: those that are not what was captured. */
function changed(sample: readonly MessageRow[], path: string, title: string, files: Files): string[] {
  return sample
    .filter(({ folder, state, base, info, sha256 }) => {
      return hashOf(files, `${path}/${folder}/${state}/${base}${info}`) !== sha256;
    })
    .map(({ folder, base }) => pathText(`${title}/${folder}/${base}`));
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
