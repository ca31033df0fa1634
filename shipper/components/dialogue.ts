/** A conversation with a server through its command-line client, which answers in lines. */
import { randomBytes } from "node:crypto";
import type { MailarkError } from "../../core/errors.ts";
import type { Exit, RunningProcess } from "../processes.ts";
import type { World } from "./component.ts";
import { type Pulse, whileAnswering } from "./pulse.ts";

export interface Dialogue {
  /**
   * The lines that a statement makes the client print. It may take as long as it needs while the server answers others.
   *
   * @throws MailarkError what `failure` makes of the client's end; `PROGRAM_STALLED`.
   */
  ask(statement: string): Promise<string[]>;
  /** Leaves; what is open is rolled back. Never throws, and may be called again. */
  close(): Promise<void>;
}

export interface DialogueOptions {
  readonly encoding: "utf8" | "latin1";
  /** What makes the client print a line after the answer. */
  readonly echo: (line: string) => string;
  /** Why it is over, when the client ends. */
  readonly failure: (exit: Exit) => MailarkError;
  readonly pulse: Pulse;
}

/** Talks to a client that runs already. One question at a time. */
export function dialogueWith(
  running: RunningProcess,
  { encoding, echo, failure, pulse }: DialogueOptions,
  world: Pick<World, "clock" | "signal">,
): Dialogue {
  const mark = `mailark ${randomBytes(12).toString("hex")}`;
  let text = "";
  let lines: string[] = [];
  let waiting: { resolve(lines: string[]): void; reject(error: unknown): void } | undefined;
  let over: { readonly reason: unknown } | undefined;

  running.stdout.setEncoding(encoding).on("data", (more: string) => {
    text += more;
    const whole = text.split("\n");
    text = whole.pop()!;
    for (const line of whole) {
      if (line !== mark) lines.push(line);
      else {
        const answer = lines;
        lines = [];
        waiting?.resolve(answer);
        waiting = undefined;
      }
    }
  });
  running.exited.then((exit) => {
    const { aborted, reason } = world.signal;
    over = { reason: aborted ? reason : failure(exit) };
    waiting?.reject(over.reason);
    waiting = undefined;
  });

  return {
    ask(statement) {
      const answer = new Promise<string[]>((resolve, reject) => {
        if (over) return reject(over.reason);
        waiting = { resolve, reject };
        running.stdin.write(Buffer.from(`${statement};\n${echo(mark)}\n`, encoding));
      });
      return whileAnswering(pulse, world, answer, () => running.kill("SIGKILL"));
    },
    async close() {
      running.stdin.end();
      running.kill();
      await running.exited;
    },
  };
}
