import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createTransport } from "nodemailer";
import { MailarkError } from "../../core/errors.ts";
import type { SandboxHost } from "./host.ts";

/** A message as a person writes it. */
export interface Letter {
  readonly from: string;
  readonly to: string | readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly date?: Date;
  readonly messageId?: string;
  readonly attachments?: readonly { readonly filename: string; readonly content: Buffer }[];
}

/**
 * Sends letters through the host's Postfix, over one connection; resolves when it has taken charge of all of them, which is
 * before they are delivered.
 *
 * @throws Error of the SMTP client, with the server's answer, when it refuses one.
 */
export async function send(host: SandboxHost, letters: readonly Letter[]): Promise<void> {
  const transport = createTransport({
    host: "127.0.0.1",
    port: host.postfix.smtpPort,
    secure: false,
    ignoreTLS: true,
    pool: true,
    maxConnections: 1,
    maxMessages: Number.POSITIVE_INFINITY,
  });
  try {
    for (const { to, attachments, ...letter } of letters) {
      await transport.sendMail({ ...letter, to: [to].flat(), ...(attachments && { attachments: [...attachments] }) });
    }
  } finally {
    transport.close();
  }
}

/**
 * Waits until Postfix has no mail under way any more: everything is delivered, bounced, deferred or on hold.
 *
 * @throws MailarkError `PROGRAM_FAILED` when mail is still under way after 30 seconds.
 */
export async function queueSettled(host: SandboxHost): Promise<void> {
  const deadline = Date.now() + 30_000;
  const underWay = () =>
    ["maildrop", "incoming", "active"].some(
      (folder) => readdirSync(join(host.postfix.queueDirectory, folder)).length > 0,
    );
  // A message leaves one folder before it is seen in the next: twice empty is empty.
  for (let quiet = 0; quiet < 2; quiet = underWay() ? 0 : quiet + 1) {
    if (Date.now() > deadline) throw new MailarkError("PROGRAM_FAILED", "the sandbox's Postfix does not deliver");
    await sleep(10);
  }
}

/** Sends letters and waits until they are in their mailboxes. Throws as {@link send} and {@link queueSettled} do. */
export async function deliver(host: SandboxHost, letters: readonly Letter[]): Promise<void> {
  await send(host, letters);
  await queueSettled(host);
}
