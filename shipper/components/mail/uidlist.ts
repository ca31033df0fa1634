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
  /** Base name → GUID, of those messages whose GUID is not the base name. */
  readonly guids: ReadonlyMap<string, string>;
  /** The folder's own GUID; `undefined` where it has none. */
  readonly folderGuid: string | undefined;
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
  const folderGuid = /^[0-9a-f]{32}$/.exec(words.find((word) => word.startsWith("G"))?.slice(1) ?? "")?.[0];
  const uids = new Map<string, number>();
  const guids = new Map<string, string>();
  let last = 0;
  for (const line of lines) {
    const colon = line.indexOf(" :");
    const uid = Number.parseInt(line, 10);
    if (colon === -1 || !(uid > last)) return undefined;
    last = uid;
    const { base } = parseMessageName(line.slice(colon + 2));
    uids.set(base, uid);
    const guid = / G([^ ]+)/.exec(line.slice(0, colon))?.[1];
    if (guid !== undefined) guids.set(base, guid);
  }
  return { uidValidity, nextUid: Math.max(nextUid, last + 1), uids, guids, folderGuid };
}
