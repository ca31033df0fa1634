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
   * @throws when it ends with another status than 0.
   */
  async command(shown: string, [program, ...args]: readonly [string, ...string[]], hide?: RegExp): Promise<string> {
    process.stdout.write(`\n  ${styleText("cyan", `$ ${shown}`)}\n`);
    const startedAt = performance.now();
    const { stdout } = await execa(program, args, { stdin: "ignore", stderr: "inherit" });
    this.#times.push({ what: shown, seconds: (performance.now() - startedAt) / 1000 });
    for (const line of stdout.split("\n")) {
      if (!hide?.test(line)) process.stdout.write(`  ${styleText("dim", "│")} ${line}\n`);
    }
    return stdout;
  }

  /** How long each step took, as a table. */
  times(): void {
    for (const { what, seconds } of this.#times) this.say(`${seconds.toFixed(1).padStart(6)} s  ${what}`);
  }
}
