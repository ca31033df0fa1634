/** As much of IMAP as reading one message needs (RFC 3501). */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../../components/component.ts";
import { type Conversation, converse } from "./conversation.ts";

export interface ImapSession {
  /** The first message of the inbox that has this Message-ID, whole; `undefined`: none yet. */
  find(messageId: string): Promise<Buffer | undefined>;
  close(): void;
}

/**
 * Logs in; `undefined` when the server says that the name or the password is wrong.
 *
 * @throws MailarkError `PROGRAM_FAILED` with the server's words when it refuses anything else.
 */
export async function logIn(
  socket: string,
  user: string,
  password: string,
  world: World,
): Promise<ImapSession | undefined> {
  const server = await converse(socket, world);
  try {
    await server.line();
    const login = await command(server, "LOGIN", [user, password]);
    if (/^NO \[AUTHENTICATIONFAILED\]/i.test(login.status)) {
      server.close();
      return undefined;
    }
    expectOk(login, "the login");
  } catch (error) {
    server.close();
    throw error;
  }
  return {
    async find(messageId) {
      expectOk(await command(server, "SELECT INBOX"), "the inbox");
      const search = await command(server, "UID SEARCH HEADER Message-ID", [messageId]);
      expectOk(search, "a search");
      const uid = /^\* SEARCH (\d+)/m.exec(search.said)?.[1];
      if (uid === undefined) return undefined;
      const fetched = await command(server, `UID FETCH ${uid} BODY.PEEK[]`);
      expectOk(fetched, "a message");
      return fetched.literals[0];
    },
    close() {
      server.say("z LOGOUT\r\n");
      server.close();
    },
  };
}

interface Answer {
  /** `OK …`, `NO …` or `BAD …` */
  readonly status: string;
  readonly said: string;
  readonly literals: readonly Buffer[];
}

/** Arguments are sent as literals, so that they may hold anything. */
async function command(server: Conversation, words: string, args: readonly string[] = []): Promise<Answer> {
  server.say(`a ${words}`);
  for (const argument of args) {
    const bytes = Buffer.from(argument, "utf8");
    server.say(` {${bytes.length}}\r\n`);
    for (;;) {
      const line = await server.line();
      if (line.startsWith("+")) break;
      if (line.startsWith("a ")) return { status: line.slice(2), said: "", literals: [] };
    }
    server.say(bytes);
  }
  server.say("\r\n");
  const literals: Buffer[] = [];
  let said = "";
  for (;;) {
    const line = await server.line();
    if (line.startsWith("a ")) return { status: line.slice(2), said, literals };
    said += `${line}\n`;
    const length = /\{(\d+)\}$/.exec(line)?.[1];
    if (length !== undefined) literals.push(await server.bytes(Number(length)));
  }
}

function expectOk({ status }: Answer, what: string): void {
  if (status.startsWith("OK")) return;
  throw new MailarkError("PROGRAM_FAILED", `the scratch Dovecot refused ${what}`, { detail: status });
}
