/** As much of SMTP as a submission needs (RFC 5321, AUTH PLAIN of RFC 4954). */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../../components/component.ts";
import { type Conversation, converse } from "./conversation.ts";

export interface Submission {
  readonly from: string;
  readonly to: string;
  /** Whole, with CRLF at the end of each line. */
  readonly message: Buffer;
  /** Logs in as `from` with it. */
  readonly password?: string;
}

/**
 * Hands a message over; resolves with the server's answer when it has taken charge of it.
 *
 * @throws MailarkError `PROGRAM_FAILED` with the answer when anything is refused.
 */
export async function submit(
  socket: string,
  { from, to, message, password }: Submission,
  world: World,
): Promise<string> {
  const server = await greeted(socket, world);
  try {
    if (password !== undefined) {
      const plain = Buffer.from(`\0${from}\0${password}`, "utf8").toString("base64");
      await command(server, `AUTH PLAIN ${plain}`, "2", "the login");
    }
    await command(server, `MAIL FROM:<${from}>`, "2", "the sender");
    await command(server, `RCPT TO:<${to}>`, "2", "the recipient");
    await command(server, "DATA", "3", "the message");
    const stuffed = message.toString("latin1").replace(/^\./gm, "..");
    server.say(`${stuffed}${stuffed.endsWith("\r\n") ? "" : "\r\n"}.\r\n`);
    const answer = await reply(server);
    if (!answer.startsWith("2")) throw refused("the message", answer);
    server.say("QUIT\r\n");
    return answer;
  } finally {
    server.close();
  }
}

/** What the server answers to a recipient, without sending anything: `554 5.7.1 …`. */
export async function askRecipient(socket: string, from: string, to: string, world: World): Promise<string> {
  const server = await greeted(socket, world);
  try {
    await command(server, `MAIL FROM:<${from}>`, "2", "the sender");
    server.say(`RCPT TO:<${to}>\r\n`);
    return await reply(server);
  } finally {
    server.close();
  }
}

async function greeted(socket: string, world: World): Promise<Conversation> {
  const server = await converse(socket, world);
  try {
    const greeting = await reply(server);
    if (!greeting.startsWith("220")) throw refused("the connection", greeting);
    await command(server, "EHLO drill.invalid", "2", "the greeting");
    return server;
  } catch (error) {
    server.close();
    throw error;
  }
}

async function command(server: Conversation, words: string, wanted: string, what: string): Promise<void> {
  server.say(`${words}\r\n`);
  const answer = await reply(server);
  if (!answer.startsWith(wanted)) throw refused(what, answer);
}

/** The last line of a reply. */
async function reply(server: Conversation): Promise<string> {
  for (;;) {
    const line = await server.line();
    if (line[3] !== "-") return line;
  }
}

const refused = (what: string, answer: string) =>
  new MailarkError("PROGRAM_FAILED", `the scratch Postfix refused ${what}`, { detail: answer });
