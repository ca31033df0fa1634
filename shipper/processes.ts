import type { Readable, Writable } from "node:stream";
import { execa } from "execa";
import { MailarkError } from "../core/errors.ts";

export interface StartOptions {
  /** Added to the environment; the way to hand over a secret, together with `stdin`. Never a command line. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Ends the process (TERM, then KILL after five seconds) when aborted. */
  readonly signal?: AbortSignal;
}

/** How a process ended: its exit status, or the name of the signal that ended it. */
export type Exit =
  | { readonly code: number; readonly signal?: undefined }
  | { readonly code?: undefined; readonly signal: string };

/** The same in words. */
export const howEnded = (exit: Exit): string =>
  exit.signal === undefined ? `exit status ${exit.code}` : `signal ${exit.signal}`;

export interface RunningProcess {
  readonly pid: number;
  readonly stdin: Writable;
  /** Ends when the program closes it, **also when the program then fails**: judge by `exited`. */
  readonly stdout: Readable;
  /** The last few kilobytes that the program wrote to standard error. */
  complaint(): string;
  /** Settles when the process is gone and whatever inherited its output has closed it; never rejects. */
  readonly exited: Promise<Exit>;
  kill(signal?: NodeJS.Signals): void;
}

/** The only way to other programs. No shell is ever involved: an argument reaches the program as it is. */
export interface Processes {
  /**
   * @throws MailarkError `PROGRAM_MISSING` when there is no such program; the signal's reason when it is aborted already.
   */
  start(command: readonly [string, ...string[]], options?: StartOptions): Promise<RunningProcess>;
}

const complaintBytes = 4096;

/** The machine's own processes. */
export const nodeProcesses: Processes = {
  async start([program, ...args], { env, cwd, signal } = {}) {
    signal?.throwIfAborted();
    const child = execa(program, args, {
      buffer: false,
      reject: false,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      forceKillAfterDelay: 5000,
      ...(env && { env }),
      ...(cwd && { cwd }),
      ...(signal && { cancelSignal: signal }),
    });
    let complaint = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-complaintBytes);
    });
    // A program that ends early closes its input; what that means is told by its exit, not by the broken pipe.
    child.stdin.on("error", () => {});
    if (child.pid === undefined) {
      const { cause } = (await child) as { cause?: NodeJS.ErrnoException };
      const missing = cause?.code === "ENOENT";
      throw new MailarkError("PROGRAM_MISSING", `can not start ${program}: ${cause?.code ?? "unknown error"}`, {
        hint:
          missing && cwd === undefined
            ? `install the package that provides ${program}`
            : `check that ${program} can be executed`,
        cause,
      });
    }
    const exited = child.then(
      (result): Exit => (result.signal === undefined ? { code: result.exitCode ?? 1 } : { signal: result.signal }),
    );
    return {
      pid: child.pid,
      stdin: child.stdin,
      stdout: child.stdout,
      complaint: () => complaint.trim(),
      exited,
      kill: (name = "SIGTERM") => child.kill(name),
    };
  },
};

/**
 * Waits for a process and throws unless it ended with exit status 0.
 *
 * @throws MailarkError `PROGRAM_FAILED`, with the program's last words in `detail`; the signal's reason where that is why it ended.
 */
export async function succeed(program: string, running: RunningProcess, signal?: AbortSignal): Promise<void> {
  const exit = await running.exited;
  if (exit.code === 0) return;
  signal?.throwIfAborted();
  throw new MailarkError("PROGRAM_FAILED", `${program} failed with ${howEnded(exit)}`, { detail: running.complaint() });
}

/** What a program prints, as bytes; `input` goes to its standard input. Throws as {@link succeed} does. */
export async function outputOf(
  processes: Processes,
  command: readonly [string, ...string[]],
  { input = "", ...options }: StartOptions & { readonly input?: string | Uint8Array } = {},
): Promise<Buffer> {
  const running = await processes.start(command, options);
  running.stdin.end(input);
  const chunks: Buffer[] = [];
  for await (const chunk of running.stdout) chunks.push(chunk);
  await succeed(command[0], running, options.signal);
  return Buffer.concat(chunks);
}

/** What a program prints, as a stream that throws after its last byte where the program failed. */
export async function* streamOf(
  processes: Processes,
  command: readonly [string, ...string[]],
  options: StartOptions = {},
): AsyncGenerator<Buffer> {
  const running = await processes.start(command, options);
  running.stdin.end();
  try {
    for await (const chunk of running.stdout) yield chunk;
    await succeed(command[0], running, options.signal);
  } finally {
    running.kill();
    await running.exited;
  }
}

/**
 * Feeds a program from a stream, waits for it, and returns what it printed. Throws as {@link succeed} does, and also when the program
 * stopped reading before the stream ended, whatever its exit status.
 */
export async function feed(
  processes: Processes,
  command: readonly [string, ...string[]],
  input: AsyncIterable<Uint8Array>,
  options: StartOptions = {},
): Promise<Buffer> {
  const running = await processes.start(command, options);
  const printed: Buffer[] = [];
  const reading = (async () => {
    for await (const chunk of running.stdout) printed.push(chunk);
  })();
  reading.catch(() => {});
  const { stdin } = running;
  try {
    let taken = true;
    for await (const chunk of input) {
      if (!stdin.destroyed && !stdin.write(chunk)) await room(stdin);
      taken = !stdin.destroyed;
      if (!taken) break;
    }
    stdin.end();
    await succeed(command[0], running, options.signal);
    if (!taken || stdin.errored) {
      throw new MailarkError("PROGRAM_FAILED", `${command[0]} did not read all of its input`, {
        detail: running.complaint(),
      });
    }
    await reading;
    return Buffer.concat(printed);
  } finally {
    running.kill();
    await running.exited;
  }
}

/** Resolves when more may be written, or nothing ever. */
function room(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      stdin.off("drain", go).off("close", go);
      resolve();
    };
    stdin.on("drain", go).on("close", go);
  });
}
