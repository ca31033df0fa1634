import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, utimesSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { isRoot } from "./account.ts";
import { proseOf } from "./prose.ts";
import { type Seed, seedOf } from "./seed.ts";

export interface MaildirOptions {
  readonly seed: string;
  /** How many messages. */
  readonly messages: number;
  /** Numeric owner of all that is made. Default: nothing is given away. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /**
   * Maildir++ folders beside INBOX, in their names on the disk (modified UTF-7, without the leading dot). Messages are
   * spread over INBOX (half) and these. Default: none.
   */
  readonly folders?: readonly string[];
  /** Median size in bytes; the mean is 1.8 times as much, as in real mailboxes. Default: 10,000. */
  readonly medianBytes?: number;
  /** Milliseconds since 1970 of the newest message; the others lie in the 3 years before. Default: 2026-01-01. */
  readonly newest?: number;
}

export interface MaildirWritten {
  readonly messages: number;
  readonly bytes: number;
}

/** exp(σ²/2) = 1.8: the ratio of mean to median of a log-normal distribution. */
const sigma = Math.sqrt(2 * Math.log(1.8));
const threeYears = 3 * 365 * 86_400_000;

/**
 * Adds messages to a Maildir, as files, in a few microseconds each: what a big mailbox looks like before any IMAP server saw
 * it. Sizes are log-normal; a third of the bytes is base64, the rest prose. The same options always make the same tree.
 *
 * @throws Error of the file system.
 */
export function writeMaildir(maildir: string, options: MaildirOptions): MaildirWritten {
  const { messages, owner, folders = [], medianBytes = 10_000, newest = Date.UTC(2026, 0, 1) } = options;
  const seed = seedOf(options.seed);
  const prose = proseOf(seed.branch("prose"));
  const give = (path: string) => owner && isRoot && chownSync(path, owner.uid, owner.gid);
  const makeFolders = (root: string) => {
    for (const path of [root, join(root, "cur"), join(root, "new"), join(root, "tmp")]) {
      if (existsSync(path)) continue;
      const first = mkdirSync(path, { recursive: true, mode: 0o700 }) ?? path;
      chmodSync(path, 0o700);
      for (let made = path; made.length >= first.length; made = dirname(made)) give(made);
    }
  };
  const roots = [maildir, ...folders.map((name) => join(maildir, `.${name}`))];
  roots.forEach(makeFolders);

  let bytes = 0;
  for (let index = 0; index < messages; index++) {
    const root = index % 2 === 0 || roots.length === 1 ? maildir : roots[1 + seed.integer(roots.length - 1)]!;
    const size = Math.round(Math.min(medianBytes * Math.exp(sigma * seed.normal()), 30_000_000));
    const receivedAt = newest - Math.floor(seed.fraction() * threeYears);
    const message = makeMessage(seed, prose, index, size, receivedAt);
    const seconds = Math.floor(receivedAt / 1000);
    const name = `${seconds}.M${String(seed.integer(1_000_000)).padStart(6, "0")}P${1000 + index}.mx,S=${message.length}`;
    const isNew = seed.integer(20) === 0;
    const path = isNew ? join(root, "new", name) : join(root, "cur", `${name}:2,${flags(seed)}`);
    const file = openSync(path, "wx", 0o600);
    writeSync(file, message);
    closeSync(file);
    give(path);
    utimesSync(path, seconds, seconds);
    bytes += message.length;
  }
  return { messages, bytes };
}

/** Maildir's flag letters, in their order. */
function flags(seed: Seed): string {
  return (seed.integer(12) === 0 ? "F" : "") + (seed.integer(4) === 0 ? "R" : "") + (seed.integer(5) > 0 ? "S" : "");
}

function makeMessage(
  seed: Seed,
  prose: ReturnType<typeof proseOf>,
  index: number,
  size: number,
  receivedAt: number,
): Buffer {
  const date = new Date(receivedAt).toUTCString().replace("GMT", "+0000");
  const id = seed.bytes(12).toString("hex");
  const boundary = `=_${id}`;
  const head = `Return-Path: <${prose.words(1)}@example.org>
Received: from mx.example.org (mx.example.org [192.0.2.${1 + seed.integer(250)}])
\tby mx.example.test (Postfix) with ESMTPS id ${id.slice(0, 11).toUpperCase()}
\tfor <someone@example.test>; ${date}
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=mail;
\tb=${seed.bytes(192).toString("base64")}
From: ${prose.words(2)} <${prose.words(1)}@example.org>
To: someone@example.test
Subject: ${prose.words(3 + seed.integer(6))}
Date: ${date}
Message-ID: <${index}.${id}@example.org>
MIME-Version: 1.0
`;
  const attached = size > 20_000 && seed.integer(2) === 0;
  const opening = attached
    ? `Content-Type: multipart/mixed; boundary="${boundary}"\n\n--${boundary}\nContent-Type: text/plain; charset=utf-8\n\n`
    : "Content-Type: text/plain; charset=utf-8\n\n";
  const between = `\n--${boundary}\nContent-Type: application/octet-stream; name="attachment.bin"
Content-Transfer-Encoding: base64\n\n`;
  const closing = attached ? `\n--${boundary}--\n` : "\n";
  const fixed = head.length + opening.length + (attached ? between.length : 0) + closing.length;
  const room = Math.max(size - fixed, 80);
  const attachment = attached ? base64Lines(seed.bytes(Math.floor((room * 0.8 * 57) / 77))) : "";
  const letter = Math.max(room - attachment.length, 40);

  const message = Buffer.alloc(fixed + letter + attachment.length);
  let position = message.write(head + opening, 0, "latin1");
  prose.fill(message, position, position + letter, "\n");
  position += letter;
  if (attached) position += message.write(between + attachment, position, "latin1");
  message.write(closing, position, "latin1");
  return message;
}

function base64Lines(bytes: Buffer): string {
  return bytes.toString("base64").replace(/.{76}/g, "$&\n");
}
