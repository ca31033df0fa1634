/**
 * What a command is: a function of its context and its options. It writes nothing itself, so the whole program runs in a test
 * without a process.
 */
import type { Background } from "../background.ts";
import type { World } from "../components/component.ts";
import type { Composition } from "../composition.ts";
import type { Output, Reporter } from "../terminal/reporter.ts";

/** Where the program runs. */
export interface Context {
  readonly composition: Composition;
  readonly stdout: Output;
  readonly stderr: Output;
  /** All of standard input, as text. */
  readonly readStdin: () => Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted with a MailarkError `INTERRUPTED` when the operator wants it to end. */
  readonly signal: AbortSignal;
  /** From now on the mail server goes first. Never fails; `failed` is told what could not be done. */
  readonly background?: (wanted: Background, failed: (message: string) => void) => Promise<void>;
}

/** The same, once the options that all commands share were read. */
export interface CommandContext extends Context {
  readonly reporter: Reporter;
  /** Absolute path of the configuration file. */
  readonly configPath: string;
  /** The operator named it: then it must be there and be right. */
  readonly configNamed: boolean;
}

/** How a command went. */
export interface Outcome {
  readonly exitCode: number;
  /** For a person. */
  readonly text: string;
  /** For a program, with `--json`. */
  readonly document: object;
  /** Called when the outcome could not be told to anybody, where that makes it void. */
  readonly revoke?: () => void;
}

/** The world as a component may use it. */
export function worldOf({ composition, signal, reporter }: CommandContext): World {
  const { files, processes, clock } = composition;
  return { files, processes, clock, signal, progress: reporter.doing, warn: reporter.warn };
}
