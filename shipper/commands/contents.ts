import type { Manifest } from "../../core/manifest.ts";
import { timeOfSnapshotId } from "../../core/snapshot-id.ts";
import { countOf, countText, timeText } from "../terminal/quantity.ts";

/** What a snapshot holds, in a few words: `412 messages in 6 mailboxes`. */
export function contentsText({ component, facts }: Pick<Manifest, "component" | "facts">): string {
  const { messages, mailboxes, databases, tables, rows, ...others } = facts;
  if (component === "mail" && messages !== undefined && mailboxes !== undefined) {
    return `${countOf(messages, "message")} in ${countOf(mailboxes, "mailbox", "mailboxes")}`;
  }
  const words = [
    ...(databases === undefined ? [] : [countOf(databases, "database")]),
    ...(tables === undefined ? [] : [countOf(tables, "table")]),
    ...(rows === undefined ? [] : [countOf(rows, "row")]),
  ];
  if (words.length > 0) return words.join(", ");
  return Object.entries(others)
    .map(([name, count]) => `${countText(count)} ${wordsOf(name)}`)
    .join(", ");
}

/** `messageBytes` as `message bytes`, `MAILBOX_NOT_CAPTURED` as `mailbox not captured`. */
export function wordsOf(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
}

/** Bytes of a snapshot's own packs, as stored. */
export const storedBytes = ({ packs }: Pick<Manifest, "packs">): number =>
  packs.reduce((sum, { bytes }) => sum + bytes, 0);

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
