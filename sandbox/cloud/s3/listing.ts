import { type Bucket, byteOrder, type Position } from "./bucket.ts";

/** A row of a list of keys: what a key gives, or a common prefix. */
export type Row<Found> = Found | { readonly prefix: string };

/**
 * Up to `most` rows from `from` on, in the order of the keys' UTF-8 bytes. Keys that contain the delimiter behind the
 * prefix become one row, up to and with the delimiter.
 *
 * @param rowsOf - what a key gives; nothing where it does not count.
 * @returns `more`: there is at least one row behind these.
 */
export function page<Found>(
  bucket: Bucket,
  {
    prefix,
    delimiter,
    from,
    most,
    rowsOf,
  }: {
    readonly prefix: string;
    readonly delimiter: string;
    readonly from: Position;
    readonly most: number;
    readonly rowsOf: (key: string) => readonly Found[];
  },
): { readonly rows: readonly Row<Found>[]; readonly more: boolean } {
  const rows: Row<Found>[] = [];
  const first = byteOrder(prefix);
  let position = from.text < first ? { text: first, after: false } : from;
  while (most > 0) {
    const key = bucket.keysFrom(position).next().value;
    if (key === undefined || !key.startsWith(prefix)) break;
    const common = commonPrefix(key, prefix, delimiter);
    const found = common === undefined ? rowsOf(key) : firstBelow(bucket, common, rowsOf);
    const room = most - rows.length;
    rows.push(...found.slice(0, room));
    if (found.length > room) return { rows, more: true };
    position = common === undefined ? behindKey(key) : { text: byteOrder(common), after: true };
  }
  return { rows, more: false };
}

/** Where the page goes on whose last row has this name: behind the key, or behind all keys below the common prefix. */
export function behindRow(name: string, { prefix, delimiter }: { prefix: string; delimiter: string }): Position {
  const rolledUp = name.startsWith(prefix) && commonPrefix(name, prefix, delimiter) === name;
  return rolledUp ? { text: byteOrder(name), after: true } : behindKey(name);
}

export function behindKey(key: string): Position {
  return { text: `${byteOrder(key)}\0`, after: false };
}

function commonPrefix(key: string, prefix: string, delimiter: string): string | undefined {
  const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
  return cut < 0 ? undefined : key.slice(0, cut + delimiter.length);
}

/** The row of a common prefix; none where no key below it counts. */
function firstBelow<Found>(bucket: Bucket, prefix: string, rowsOf: (key: string) => readonly Found[]): Row<Found>[] {
  for (const key of bucket.keysFrom({ text: byteOrder(prefix), after: false })) {
    if (!key.startsWith(prefix)) break;
    if (rowsOf(key).length > 0) return [{ prefix }];
  }
  return [];
}
