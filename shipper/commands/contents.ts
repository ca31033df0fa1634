import type { ComponentName } from "../../core/keys.ts";
import type { Manifest } from "../../core/manifest.ts";
import { timeOfSnapshotId } from "../../core/snapshot-id.ts";
import { countOf, countText, timeText } from "../terminal/quantity.ts";

/** What a snapshot holds, in a few words: `412 messages in 6 mailboxes`. */
export function contentsText({ component, facts }: Pick<Manifest, "component" | "facts">): string {
  const told = phrases[component].flatMap(([name, one, many]) => {
    const count = facts[name];
    return count === undefined ? [] : [countOf(count, one, many)];
  });
  if (component === "mail" && told.length === 2) return told.join(" in ");
  if (told.length > 0) return told.join(", ");
  return Object.entries(facts)
    .map(([name, count]) => `${countText(count)} ${wordsOf(name)}`)
    .join(", ");
}

/** Of all facts those that a person asks for, with their words. */
const phrases: Readonly<Record<ComponentName, readonly (readonly [fact: string, one: string, many?: string])[]>> = {
  mysql: [
    ["databases", "database"],
    ["tables", "table"],
    ["rows", "row"],
  ],
  postgres: [
    ["databases", "database"],
    ["tables", "table"],
    ["rows", "row"],
  ],
  redis: [
    ["keys", "key"],
    ["users", "user"],
  ],
  queue: [["messages", "message"]],
  mail: [
    ["messages", "message"],
    ["mailboxes", "mailbox", "mailboxes"],
  ],
  configs: [
    ["files", "file"],
    ["links", "link"],
  ],
  certs: [
    ["files", "file"],
    ["links", "link"],
  ],
};

/** `messageBytes` as `message bytes`, `MAILBOX_NOT_CAPTURED` as `mailbox not captured`. */
export function wordsOf(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
}

/** A manifest's warnings as text: `3 × mailbox not captured`. */
export const warningsText = ({ warnings }: Pick<Manifest, "warnings">): string =>
  warnings.map(({ code, count }) => `${countText(count)} × ${wordsOf(code)}`).join(", ");

/** The time in a snapshot's id; nothing where a stranger made up the id. */
export function idTimeText(snapshotId: string): string {
  try {
    return timeText(timeOfSnapshotId(snapshotId));
  } catch {
    return "";
  }
}
