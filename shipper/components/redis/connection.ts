/**
 * The way to one server: `redis-cli`, here or elsewhere. A password reaches it as the first line of its input, from where a constant
 * script puts it into its environment, so that it is the same on this machine and in a container and on no command line.
 */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import { feed, outputOf } from "../../processes.ts";
import { type StallWatch, watchForStalls } from "../../stall-watch.ts";
import type { World } from "../component.ts";
import { leashed, reach } from "../elsewhere.ts";
import { readPassword } from "../secret-file.ts";
import type { RedisConfig } from "./config.ts";

export interface Connection {
  /** `redis-cli` or `valkey-cli`, and its version. */
  readonly client: { readonly name: string; readonly version: string };
  readonly stallSeconds: number;
  /** The command line of the client program. It names no secret. */
  command(args: readonly string[]): [string, ...string[]];
  /** The same for what reads no more of its input: elsewhere it is ended by the end of that. */
  leashed(args: readonly string[]): [string, ...string[]];
  /** What the program's input has to begin with. */
  readonly leading: string;
  /**
   * The server's answer to one command, as `redis-cli` prints it to a program.
   *
   * @throws MailarkError `CAPTURE_FAILED` or `PROGRAM_FAILED` with the server's words where it is an error.
   */
  ask(words: readonly string[], database?: number): Promise<string>;
  /**
   * Gives the server commands and waits until it has carried out all.
   *
   * @throws MailarkError `PROGRAM_FAILED` when it refused a single one, or did not answer each.
   */
  send(commands: AsyncIterable<readonly (string | Uint8Array)[]>): Promise<void>;
  /** A program's words without the password. */
  scrub(text: string): string;
  /** The same connection, ended by another signal. */
  until(signal: AbortSignal): Connection;
}

export interface ConnectionOptions
  extends Pick<RedisConfig, "socket" | "host" | "port" | "user" | "passwordFile" | "stallSeconds"> {
  /** The words of a program, with what has to be before them. */
  readonly wrap: (words: readonly string[]) => [string, ...string[]];
  /** The words that lead to where a server runs elsewhere. Default: it runs here. */
  readonly place?: readonly string[];
}

/** The connection that a configuration names. Throws as {@link openConnection} and {@link reach} do. */
export async function connectionOf(config: RedisConfig, world: World): Promise<Connection> {
  await reach(config.command, world);
  const place = config.command;
  const wrap = (words: readonly string[]) => [...place, ...words] as unknown as [string, ...string[]];
  return openConnection({ ...config, place, wrap }, world);
}

const readSecret = 'IFS= read -r REDISCLI_AUTH && export REDISCLI_AUTH && exec "$@"';

/**
 * @throws MailarkError `PROGRAM_MISSING` when there is no client program, `CONFIG_INVALID` when the password can not be read.
 */
export async function openConnection(options: ConnectionOptions, world: World): Promise<Connection> {
  const password = readPassword(world.files, options.passwordFile, "the password file of Redis");
  return connect(options, password, await findClient(options.wrap, world), world);
}

function connect(
  options: ConnectionOptions,
  password: string | undefined,
  client: Connection["client"],
  { processes, clock, signal }: Pick<World, "processes" | "clock" | "signal">,
): Connection {
  const { wrap, stallSeconds } = options;
  const leading = password === undefined ? "" : `${password}\n`;
  const where = [
    ...(options.socket === undefined ? [] : ["-s", options.socket]),
    ...(options.host === undefined ? [] : ["-h", options.host]),
    ...(options.port === undefined ? [] : ["-p", String(options.port)]),
    ...(options.user === undefined ? [] : ["--user", options.user]),
  ];
  const words = (args: readonly string[]) => [client.name, ...where, ...args];
  const hand = password === undefined ? [] : ["sh", "-c", readSecret, "sh"];
  const command = (args: readonly string[]) => wrap([...hand, ...words(args)]);
  const place = options.place ?? [];
  const scrub = (text: string) => (password ? text.replaceAll(password, "…") : text);
  // Release 6 has no such option, and prints errors as if they were answers.
  const strict = Number.parseInt(client.version, 10) >= 7 ? ["-e"] : [];

  return {
    client,
    stallSeconds,
    leading,
    command,
    leashed: (args) => (place.length === 0 ? command(args) : leashed(place, words(args), hand)),
    scrub,
    until: (other) => connect(options, password, client, { processes, clock, signal: other }),
    async ask(words, database = 0) {
      const patience = new Patience(signal, clock, stallSeconds);
      try {
        const args = [...strict, "-n", String(database), ...words];
        const answer = await outputOf(processes, command(args), { input: leading, signal: patience.signal });
        const text = answer.toString("utf8").replace(/\n$/, "");
        if (strict.length === 0 && isError(text)) {
          throw new MailarkError("PROGRAM_FAILED", `${client.name} failed`, { detail: text });
        }
        return text;
      } catch (error) {
        throw explained(patience.reason(error), client.name, scrub);
      } finally {
        patience.end();
      }
    },
    async send(commands) {
      const patience = new Patience(signal, clock, stallSeconds);
      let sent = 0;
      async function* input(): AsyncGenerator<Uint8Array> {
        yield Buffer.from(leading);
        for await (const words of commands) {
          sent += 1;
          patience.renew();
          yield* request(words);
        }
        patience.renew();
      }
      try {
        const args = ["--pipe", "--pipe-timeout", "0"];
        const said = await feed(processes, command(args), input(), { signal: patience.signal });
        const [, errors, replies] = /errors: (\d+), replies: (\d+)/.exec(said.toString("utf8")) ?? [];
        if (errors === "0" && replies === String(sent)) return;
        throw new MailarkError("PROGRAM_FAILED", `the server answered ${replies ?? "none"} of ${sent} commands`);
      } catch (error) {
        throw explained(patience.reason(error), client.name, scrub);
      } finally {
        patience.end();
      }
    },
  };
}

