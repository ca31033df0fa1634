import { corruptArchive } from "./corrupt-archive.ts";

/**
 * The records of an extended header: `LENGTH KEY=VALUE` and a line feed, where LENGTH counts all of it (POSIX.1-2017, pax Extended Header).
 *
 * @param text in latin1, as keys and values are.
 * @throws MailarkError `OBJECT_CORRUPT` for a record that does not end where it says.
 */
export function extendedRecords(text: string): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const [whole, length = ""] = /^([1-9][0-9]{0,6}) /.exec(text.slice(at, at + 8)) ?? [];
    const end = at + Number(length);
    const record = text.slice(at + (whole?.length ?? 0), end);
    const equals = record.indexOf("=");
    if (whole === undefined || end > text.length || !record.endsWith("\n") || equals < 1) {
      throw corruptArchive("a damaged extended header");
    }
    records.set(record.slice(0, equals), record.slice(equals + 1, -1));
    at = end;
  }
  return records;
}

/** One record, in latin1. */
export function formatRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return `${length}${rest}`;
}

/**
 * A count in a record; `undefined`: there is none.
 *
 * @throws MailarkError `OBJECT_CORRUPT` for what is no count, or more than any can be.
 */
export function numberOf(records: ReadonlyMap<string, string>, key: string): number | undefined {
  const value = records.get(key);
  if (value === undefined) return undefined;
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw corruptArchive("a number that is none, or larger than any can be");
  return number;
}

/** A time in a record, without zeros at the end of its decimals. Throws as {@link numberOf} does. */
export function timeOf(records: ReadonlyMap<string, string>, key: string): string | undefined {
  const value = records.get(key);
  if (value === undefined) return undefined;
  if (!/^-?[0-9]{1,15}(\.[0-9]*)?$/.test(value)) throw corruptArchive("a time that is none");
  const [seconds = "0", decimals = ""] = value.split(".");
  const kept = decimals.slice(0, 9).replace(/0+$/, "");
  return kept === "" ? seconds : `${seconds}.${kept}`;
}
