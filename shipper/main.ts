/** The process: its signals, its standard streams, its exit status. Everything else is {@link run}. */
import { text } from "node:stream/consumers";
import { isatty } from "node:tty";
import { MailarkError } from "../core/errors.ts";
import { stepBack } from "./background.ts";
import { compose, machine } from "./composition.ts";
import { run } from "./program.ts";
import { keepHeapSmall } from "./small-heap.ts";
import type { Output } from "./terminal/reporter.ts";

/**
 * Nobody is at a terminal that could be hung up: so it is under nohup, which says the same by ignoring SIGHUP. That can not be asked for,
 * because Node takes back on its start that a signal is ignored, and would end by it.
 */
const unattended = ![0, 1, 2].some((descriptor) => isatty(descriptor));

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (signal === "SIGHUP" && unattended) return;
    // The second time, whoever asks does not want to wait for a tidy end; the store holds whole snapshots either way.
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort(
      new MailarkError("INTERRUPTED", `interrupted by ${signal}`, {
        hint: "run the same command again: nothing needs cleaning up",
      }),
    );
  });
}
let stdinRead = false;
process.exitCode = await run(process.argv.slice(2), {
  composition: compose(machine),
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  readStdin: () => {
    if (process.stdin.isTTY) process.stderr.write("Type the recovery key, Enter, then Ctrl-D:\n");
    stdinRead = true;
    return text(process.stdin);
  },
  env: process.env,
  cwd: process.cwd(),
  signal: interruption.signal,
  background: (wanted, failed) => {
    keepHeapSmall();
    return stepBack(machine, wanted, failed);
  },
});

// A terminal that was waited for would keep the process alive.
if (stdinRead) process.stdin.destroy();

function outputOf(stream: NodeJS.WriteStream): Output {
  // Each write has its own answer; without a listener the first failure would end the process.
  stream.on("error", () => {});
  return {
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns;
    },
    write: (chunk) =>
      new Promise((resolve, reject) => stream.write(chunk, (error) => (error ? reject(error) : resolve()))),
  };
}
