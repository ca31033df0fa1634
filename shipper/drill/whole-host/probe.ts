/** The mailbox that a drill sends a message to, and the message. */
import { randomBytes } from "node:crypto";
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import { readText } from "../../state-files.ts";

/** The mailbox to use, and where its password is; without the password its check stays open. */
export interface Probe {
  readonly address: string;
  /** A file of one line. */
  readonly passwordFile?: string;
}

/**
 * `undefined`: none is given.
 *
 * @throws MailarkError `ARGUMENT_INVALID` when the file is not there, or does not hold one line.
 */
export function probePassword(probe: Probe | undefined, files: Files): string | undefined {
  const path = probe?.passwordFile;
  if (path === undefined) return undefined;
  const password = readText(files, path)?.replace(/\r?\n$/, "");
  if (password !== undefined && password !== "" && !/[\r\n\0]/.test(password)) return password;
  throw new MailarkError("ARGUMENT_INVALID", "the password file of the mailbox to try does not hold one line", {
    detail: path,
    hint: "write the password into it, alone, and make it readable for you only",
  });
}

export interface ProbeMessage {
  readonly messageId: string;
  readonly whole: Buffer;
}

/** A message that no other is like, with what transports like to spoil: dots, blanks and letters beyond ASCII. */
export function probeMessage(address: string, now: number): ProbeMessage {
  const token = randomBytes(12).toString("hex");
  const messageId = `<${token}@mailark-drill.invalid>`;
  const date = new Date(now).toUTCString().replace("GMT", "+0000");
  const lines = [
    `From: <${address}>`,
    `To: <${address}>`,
    `Subject: mailark drill ${token}`,
    `Date: ${date}`,
    `Message-ID: ${messageId}`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    `This was sent by a restore drill, on a copy of the host. ${token}`,
    ".",
    "..two  dots, two blanks, a blank at the end ",
    "Grüße, 日本, ✉",
    "",
    "the end",
    "",
  ];
  return { messageId, whole: Buffer.from(lines.join("\r\n"), "utf8") };
}

/** Why what was fetched is not the message that was sent; `undefined`: it is, whatever was put above it on its way. */
export function differenceFrom({ whole, messageId }: ProbeMessage, fetched: Buffer): string | undefined {
  const body = (message: Buffer) => message.subarray(message.indexOf("\r\n\r\n") + 4);
  if (!fetched.includes(messageId)) return "another message was fetched";
  const [sent, came] = [body(whole), body(fetched)];
  return sent.equals(came) ? undefined : `its text has ${came.length} bytes, ${sent.length} were sent`;
}
