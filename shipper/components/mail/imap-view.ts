/**
 * Compares what an IMAP server shows of a mailbox with what the index of the snapshot says was captured.
 */
import { hash } from "node:crypto";
import type { Files } from "../../../core/ports/files.ts";
import { pathText } from "../byte-path.ts";
import type { Counters } from "./dovecot-counters.ts";
import { flagsOf, parseKeywords } from "./dovecot-keywords.ts";
import { substitute } from "./imap-folder-name.ts";
import { type FetchedMessage, fetchedMessage, type Response, sortedFlags } from "./imap-responses.ts";
import type { Index, MessageRow } from "./index-rows.ts";
import type { PrivateDovecot } from "./private-dovecot.ts";
import { contentOf } from "./private-maildir.ts";
import { openFile, readInto } from "./read-file.ts";
import type { Tree } from "./tree.ts";
import { parseUidlist, type Uidlist } from "./uidlist.ts";

export interface ImapView {
  /** What is not as it was captured, each with its folder. */
  readonly wrong: readonly string[];
  readonly messages: number;
  readonly folders: number;
  /** Messages whose text was read and compared. */
  readonly bodies: number;
  /** Folders that were shown under another name, because theirs is none in IMAP. */
  readonly renamed: number;
  /** Messages that no IMAP server shows, for their file names have a line feed. */
  readonly hidden: number;
}

const sampleEvery = 50;
const mostSamples = 20;
/** Of a message's text, so much is compared, in bytes. */
const sampleBytes = 256 * 1024;

/** A mailbox that stands somewhere, and what was captured of it. */
export interface ViewedMailbox {
  /** Absolute path in latin1. */
  readonly mailbox: string;
  /** What is there. */
  readonly tree: Tree;
  readonly index: Index;
}

/**
 * What one server shows of some mailboxes.
 *
 * @throws MailarkError as `PrivateDovecot.imap`.
 */
export async function viewByImap(
  dovecot: PrivateDovecot,
  mailboxes: readonly ViewedMailbox[],
  files: Files,
): Promise<ImapView> {
  const wrong: string[] = [];
  const copy = dovecot.copy(mailboxes);
  const folders = mailboxes.flatMap((mailbox, number) => expectedFolders(mailbox, copy.names[number]!, files));
  const asked: { command: string; folder?: ExpectedFolder }[] = [{ command: 'LIST "" "*"' }];
  const listed = new Set<string>();
  let bodies = 0;
  for (const folder of folders) {
    if (folder.name === undefined) {
      wrong.push(`${folder.title}: not there`);
      continue;
    }
    asked.push({ command: `EXAMINE "${folder.name}" (CONDSTORE)`, folder });
    const { size } = folder.messages;
    if (size === 0) continue;
    const samples = Array.from({ length: Math.min(mostSamples, Math.ceil(size / sampleEvery)) }, sampleAt);
    asked.push({ command: "UID FETCH 1:* (FLAGS X-GUID INTERNALDATE)", folder });
    asked.push({ command: `FETCH ${samples.join(",")} (UID X-GUID BODY.PEEK[]<0.${sampleBytes}>)`, folder });
  }
  try {
    let at = 0;
    const done = new Set<number>();
    for await (const response of dovecot.imap(
      copy,
      asked.map(({ command }, number) => `c${number} ${command}`),
    )) {
      const { folder } = asked[at] ?? {};
      const [, number, answer = ""] = /^c(\d+) (.*)$/.exec(response.line) ?? [];
      if (number !== undefined) {
        if (!answer.startsWith("OK ")) wrong.push(`${folder?.title ?? "the list of folders"}: ${answer}`);
        // Two FETCH commands for one folder may end in any order.
        done.add(Number(number));
        while (done.has(at)) at += 1;
      } else if (folder === undefined) listed.add(listedName(response));
      else take(folder, response);
    }
  } finally {
    await dovecot.discard(copy);
  }
  for (const folder of folders.filter(({ name }) => name !== undefined)) {
    if (!listed.has(folder.name!)) wrong.push(`${folder.title}: not listed`);
    wrong.push(...judge(folder));
  }
  return {
    wrong,
    messages: folders.reduce((sum, { shown }) => sum + shown.size, 0),
    folders: folders.length,
    bodies,
    renamed: folders.filter(({ name }) => name?.includes(substitute)).length,
    hidden: folders.reduce((sum, { hidden }) => sum + hidden, 0),
  };

  function take(folder: ExpectedFolder, response: Response) {
    const [, exists] = /^\* (\d+) EXISTS$/.exec(response.line) ?? [];
    if (exists !== undefined) folder.exists = Number(exists);
    const [, what, value] = /^\* OK \[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)\]/.exec(response.line) ?? [];
    if (what !== undefined) folder.counters.set(what, Number(value));
    const message = fetchedMessage(response);
    if (message?.body === undefined) {
      if (message !== undefined) folder.shown.set(message.uid, message);
      return;
    }
    bodies += 1;
    const row = rowOf(folder, message);
    if (row !== undefined && !isContent(files, `${folder.mailbox}/${pathOf(row)}`, row, message.body))
      wrong.push(`${folder.title}: message ${message.uid} has another text`);
  }
}

