/** Programs of the place where the queue is, watched: one that hangs is ended. */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import { outputOf, type RunningProcess } from "../../processes.ts";
import { watchForStalls } from "../../stall-watch.ts";
import type { World } from "../component.ts";
import type { QueueConfig } from "./config.ts";

/** Why `null`: it ended well. Otherwise what to do about it. */
export type Judge = (exit: Awaited<RunningProcess["exited"]>, complaint: string) => boolean;

/**
 * What a program prints, as a stream that ends only where the program ended well.
 *
 * @param accepted whether that end is a good one. Default: exit status 0.
 * @throws MailarkError `PROGRAM_FAILED`, `PROGRAM_MISSING`, `PROGRAM_STALLED`.
 */
export async function* printed(
  config: QueueConfig,
  words: readonly [string, ...string[]],
  { processes, clock, signal }: Pick<World, "processes" | "clock" | "signal">,
  { input = "", accepted = ({ code }) => code === 0 }: { readonly input?: string; readonly accepted?: Judge } = {},
): AsyncGenerator<Buffer> {
  const running = await processes.start(commandOf(config, words), { signal, env: { LC_ALL: "C" } });
  running.stdin.end(input, "latin1");
  const watch = watchForStalls(clock, config.stallSeconds);
  const stalled = watch.stalled.then((): never => {
    const reason = new MailarkError(
      "PROGRAM_STALLED",
      `${words[0]} printed nothing for ${config.stallSeconds} s and was ended`,
      {
        hint: "look for a disk or a network file system that hangs, or raise stallSeconds",
        detail: running.complaint(),
        retryable: true,
      },
    );
    running.stdout.destroy(reason);
    throw reason;
  });
  stalled.catch(() => {});
  try {
    const chunks = running.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      watch.wait();
      const next = await chunks.next();
      watch.goOn();
      if (next.done) break;
      yield next.value;
    }
    watch.wait();
    const exit = await Promise.race([running.exited, stalled]);
    if (!accepted(exit, running.complaint())) throw failed(words[0], exit, running.complaint());
  } catch (error) {
    signal.throwIfAborted();
    throw asMailarkError(error);
  } finally {
    watch.end();
    running.kill("SIGKILL");
  }
}

/** All that a program prints, in latin1. Throws as {@link printed} does. */
export async function textOf(
  config: QueueConfig,
  words: readonly [string, ...string[]],
  world: Pick<World, "processes" | "clock" | "signal">,
  options?: Parameters<typeof printed>[3],
): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of printed(config, words, world, options)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

/** A program with what is put before it. */
export const commandOf = (config: Pick<QueueConfig, "command">, words: readonly string[]) =>
  [...config.command, ...words] as unknown as [string, ...string[]];

/** The first line that `program --version` prints; a short wait, no watch. */
export async function versionOf(config: QueueConfig, program: string, { processes, signal }: World): Promise<string> {
  const text = (await outputOf(processes, commandOf(config, [program, "--version"]), { signal })).toString("utf8");
  return /\d[\w.-]*/.exec(text.split("\n")[0] ?? "")?.[0] ?? "unknown";
}

function failed(program: string, exit: Awaited<RunningProcess["exited"]>, complaint: string): MailarkError {
  const how = exit.signal === undefined ? `exit status ${exit.code}` : `signal ${exit.signal}`;
  const hint = /permission denied/i.test(complaint)
    ? "the queue is readable for root only: run mailark as root"
    : /no such file/i.test(complaint)
      ? "is the queue mounted, and is it where the configuration says?"
      : undefined;
  return new MailarkError("PROGRAM_FAILED", `${program} failed with ${how}`, {
    detail: complaint,
    ...(hint !== undefined && { hint }),
  });
}
