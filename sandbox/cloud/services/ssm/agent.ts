/** What the SSM agent does with a command on a Linux machine, read from its source (amazon-ssm-agent, `runscript.go`, `runpluginutil.go`). */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CloudClock } from "../../service.ts";
import { type CommandDocument, reference, type Step } from "./document.ts";
import type { Values } from "./given-parameters.ts";
import type { RunScript } from "./local-machine.ts";
import { Output, outputLimits } from "./output.ts";

export interface Work {
  readonly document: CommandDocument;
  readonly values: Values;
  /** A new directory for the scripts; gone when they have ended. */
  readonly directory: string;
  /** Of every script, beside its parameters. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whether the agent knows parameters that are variables. One that does not passes over them. */
  readonly variables: boolean;
  readonly run: RunScript;
  readonly clock: CloudClock;
  /** Aborted by who cancels the command. */
  readonly signal: AbortSignal;
}

export type StepStatus = "Success" | "Failed" | "ExecutionTimedOut" | "Cancelled";

export interface StepResult {
  readonly name: string;
  readonly status: StepStatus;
  readonly code: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the steps, one after the other. */
export async function runDocument(work: Work): Promise<readonly StepResult[]> {
  const results: StepResult[] = [];
  let exited = false;
  try {
    for (const step of work.document.steps) {
      const passedOver = exited || (step.platform ?? "Linux") !== "Linux";
      const result = passedOver ? skipped(step, work.clock.now()) : await runStep(step, work);
      exited ||= endsTheRest(step, result);
      results.push(result);
    }
    return results;
  } finally {
    rmSync(work.directory, { recursive: true, force: true });
  }
}

/** What becomes of a command with these results: the agent's order of precedence. A step that was passed over succeeded. */
export function statusOf(results: readonly StepResult[]): StepStatus {
  const order = ["Failed", "ExecutionTimedOut", "Cancelled"] as const;
  return order.find((status) => results.some((each) => each.status === status)) ?? "Success";
}

/** Exit statuses by which a script ends the whole document. */
const endsWell = 168;
const endsBadly = 169;
/** 128 and SIGKILL, for what was ended. */
const killed = 137;

async function runStep(step: Step, work: Work): Promise<StepResult> {
  const { clock, signal } = work;
  const startedAt = clock.now();
  const directory = join(work.directory, step.name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "_script.sh");
  writeFileSync(path, `${textOf(step, work.values)}\n`, { mode: 0o700 });
  const timedOut = new AbortController();
  const forget = clock.at(startedAt + step.timeoutSeconds * 1000, () => timedOut.abort());
  const output = { stdout: new Output(outputLimits.stdout), stderr: new Output(outputLimits.stderr) };
  try {
    const status = await work.run({
      path,
      directory: step.workingDirectory ?? directory,
      environment: { ...work.environment, ...variablesOf(work) },
      signal: AbortSignal.any([signal, timedOut.signal]),
      stdout: output.stdout.add,
      stderr: output.stderr.add,
    });
    const ended = signal.aborted ? "Cancelled" : timedOut.signal.aborted ? "ExecutionTimedOut" : undefined;
    const code = ended === undefined ? (status ?? -1) : killed;
    const result =
      ended ?? (code === 0 || code === endsWell || step.onFailure === "successAndExit" ? "Success" : "Failed");
    const [stdout, stderr] = [output.stdout.text, output.stderr.text];
    return { name: step.name, status: result, code, startedAt, endedAt: clock.now(), stdout, stderr };
  } finally {
    forget();
  }
}

function endsTheRest({ onFailure }: Step, { status, code }: StepResult): boolean {
  return status === "Cancelled" || code === endsWell || code === endsBadly || (onFailure !== undefined && code !== 0);
}

function skipped({ name }: Step, now: number): StepResult {
  return { name, status: "Success", code: 0, startedAt: now, endedAt: now, stdout: "", stderr: "" };
}

function textOf({ lines }: Step, values: Values): string {
  return lines.join("\n").replace(reference, (_, name: string) => [values[name]!].flat().join("\n"));
}

function variablesOf({ document, values, variables }: Work): Record<string, string> {
  if (!variables) return {};
  return Object.fromEntries(
    Object.entries(document.parameters)
      .filter(([, { asVariable }]) => asVariable)
      .map(([name]) => [`SSM_${name}`, values[name] as string]),
  );
}
