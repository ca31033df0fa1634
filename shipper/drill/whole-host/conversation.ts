/** A conversation in lines with a server behind a Unix socket: what SMTP (RFC 5321) and IMAP (RFC 9051) have in common. */
import { connect } from "node:net";
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../../components/component.ts";

export interface Conversation {
  /** The next line, without its end, as latin1. */
  line(): Promise<string>;
  /** The next bytes, as many as these. */
  bytes(count: number): Promise<Buffer>;
  /** Sends a text as latin1, or bytes, as they are. */
  say(what: string | Uint8Array): void;
  /** Ends it at once; may be called again. */
  close(): void;
}

/** How long a server may think about an answer, in milliseconds. */
const patience = 20_000;

/**
 * Opens a conversation. What it throws, and what `line` and `bytes` throw, is a MailarkError `PROGRAM_FAILED` where the server does not answer in time or
 * hangs up, and the signal's reason.
 */
export async function converse(
  socketPath: string,
  { clock, signal }: Pick<World, "clock" | "signal">,
): Promise<Conversation> {
  signal.throwIfAborted();
  const socket = connect(socketPath);
  let heard: Buffer = Buffer.alloc(0);
  let over: string | undefined;
  let wake = () => {};
  const notice = (why?: string) => {
    over ??= why;
    wake();
  };
  let connected = false;
  socket.once("connect", () => {
    connected = true;
    notice();
  });
  socket.on("data", (more) => {
    heard = Buffer.concat([heard, more]);
    notice();
  });
  socket.on("error", (error) => notice(error.message));
  socket.on("close", () => notice("the server closed the connection"));

  async function until<T>(take: () => T | undefined): Promise<T> {
    const waiting = new AbortController();
    const ending = AbortSignal.any([signal, waiting.signal]);
    let late = false;
    clock.sleep(patience, ending).then(
      () => {
        late = true;
        wake();
      },
      () => wake(),
    );
    try {
      for (;;) {
        signal.throwIfAborted();
        const taken = take();
        if (taken !== undefined) return taken;
        if (over !== undefined || late) throw hungUp(over ?? `no answer within ${patience / 1000} seconds`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      waiting.abort();
    }
  }

  const cut = (length: number, ending: number) => {
    const taken = heard.subarray(0, length);
    heard = heard.subarray(length + ending);
    return taken;
  };
  try {
    await until(() => connected || undefined);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return {
    line: () =>
      until(() => {
        const end = heard.indexOf("\r\n");
        return end === -1 ? undefined : cut(end, 2).toString("latin1");
      }),
    bytes: (count) => until(() => (heard.length < count ? undefined : cut(count, 0))),
    say: (what) => void socket.write(typeof what === "string" ? Buffer.from(what, "latin1") : what),
    close: () => void socket.destroy(),
  };
}

const hungUp = (detail: string) =>
  new MailarkError("PROGRAM_FAILED", "a scratch mail server does not answer", { detail });
