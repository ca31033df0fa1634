import { parseMessageName } from "./message-name.ts";

/**
 * Dovecot's `dovecot-uidlist`, version 3: a header line `3 V<uidvalidity> N<next uid> G<guid>`, then a line for each message,
 * `<uid> [<extension>…] :<file name>`, where the name may have outdated flags.
 * Source: doc.dovecot.org, "Maildir mailbox format".
 */
export interface Uidlist {
  readonly uidValidity: number;
  /** The next UID that is given out: the header's, or one above the last line's, for Dovecot appends lines and leaves the header. */
  readonly nextUid: number;
  /** Base name of a message → its UID. */
  readonly uids: ReadonlyMap<string, number>;
}

/** `undefined` when it is not a whole uidlist of a known version, or its UIDs do not ascend. */
export function parseUidlist(content: Buffer): Uidlist | undefined {
  const [header = "", ...lines] = content.toString("latin1").split("\n");
  const [version, ...words] = header.split(" ");
  const field = (letter: string) => Number(words.find((word) => word.startsWith(letter))?.slice(1));
  const uidValidity = field("V");
  const nextUid = field("N");
  if (version !== "3" || !Number.isInteger(uidValidity) || !Number.isInteger(nextUid)) return undefined;
  if (lines.pop() !== "") return undefined;
  const uids = new Map<string, number>();
  let last = 0;
  for (const line of lines) {
    const colon = line.indexOf(" :");
    const uid = Number.parseInt(line, 10);
    if (colon === -1 || !(uid > last)) return undefined;
    last = uid;
    uids.set(parseMessageName(line.slice(colon + 2)).base, uid);
  }
  return { uidValidity, nextUid: Math.max(nextUid, last + 1), uids };
}
