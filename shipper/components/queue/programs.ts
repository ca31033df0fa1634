/** Programs of the place where the queue is, watched: one that hangs is ended. */
import { MailarkError } from "../../../core/errors.ts";
import { type Exit, howEnded, outputOf } from "../../processes.ts";
import { printedNothing, watchedOutput } from "../../watched-output.ts";
import type { World } from "../component.ts";
import type { QueueConfig } from "./config.ts";

/** Whether a program's end is a good one. */
export type Judge = (exit: Exit, complaint: string) => boolean;

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
  const { stallSeconds } = config;
  const stalled = () =>
    printedNothing(words[0], stallSeconds, {
      hint: "look for a disk or a network file system that hangs, or raise stallSeconds",
      detail: running.complaint(),
    });
  const judge = (exit: Exit) => {
    if (!accepted(exit, running.complaint())) throw failed(words[0], exit, running.complaint());
  };
  yield* watchedOutput(running, { stallSeconds, stalled, judge }, { clock, signal });
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

function failed(program: string, exit: Exit, complaint: string): MailarkError {
  const hint = /permission denied/i.test(complaint)
    ? "the queue is readable for root only: run mailark as root"
    : /no such file/i.test(complaint)
      ? "is the queue mounted, and is it where the configuration says?"
      : undefined;
  return new MailarkError("PROGRAM_FAILED", `${program} failed with ${howEnded(exit)}`, {
    detail: complaint,
    ...(hint !== undefined && { hint }),
  });
}