interface ExpectedFolder {
  /** Absolute path. */
  readonly mailbox: string;
  /** In IMAP, in the copy; `undefined` where the mailbox has no such folder. */
  readonly name: string | undefined;
  readonly title: string;
  /** By base name. */
  readonly messages: ReadonlyMap<string, MessageRow>;
  readonly hidden: number;
  readonly uidlist: Uidlist | undefined;
  /** Names of Dovecot's files that are not what was captured. */
  readonly changed: readonly string[];
  /** GUID → base name, where they are not the same. */
  readonly bases: ReadonlyMap<string, string>;
  readonly keywords: ReadonlyMap<string, string>;
  /** What its indexes hold, where they came back. */
  readonly captured: Counters | undefined;
  readonly indexed: ReadonlyMap<string, ReadonlySet<number>>;
  /** What the server says. */
  exists?: number;
  readonly counters: Map<string, number>;
  readonly shown: Map<number, FetchedMessage>;
}

function expectedFolders(
  { mailbox, index }: ViewedMailbox,
  names: ReadonlyMap<string, string>,
  files: Files,
): ExpectedFolder[] {
  const byFolder = new Map<string, Map<string, MessageRow>>();
  const hidden = new Map<string, number>();
  for (const row of index.messages.values()) {
    if (row.base.includes("\n") || row.info.includes("\n")) {
      hidden.set(row.folder, (hidden.get(row.folder) ?? 0) + 1);
      continue;
    }
    const messages = byFolder.get(row.folder) ?? new Map<string, MessageRow>();
    byFolder.set(row.folder, messages.set(row.base, row));
  }
  return [...index.folders.keys()].map((path) => {
    const changed: string[] = [];
    const content = own("dovecot-uidlist");
    const keywords = own("dovecot-keywords");
    const hasIndex = contentOf(files, `${mailbox}/${path}/dovecot.index.log`) !== undefined;
    const uidlist = content && parseUidlist(content);
    return {
      mailbox,
      name: names.get(path),
      title: pathText(`${index.path}/${path}`),
      messages: byFolder.get(path) ?? new Map(),
      hidden: hidden.get(path) ?? 0,
      uidlist,
      bases: new Map([...(uidlist?.guids ?? [])].map(([base, guid]) => [guid, base])),
      changed,
      keywords: parseKeywords(keywords ?? Buffer.alloc(0)),
      captured: hasIndex ? index.counters.get(path) : undefined,
      indexed: (hasIndex && index.keywords.get(path)) || new Map(),
      counters: new Map(),
      shown: new Map(),
    };

    function own(name: string): Buffer | undefined {
      const content = contentOf(files, `${mailbox}/${path}/${name}`);
      const captured = index.files.get(path === "." ? name : `${path}/${name}`);
      if (captured?.sha256 !== (content && hash("sha256", content, "hex"))) changed.push(name);
      return content;
    }
  });
}

