/**
 * Sets of UIDs as IMAP writes them, `1,3:7` (RFC 3501 §9, `sequence-set`), ascending and without `*`.
 */

export function formatUidSet(uids: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const uid of [...uids].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && uid <= last[1] + 1) last[1] = uid;
    else ranges.push([uid, uid]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}:${to}`)).join(",");
}

/** Largest set that is believed: as many messages as no folder has. */
const most = 10_000_000;

/** `undefined` for what {@link formatUidSet} never writes. */
export function parseUidSet(text: string): number[] | undefined {
  const uids: number[] = [];
  for (const range of text.split(",")) {
    const [, from, to = from] = /^([1-9]\d{0,9})(?::([1-9]\d{0,9}))?$/.exec(range) ?? [];
    if (from === undefined || Number(to) < Number(from) || uids.length + Number(to) - Number(from) >= most)
      return undefined;
    for (let uid = Number(from); uid <= Number(to); uid += 1) uids.push(uid);
  }
  return uids;
}
