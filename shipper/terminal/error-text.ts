import { inspect } from "node:util";
import type { MailarkError } from "../../core/errors.ts";
import { printable, printableLines } from "./printable.ts";

/** An error for a person: what went wrong, what it was about, what to do. With `debug`, where it came from as well. */
export function errorText(error: MailarkError, { debug = false }: { readonly debug?: boolean } = {}): string {
  const lines = [
    `Error: ${printable(error.message)}`,
    ...printableLines(error.detail ?? "")
      .filter((line) => line !== "")
      .map((line) => `  ${line}`),
    ...(error.hint === undefined ? [] : [`Try: ${printable(error.hint)}`]),
    ...(debug ? chainOf(error) : []),
  ];
  return `${lines.join("\n")}\n`;
}

/** An error as a member of a JSON document. */
export function errorDocument(error: MailarkError, { debug = false }: { readonly debug?: boolean } = {}): object {
  const { code, message, hint, detail } = error;
  return { code, message, hint, detail, exitCode: error.exitCode, ...(debug && { chain: chainOf(error) }) };
}

function chainOf(error: Error): string[] {
  const lines: string[] = [];
  for (let cause: unknown = error; cause !== undefined; cause = cause instanceof Error ? cause.cause : undefined) {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause);
    lines.push(...printableLines(lines.length === 0 ? text : `caused by ${text}`));
  }
  return lines;
}
