/**
 * Who ran what on this host, and how it ended: a line of JSON when it begins and one when it ends, in a file that never grows without
 * bound. It is for whoever asks later who looked into a mailbox; whoever is root can change it.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { asMailarkError, MailarkError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import { type Files, isAbsent, writeWhole } from "../core/ports/files.ts";
import { lock } from "./lock.ts";
import { readText } from "./state-files.ts";

/** A file of this many bytes is put aside, and so many of those are kept. */
const maximumBytes = 1024 * 1024;
const maximumFiles = 5;
const appending = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** What is known of how a command ended. */
export interface AuditEnd {
  readonly exitCode: number;
  /** Code of the error that ended it. */
  readonly error?: string;
  /** What it was about, where it came that far. */
  readonly hostId?: string;
  /** Identities of the stores that have all that a backup stored. */
  readonly stores?: readonly string[];
  readonly snapshots?: readonly { readonly component: string; readonly snapshotId: string }[];
}

/** One command, from its beginning to its end. */
export interface Audit {
  began(): void;
  ended(end: AuditEnd): void;
}

export interface AuditOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the file is: asked each time, because a restore may bring the configuration that says it. `undefined`: nowhere. */
  readonly path: () => string | undefined;
  readonly command: string;
  /** The words as they were given. They name mailboxes and files, which an audit is for, and no secret. */
  readonly words: readonly string[];
  /** Told once what could not be written. That is never a reason not to back up. */
  readonly failed: (message: string, detail: string) => void;
}

/** Both lines have the same `id`; one without its second was killed. Never throws. */
export function auditOf({ files, clock, env, path, command, words, failed }: AuditOptions): Audit {
  const id = randomBytes(6).toString("hex");
  const startedAt = clock.now();
  let told = false;
  const write = (lineOf: () => object) => {
    try {
      const file = path();
      if (file !== undefined) appendLine(files, file, { time: new Date(clock.now()).toISOString(), id, ...lineOf() });
    } catch (thrown) {
      const { message, detail = "" } = asMailarkError(thrown);
      if (!told) failed(`what is done is not in the audit file: ${message}`, detail);
      told = true;
    }
  };
  return {
    began: () =>
      write(() => ({
        ...{ event: "began", command, words: words.map(withoutSecrets) },
        ...{ by: caller(files, env), pid: process.pid },
      })),
    ended: (end) => write(() => ({ event: "ended", command, milliseconds: clock.now() - startedAt, ...end })),
  };
}

/**
 * Appends one line, durably, after putting a full file aside. A line that a crash cut off stays alone. What a link at that path leads to is
 * not written to.
 */
export function appendLine(files: Files, path: string, document: object): void {
  const line = `${JSON.stringify(document)}\n`;
  files.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const isFull = () => (sizeOf(files, path) ?? 0) + Buffer.byteLength(line) > maximumBytes;
  if (isFull()) putAside(files, path, isFull);
  const descriptor = files.openSync(path, appending, 0o600);
  try {
    const { size } = files.fstatSync(descriptor);
    const last = Buffer.alloc(1);
    if (size > 0) files.readSync(descriptor, last, 0, 1, size - 1);
    writeWhole(files, descriptor, Buffer.from(size > 0 && last[0] !== 0x0a ? `\n${line}` : line));
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
}

/**
 * From the oldest on, so that a kill in between loses nothing but the one that was to go. Two at once would put a file aside over another: so
 * one does, and the other appends to what is there.
 */
function putAside(files: Files, path: string, isFull: () => boolean): void {
  let release: () => void;
  try {
    release = lock(files, `${path}.lock`);
  } catch (error) {
    if (error instanceof MailarkError && error.code === "LOCKED") return;
    throw error;
  }
  try {
    for (let number = isFull() ? maximumFiles - 1 : -1; number >= 0; number -= 1) {
      const from = number === 0 ? path : `${path}.${number}`;
      try {
        files.renameSync(from, `${path}.${number + 1}`);
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    }
  } finally {
    release();
  }
}

function sizeOf(files: Files, path: string): number | undefined {
  return files.statSync(path, { throwIfNoEntry: false })?.size;
}

/** Whoever logged in, as far as the system says it: `loginUid` stays the same through sudo and su (proc(5)). */
function caller(files: Files, env: AuditOptions["env"]): object {
  const loginUid = Number(readText(files, "/proc/self/loginuid") ?? Number.NaN);
  const input = readLink(files, "/proc/self/fd/0");
  return {
    user: userName(),
    uid: process.getuid?.(),
    loginUid: loginUid < 0xffffffff ? loginUid : undefined,
    sudoUser: env.SUDO_USER,
    terminal: input?.startsWith("/dev/pts/") || input?.startsWith("/dev/tty") ? input : undefined,
  };
}

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A number that no account has.
    return undefined;
  }
}

function readLink(files: Files, path: string): string | undefined {
  try {
    return files.readlinkSync(path).toString();
  } catch {
    return undefined;
  }
}

const withoutSecrets = (word: string) =>
  word.replace(/AGE-SECRET-KEY-[A-Z0-9]+/gi, "AGE-SECRET-KEY-…").replace(/\/\/[^/@]*@/, "//…@");
