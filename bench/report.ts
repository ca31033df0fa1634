/** What a bench is, and what it says. */
import type { Column } from "../shipper/terminal/table.ts";

export interface Bench {
  /** What is compared with what, in a line. */
  readonly title: string;
  /** Programs that take part: their versions are printed. */
  readonly programs: readonly string[];
  /**
   * @throws whatever keeps it from measuring, or from believing what it measured.
   */
  run(options: BenchOptions): Promise<Report>;
}

export interface BenchOptions {
  /** How often each tool is measured. Default: the bench's own. */
  readonly rounds?: number;
  /** Says what is being done. */
  readonly say: (doing: string) => void;
}

export interface Report {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  /** What one has to know to read the table. */
  readonly notes: readonly string[];
  readonly verdicts: readonly Verdict[];
}

/** Whether a promise was kept. */
export interface Verdict {
  readonly passed: boolean;
  readonly text: string;
}

export function atMost(what: string, value: number, limit: number): Verdict {
  return { passed: value <= limit, text: `${what}: ${value.toFixed(2)}, at most ${limit.toFixed(2)}` };
}

export function atLeast(what: string, value: number, limit: number): Verdict {
  return { passed: value >= limit, text: `${what}: ${value.toFixed(2)}, at least ${limit.toFixed(2)}` };
}

/** Columns of numbers, but for the first ones. */
export function columns(names: readonly string[], numbers: readonly string[]): Column[] {
  return [...names.map((title) => ({ title })), ...numbers.map((title) => ({ title, right: true }))];
}
