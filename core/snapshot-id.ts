import { randomInt } from "node:crypto";
import { MailarkError } from "./errors.ts";
import { patterns } from "./keys.ts";

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

/**
 * A new id of a snapshot or a run: the time to the millisecond, which makes keys sort by time, and 51 random bits, which
 * keep two hosts with one name, or one host whose clock jumped back, from meeting.
 */
export function newSnapshotId(now: number): string {
  const suffix = Array.from({ length: 10 }, () => alphabet[randomInt(alphabet.length)]).join("");
  return `${timeText(now)}-${suffix}`;
}

function timeText(time: number): string {
  return new Date(time).toISOString().replaceAll("-", "").replaceAll(":", "");
}

/**
 * The time in an id, in milliseconds since 1970.
 *
 * @throws MailarkError `ARGUMENT_INVALID` when it is not an id.
 */
export function timeOfSnapshotId(id: string): number {
  const time = patterns.snapshotId.test(id)
    ? Date.parse(id.replace(/^(....)(..)(..)T(..)(..)(..\....)Z-.*$/, "$1-$2-$3T$4:$5:$6Z"))
    : Number.NaN;
  if (Number.isNaN(time) || !id.startsWith(timeText(time))) {
    throw new MailarkError("ARGUMENT_INVALID", `not the id of a snapshot: ${JSON.stringify(id)}`, {
      hint: "ids look like 20261121T020000.000Z-k3m9x2qa7b; `mailark list` shows them",
    });
  }
  return time;
}
