import type { Finding } from "../consistency/report.ts";
import { printable } from "../terminal/printable.ts";
import { countText } from "../terminal/quantity.ts";
import { wordsOf } from "./contents.ts";

/** So many names are shown; `--json` has them all. */
const shown = 5;

const explanations: Record<Finding["code"], string> = {
  MAILBOX_WITHOUT_DIRECTORY: "Dovecot makes it at the first delivery: there may be no mail yet",
  DIRECTORY_WITHOUT_ACCOUNT: "mail that nobody can log in to",
  QUEUE_FOR_UNKNOWN_DOMAIN: "neither sender nor recipients are of a domain of this host",
  ALIAS_TO_NOWHERE: "the destination is neither a mailbox nor an alias",
  CONSISTENCY_UNKNOWN: "could not be compared",
};

/** What does not fit together on this host, with names. Nothing where everything does. */
export function findingsText(findings: readonly Finding[]): string {
  if (findings.length === 0) return "";
  const lines = findings.flatMap(({ code, names }) => {
    const more = names.length > shown ? [`and ${countText(names.length - shown)} more`] : [];
    const first = names.slice(0, shown).map(printable);
    return [
      `  ${countText(names.length)} × ${wordsOf(code)}: ${explanations[code]}`,
      ...[...first, ...more].map((line) => `      ${line}`),
    ];
  });
  return `\nCaptured, but parts of the host do not fit together:\n${lines.map((line) => `${line}\n`).join("")}`;
}
