import { styleText } from "node:util";
import { execa } from "execa";

/** Tells what happens, step by step, with the time that each took. */
export class Storyteller {
  readonly #times: { readonly what: string; readonly seconds: number }[] = [];

  /** A heading. */
  chapter(title: string): void {
    process.stdout.write(`\n${styleText("bold", title)}\n`);
  }

  say(line: string): void {
    process.stdout.write(`  ${line}\n`);
  }

  /** A step with its time. Throws what the work throws. */
  async step<T>(what: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const result = await work();
    const seconds = (performance.now() - startedAt) / 1000;
    this.#times.push({ what, seconds });
    this.say(`${styleText("green", "✓")} ${what} ${styleText("dim", `(${seconds.toFixed(1)} s)`)}`);
    return result;
  }

  /**
   * Runs a command as the operator would type it, and shows what it prints.
   *
   * @param shown what is printed in place of the real command.
   * @param statuses those that it may end with.
   * @throws when it ends with another status.
   */
  async command(
    shown: string,
    [program, ...args]: readonly [string, ...string[]],
    statuses: readonly number[] = [0],
  ): Promise<{ readonly stdout: string; readonly status: number }> {
    process.stdout.write(`\n  ${styleText("cyan", `$ ${shown}`)}\n`);
    const startedAt = performance.now();
    const result = await execa(program, args, { stdin: "ignore", stderr: "inherit", reject: false });
    const { stdout, exitCode: status } = result;
    this.#times.push({ what: shown, seconds: (performance.now() - startedAt) / 1000 });
    for (const line of stdout.split("\n")) {
      process.stdout.write(`  ${styleText("dim", "│")} ${line}\n`);
    }
    if (status === undefined || !statuses.includes(status))
      throw new Error(`${shown} ended with ${status ?? result.signal}`);
    return { stdout, status };
  }

  /** How long each step took, as a table. */
  times(): void {
    for (const { what, seconds } of this.#times) this.say(`${seconds.toFixed(1).padStart(6)} s  ${what}`);
  }
}
