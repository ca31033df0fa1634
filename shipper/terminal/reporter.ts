/**
 * What is said while a command works: to a person as one live line, to a program as JSON lines, and always on standard
 * error, so that standard output holds the result and nothing else.
 */
import type { Clock } from "../../core/ports/clock.ts";
import { cutTo, printable, printableLines } from "./printable.ts";
import { durationText, sizeText } from "./quantity.ts";

/** One end of the terminal, or of a pipe. */
export interface Output {
  readonly isTTY: boolean;
  /** Width of the terminal; undefined where there is none. */
  readonly columns?: number | undefined;
  /** Resolves when the text was taken. Rejects when it never can be: a full disk, a closed pipe. */
  write(text: string): Promise<void>;
}

/** How much is told: each level tells what those before it tell. */
export const logLevels = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Takes what happens while a command works. */
export interface Reporter {
  /** What is done, for who looks into it: `info` a step, `debug` what the step consists of. */
  log(level: "info" | "debug", message: string): void;
  /** Something that the operator must see, and that does not end the command. */
  warn(message: string, detail?: string): void;
  /** A new stretch of work; `totalBytes` where it is known. */
  begin(label: string, totalBytes?: number): void;
  /** So many bytes more are done. */
  advance(bytes: number): void;
  /** What is being done, in a few words. */
  doing(what: string): void;
  /** The stretch is over: nothing of it stays on the screen. */
  end(): void;
}

/** Whom is told, and how. */
export interface ReporterOptions {
  readonly output: Output;
  readonly clock: Clock;
  readonly json: boolean;
  /** Escape sequences for weight are wanted. */
  readonly color: boolean;
  /** Default: `warn`. At `error` there is no progress either. */
  readonly level?: LogLevel;
}

const liveInterval = 100;
const lineInterval = 1000;

/** Makes a reporter: live lines on a terminal, JSON lines with `json`, else what the level asks for. */
export function reporterOf({ output, clock, json, color, level = "warn" }: ReporterOptions): Reporter {
  const tells = (wanted: LogLevel) => logLevels.indexOf(wanted) <= logLevels.indexOf(level);
  const live = output.isTTY && !json && tells("warn");
  let stretch: { label: string; total: number | undefined; done: number; since: number; what: string } | undefined;
  let shown = false;
  let lastShown = Number.NEGATIVE_INFINITY;

  const write = (text: string) => {
    // A reader that went away must not end a backup.
    output.write(text).catch(() => {});
  };
  const clear = () => {
    if (shown) write("\r\x1b[2K");
    shown = false;
  };
  const line = (event: object) => write(`${JSON.stringify({ time: new Date(clock.now()).toISOString(), ...event })}\n`);

  function show() {
    if (stretch === undefined || !(live || json) || !tells("warn")) return;
    const now = clock.now();
    if (Math.abs(now - lastShown) < (live ? liveInterval : lineInterval)) return;
    lastShown = now;
    const { label, total, done, since, what } = stretch;
    if (json) return line({ event: "progress", label, bytes: done, totalBytes: total, doing: what });
    const rate = now - since >= 1000 ? `${sizeText(Math.round((done * 1000) / (now - since)))}/s` : "";
    const amount = total === undefined ? sizeText(done) : `${sizeText(Math.min(done, total))} of ${sizeText(total)}`;
    const parts = [label, ...(total ? [bar(done / total)] : []), amount, rate, printable(what)];
    const text = cutTo(parts.filter((part) => part !== "").join("  "), (output.columns ?? 80) - 1);
    write(`\r\x1b[2K${text}`);
    shown = true;
  }

  function log(wanted: "info" | "debug", message: string) {
    if (!tells(wanted)) return;
    if (json) return line({ event: "log", level: wanted, message });
    clear();
    write(`${new Date(clock.now()).toISOString()} ${wanted} ${printable(message)}\n`);
  }

  return {
    log,
    warn(message, detail) {
      if (!tells("warn")) return;
      if (json) return line({ event: "warning", message, detail });
      clear();
      const lines = printableLines(detail ?? "").filter((text) => text !== "");
      const word = color ? "\x1b[33mWarning:\x1b[39m" : "Warning:";
      write([`${word} ${printable(message)}`, ...lines.map((text) => `  ${text}`), ""].join("\n"));
    },
    begin(label, totalBytes) {
      clear();
      stretch = { label, total: totalBytes, done: 0, since: clock.now(), what: "" };
      if (json && tells("warn")) line({ event: "begin", label, totalBytes });
      else log("info", `${label}: begins`);
      lastShown = Number.NEGATIVE_INFINITY;
      if (live) show();
    },
    advance(bytes) {
      if (stretch) stretch.done += bytes;
      show();
    },
    doing(what) {
      if (stretch) stretch.what = what;
      show();
    },
    end() {
      clear();
      if (stretch === undefined) return;
      const { label, done, since } = stretch;
      if (json && tells("warn")) line({ event: "end", label, bytes: done });
      else log("info", `${label}: ${sizeText(done)}, ${durationText(clock.now() - since)}`);
      stretch = undefined;
    },
  };
}

const barColumns = 20;

function bar(share: number): string {
  const filled = Math.max(0, Math.min(barColumns, Math.floor(share * barColumns)));
  return `${"█".repeat(filled)}${"░".repeat(barColumns - filled)} ${Math.floor(Math.min(1, share) * 100)}%`;
}
