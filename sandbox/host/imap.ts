import { createHash } from "node:crypto";
import { ImapFlow } from "imapflow";
import type { SandboxHost } from "./host.ts";
import { mailboxPassword } from "./mailbox-password.ts";

/** One message as a client sees it. */
export interface MessageView {
  readonly uid: number;
  /** System flags and keywords, sorted, without `\Recent`. */
  readonly flags: readonly string[];
  /** RFC822.SIZE. */
  readonly size: number;
  /** INTERNALDATE, ISO 8601. */
  readonly receivedAt: string;
  /** SHA-256 of the whole message, hex. */
  readonly sha256: string;
}

export interface FolderView {
  readonly subscribed: boolean;
  readonly uidValidity: bigint;
  /** In the order of their UIDs. */
  readonly messages: readonly MessageView[];
}

/** What only ever grows: a restore may raise it, and must never lower it. */
export interface FolderCounters {
  readonly uidNext: number;
  readonly highestModseq: bigint;
}

/**
 * A mailbox as a client sees it, by folder name. Two moments are the same to a client when their `folders` are equal and no
 * counter is lower.
 */
export interface MailboxView {
  readonly folders: Readonly<Record<string, FolderView>>;
  readonly counters: Readonly<Record<string, FolderCounters>>;
}

/** One client's session with one mailbox. Folder names are as people write them: `Entwürfe`, with `.` between levels. */
export interface ImapSession {
  folders(): Promise<string[]>;
  view(): Promise<MailboxView>;
  /** The UIDs of a folder, ascending. */
  uids(folder: string): Promise<number[]>;
  /** The whole message. Throws when there is none of that UID. */
  read(folder: string, uid: number): Promise<Buffer>;
  /** Makes a folder that the client is not subscribed to. */
  createFolder(name: string): Promise<void>;
  deleteFolder(name: string): Promise<void>;
  renameFolder(from: string, to: string): Promise<void>;
  subscribe(name: string): Promise<void>;
  unsubscribe(name: string): Promise<void>;
  addFlags(folder: string, uids: readonly number[], flags: readonly string[]): Promise<void>;
  removeFlags(folder: string, uids: readonly number[], flags: readonly string[]): Promise<void>;
  copy(from: string, uids: readonly number[], to: string): Promise<void>;
  move(from: string, uids: readonly number[], to: string): Promise<void>;
  /** Deletes messages for good. */
  expunge(folder: string, uids: readonly number[]): Promise<void>;
  /** Puts a message into a folder as a client does with what it sent. */
  append(folder: string, message: string | Buffer, flags?: readonly string[], receivedAt?: Date): Promise<void>;
}

/**
 * Logs in to a mailbox, does the work, and logs out.
 *
 * @throws Error of the IMAP client, when the login or any command is refused.
 */
export async function withMailbox<T>(
  host: SandboxHost,
  address: string,
  work: (session: ImapSession) => Promise<T>,
  password: string = mailboxPassword,
): Promise<T> {
  const client = new ImapFlow({
    host: "127.0.0.1",
    port: host.dovecot.imapPort,
    secure: false,
    doSTARTTLS: false,
    auth: { user: address, pass: password },
    logger: false,
    disableAutoIdle: true,
  });
  try {
    await client.connect();
    const result = await work(sessionOf(client));
    await client.logout();
    return result;
  } finally {
    // Also after a login that was refused: its timers would keep the process for a minute.
    client.close();
  }
}

/** A mailbox as a client sees it now, in a session of its own. Throws as {@link withMailbox} does. */
export function viewMailbox(host: SandboxHost, address: string): Promise<MailboxView> {
  return withMailbox(host, address, (session) => session.view());
}

function sessionOf(client: ImapFlow): ImapSession {
  async function inFolder<T>(folder: string, readOnly: boolean, work: () => Promise<T>): Promise<T> {
    const lock = await client.getMailboxLock(folder, { readOnly });
    try {
      return await work();
    } finally {
      lock.release();
    }
  }

  async function done(what: string, outcome: Promise<unknown>): Promise<void> {
    if (!(await outcome)) throw new Error(`the IMAP server refused to ${what}`);
  }

  const byUid = { uid: true };
  const set = (uids: readonly number[]) => uids.join(",");

  async function messages(): Promise<MessageView[]> {
    if (!client.mailbox || client.mailbox.exists === 0) return [];
    const found: MessageView[] = [];
    const parts = { uid: true, flags: true, size: true, internalDate: true, source: true };
    for await (const message of client.fetch("1:*", parts)) {
      found.push({
        uid: message.uid,
        flags: [...(message.flags ?? [])].filter((flag) => flag !== "\\Recent").sort(),
        size: message.size!,
        receivedAt: new Date(message.internalDate!).toISOString(),
        sha256: createHash("sha256").update(message.source!).digest("hex"),
      });
    }
    return found.sort((a, b) => a.uid - b.uid);
  }

  return {
    async folders() {
      return (await client.list()).map((folder) => folder.path).sort();
    },
    async view() {
      const folders: Record<string, FolderView> = {};
      const counters: Record<string, FolderCounters> = {};
      const listed = (await client.list()).filter((folder) => !folder.flags.has("\\NonExistent"));
      for (const { path, subscribed } of listed.sort((a, b) => (a.path < b.path ? -1 : 1))) {
        const status = await client.status(path, { uidNext: true, uidValidity: true, highestModseq: true });
        if (!status) throw new Error("the IMAP server refused the status of a folder");
        counters[path] = { uidNext: status.uidNext!, highestModseq: status.highestModseq! };
        folders[path] = {
          subscribed: subscribed === true,
          uidValidity: status.uidValidity!,
          messages: await inFolder(path, true, messages),
        };
      }
      return { folders, counters };
    },
    uids: (folder) =>
      inFolder(folder, true, async () => ((await client.search({ all: true }, byUid)) || []).sort((a, b) => a - b)),
    read: (folder, uid) =>
      inFolder(folder, true, async () => {
        const message = await client.fetchOne(String(uid), { source: true }, byUid);
        const source = message ? message.source : undefined;
        if (!source) throw new Error(`there is no message ${uid} in this folder`);
        return source;
      }),
    async createFolder(name) {
      await done("create a folder", client.mailboxCreate(name));
      // This client subscribes to what it creates, which is not what CREATE means.
      await done("unsubscribe from a folder", client.mailboxUnsubscribe(name));
    },
    deleteFolder: (name) => done("delete a folder", client.mailboxDelete(name)),
    renameFolder: (from, to) => done("rename a folder", client.mailboxRename(from, to)),
    unsubscribe: (name) => done("unsubscribe from a folder", client.mailboxUnsubscribe(name)),
    subscribe: (name) => done("subscribe to a folder", client.mailboxSubscribe(name)),
    addFlags: (folder, uids, flags) =>
      inFolder(folder, false, () => done("add flags", client.messageFlagsAdd(set(uids), [...flags], byUid))),
    removeFlags: (folder, uids, flags) =>
      inFolder(folder, false, () => done("remove flags", client.messageFlagsRemove(set(uids), [...flags], byUid))),
    copy: (from, uids, to) =>
      inFolder(from, true, () => done("copy messages", client.messageCopy(set(uids), to, byUid))),
    move: (from, uids, to) =>
      inFolder(from, false, () => done("move messages", client.messageMove(set(uids), to, byUid))),
    expunge: (folder, uids) =>
      inFolder(folder, false, () => done("expunge messages", client.messageDelete(set(uids), byUid))),
    append: (folder, message, flags = [], receivedAt) =>
      done("append a message", client.append(folder, message, [...flags], receivedAt)),
  };
}
