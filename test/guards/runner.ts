/** Runs named tests in one copy of the repository, each time in a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type NamedTest, patternOf } from "./guard.ts";

/** What became of a test. Only `failed` is an assertion that did not hold, or an error that was thrown while it ran. */
export type TestOutcome =
  | { readonly kind: "passed" | "failed" | "timed out" }
  | { readonly kind: "missing" | "not run"; readonly why: string };

export interface RunOptions {
  /** A copy of the repository. */
  readonly directory: string;
  readonly temporary: string;
  readonly signal: AbortSignal;
  /** Milliseconds that a test may take. Default: what its suite allows. */
  readonly testTimeout?: number;
}

interface Report {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

const longest = 5 * 60_000;

/** Runs tests of one file, and returns the outcome of each in the order asked for. */
export async function runTests(
  file: string,
  tests: readonly NamedTest[],
  { directory, temporary, signal, testTimeout }: RunOptions,
): Promise<TestOutcome[]> {
  const report = join(temporary, "report.json");
  rmSync(report, { force: true });
  const args = [
    ...[join(directory, "node_modules/vitest/vitest.mjs"), "run", file],
    ...["-t", tests.map(patternOf).join("|")],
    ...["--reporter=json", `--outputFile=${report}`],
    ...(testTimeout === undefined ? [] : [`--testTimeout=${testTimeout}`]),
  ];
  const said = await execute(args, directory, temporary, signal);
  if (!existsSync(report)) return tests.map(() => ({ kind: "not run", why: said }));
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
  return tests.map((test) => outcomeOf(test, testResults));
}

function outcomeOf(test: NamedTest, results: Report["testResults"]): TestOutcome {
  const pattern = new RegExp(patternOf(test));
  const complaints = results.map(({ message }) => message).filter(Boolean);
  const found = results.flatMap(({ assertionResults }) => assertionResults).filter(({ title }) => pattern.test(title));
  if (found.length === 0) {
    if (complaints.length > 0) return { kind: "not run", why: complaints.join("\n") };
    return { kind: "missing", why: "there is no test of that name" };
  }
  const messages = found.flatMap(({ status, failureMessages }) => (status === "failed" ? (failureMessages ?? []) : []));
  const broken = messages.find((message) => /^ReferenceError\b/.test(message));
  if (broken !== undefined) return { kind: "not run", why: broken };
  if (messages.some((message) => !isTimeout(message))) return { kind: "failed" };
  if (messages.length > 0) return { kind: "timed out" };
  if (found.every(({ status }) => status === "passed")) return { kind: "passed" };
  return { kind: "not run", why: complaints.join("\n") || "it was skipped" };
}

const isTimeout = (message: string) => /\bTest timed out in \d+ms/.test(message);

/** Whatever a broken test left running is ended with it: it has a process group of its own. */
async function execute(args: string[], cwd: string, temporary: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const env = { ...process.env, TMPDIR: temporary, NO_COLOR: "1", CI: "1" };
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const end = () => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // Nothing is left of it.
    }
  };
  signal.addEventListener("abort", end);
  const deadline = setTimeout(end, longest);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4000);
    });
  }
  await once(child, "exit");
  clearTimeout(deadline);
  signal.removeEventListener("abort", end);
  end();
  signal.throwIfAborted();
  return said.trim();
}