/** RESP, the server's protocol: every word with its length. */
function* request(words: readonly (string | Uint8Array)[]): Generator<Uint8Array> {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = typeof word === "string" ? Buffer.from(word) : word;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  yield Buffer.concat(parts);
}

/** Ends what makes no progress, and says afterwards whether that was why. */
class Patience {
  readonly #outer: AbortSignal;
  readonly #seconds: number;
  readonly #watch: StallWatch;
  readonly #lost = new AbortController();

  constructor(outer: AbortSignal, clock: Clock, seconds: number) {
    this.#outer = outer;
    this.#seconds = seconds;
    this.#watch = watchForStalls(clock, seconds);
    this.#watch.wait();
    this.#watch.stalled.then(() => this.#lost.abort());
  }

  get signal(): AbortSignal {
    return AbortSignal.any([this.#outer, this.#lost.signal]);
  }

  renew(): void {
    this.#watch.wait();
  }

  end(): void {
    this.#watch.end();
  }

  reason(error: unknown): unknown {
    this.#outer.throwIfAborted();
    return this.#lost.signal.aborted ? stalled(this.#seconds) : error;
  }
}

/** A server that makes no progress. */
export function stalled(seconds: number): MailarkError {
  return new MailarkError("PROGRAM_STALLED", `the server sent nothing for ${seconds} s and was given up`, {
    hint: "look at what the server is doing (redis-cli --latency, its log), or raise stallSeconds",
    retryable: true,
  });
}

/** The same error with the advice that fits the server's words, and without the password. */
export function explained(error: unknown, program: string, scrub: (text: string) => string): MailarkError {
  const known = asMailarkError(error);
  if (known.code !== "PROGRAM_FAILED" && known.code !== "DUMP_FAILED") return known;
  const detail = scrub(known.detail ?? "");
  const advice = advices.find(([words]) => words.test(detail));
  const message = known.message.replace(/^sh(?= failed)/, program);
  return new MailarkError(known.code, advice ? advice[1] : message, {
    detail,
    ...(advice ? { hint: advice[2] } : known.hint !== undefined && { hint: known.hint }),
    retryable: known.retryable,
    cause: known,
  });
}

const advices: readonly (readonly [RegExp, string, string])[] = [
  [/NOAUTH|WRONGPASS|AUTH failed/, "the server refuses the password", "check user and passwordFile"],
  [/NOPERM/, "the server does not permit this account to do so", "give the account +@all, or see docs/guide.md"],
  [
    /Could not connect|Connection refused|Connection reset|closed the connection/,
    "the server can not be reached",
    "is it running, and are socket, host and port right?",
  ],
];

const isError = (text: string) =>
  /^(ERR|NOAUTH|WRONGPASS|NOPERM|LOADING|MISCONF|MASTERDOWN|READONLY|OOM|BUSY|DENIED|AUTH failed)\b/.test(text);

async function findClient(
  wrap: ConnectionOptions["wrap"],
  { processes, signal }: World,
): Promise<Connection["client"]> {
  let reason: unknown;
  for (const name of ["redis-cli", "valkey-cli"]) {
    try {
      const said = (await outputOf(processes, wrap([name, "--version"]), { signal })).toString("utf8");
      return { name, version: /\d+\.\d+(\.\d+)?/.exec(said)?.[0] ?? "unknown" };
    } catch (error) {
      signal.throwIfAborted();
      reason = error;
    }
  }
  throw new MailarkError("PROGRAM_MISSING", "there is neither redis-cli nor valkey-cli", {
    hint: "install redis-tools, or let `command` name where they are",
    cause: reason,
  });
}