/** What of a folder is not as it was captured; of messages the first few only. */
function judge(folder: ExpectedFolder): string[] {
  const { title, messages, uidlist, exists, counters, shown } = folder;
  const wrong: string[] = [];
  for (const name of folder.changed) wrong.push(`${title}: its ${name} is not the one that was captured`);
  if (exists !== messages.size) wrong.push(`${title}: ${messages.size} messages expected, ${exists ?? "none"} shown`);
  if (uidlist !== undefined) {
    const [validity, next] = [counters.get("UIDVALIDITY"), counters.get("UIDNEXT") ?? 0];
    if (validity !== uidlist.uidValidity) wrong.push(`${title}: UIDVALIDITY ${uidlist.uidValidity} is ${validity}`);
    if (next < uidlist.nextUid) wrong.push(`${title}: UIDNEXT ${uidlist.nextUid} is ${next}`);
  }
  const bad: string[] = [];
  const { captured } = folder;
  const highest = counters.get("HIGHESTMODSEQ") ?? 0;
  if (captured && highest < captured.highestModseq)
    wrong.push(`${title}: HIGHESTMODSEQ ${captured.highestModseq} is ${highest}`);
  if (captured && (counters.get("UIDNEXT") ?? 0) < captured.nextUid)
    wrong.push(`${title}: UIDNEXT ${captured.nextUid} is ${counters.get("UIDNEXT")}`);
  const seen = new Set<MessageRow>();
  for (const message of shown.values()) {
    const row = rowOf(folder, message);
    if (row !== undefined) seen.add(row);
    const why = row === undefined ? "was not captured" : difference(folder, row, message);
    if (why !== undefined) bad.push(`${title}: message ${message.uid} ${why}`);
  }
  const missing = messages.size - seen.size;
  if (missing > 0) bad.push(`${title}: ${missing} messages are not shown`);
  return [...wrong, ...bad.slice(0, 5)];
}

function difference(
  { uidlist, keywords, indexed }: ExpectedFolder,
  row: MessageRow,
  { uid, flags, receivedAt }: FetchedMessage,
): string | undefined {
  const expected = uidlist?.uids.get(row.base);
  if (expected !== undefined && expected !== uid) return `had the UID ${expected}`;
  const named = row.state === "cur" ? flagsOf(row.info, keywords) : [];
  const unnamed = [...indexed].filter(([, uids]) => uids.has(uid)).map(([keyword]) => keyword);
  const wanted = named && sortedFlags([...named, ...unnamed]).join(" ");
  if (wanted !== undefined && flags?.join(" ") !== wanted)
    return `had the flags (${wanted}), has (${flags?.join(" ")})`;
  const time = Math.floor(Number(row.modified));
  if (time > 0 && receivedAt !== time) return "has another time";
  return undefined;
}

/** The message that a server means, by what it knows it by. */
function rowOf({ messages, bases }: ExpectedFolder, { guid }: FetchedMessage): MessageRow | undefined {
  return guid === undefined ? undefined : (messages.get(guid) ?? messages.get(bases.get(guid) ?? ""));
}

/** Whether a server shows what the file holds, with line ends as IMAP has them, and the file is what was captured. */
function isContent(files: Files, path: string, { bytes, sha256 }: MessageRow, shown: Buffer): boolean {
  const { descriptor, stats } = openFile(files, path);
  try {
    if (stats.size !== bytes) return false;
    const content = Buffer.allocUnsafe(Math.min(bytes, sampleBytes));
    readInto(files, descriptor, content, path);
    if (content.length === bytes && hash("sha256", content, "hex") !== sha256) return false;
    return inCrlf(content).subarray(0, sampleBytes).equals(shown);
  } finally {
    files.closeSync(descriptor);
  }
}

/** Dovecot sends CRLF for every line end, and 0x80 for a zero byte, which IMAP can not send. */
function inCrlf(content: Buffer): Buffer {
  const text = content.toString("latin1").replaceAll("\0", "\x80");
  return Buffer.from(text.replace(/(?<!\r)\n/g, "\r\n"), "latin1");
}

const sampleAt = (_: unknown, number: number) => 1 + number * sampleEvery;

const pathOf = ({ folder, state, base, info }: MessageRow) => `${folder}/${state}/${base}${info}`;

function listedName({ line, literals }: Response): string {
  const [, name = ""] = /^\* LIST \([^)]*\) (?:NIL|"[^"]*") (.*)$/.exec(line) ?? [];
  const [first] = literals;
  if (first !== undefined) return first.toString("latin1");
  return name.startsWith('"') ? name.slice(1, -1).replace(/\\(.)/g, "$1") : name;
}
