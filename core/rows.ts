/**
 * Tab-separated rows, which shell tools can read (docs/format.md §8). In here a name is a byte string in latin1: one
 * character a byte, so that names that are not UTF-8 survive.
 */
import { MailarkError } from "./errors.ts";

/** Writes `%`, bytes below 0x21 and bytes above 0x7E as `%XX`. */
export function escapeName(name: string): string {
  if (!/[^!-$&-~]/.test(name)) return name;
  return name.replace(/[^!-$&-~]/g, (byte) => {
    const value = byte.charCodeAt(0);
    if (value > 0xff) throw new MailarkError("INTERNAL", "a name for a row is not bytes in latin1");
    return `%${value.toString(16).toUpperCase().padStart(2, "0")}`;
  });
}

/**
 * @throws MailarkError `OBJECT_CORRUPT` for what {@link escapeName} never writes.
 */
export function unescapeName(escaped: string): string {
  if (/^[!-$&-~]*$/.test(escaped)) return escaped;
  const name = escaped.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (/^[!-~]*$/.test(escaped) && escapeName(name) === escaped) return name;
  throw new MailarkError("OBJECT_CORRUPT", "a name in a row is not escaped as the format says");
}

/** No row is longer; in bytes. A path has at most 4,096, three times that when escaped. */
const maximumRowBytes = 1024 * 1024;

/** One row, its line feed included. Names must be escaped already. */
export const formatRow = (...fields: (string | number)[]): string => `${fields.join("\t")}\n`;

/**
 * The rows of a stream, each as its fields, in latin1.
 *
 * @throws MailarkError `OBJECT_CORRUPT` when the last row was cut off, or a row is longer than any can be.
 */
export async function* readRows(source: AsyncIterable<Buffer>): AsyncGenerator<string[]> {
  let rest = "";
  for await (const chunk of source) {
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop()!;
    if (rest.length > maximumRowBytes) throw new MailarkError("OBJECT_CORRUPT", "a row is longer than any can be");
    for (const line of lines) yield line.split("\t");
  }
  if (rest !== "") throw new MailarkError("OBJECT_CORRUPT", "the last row was cut off");
}

/**
 * A path of names: returns it, and never one that leaves its top.
 *
 * @throws MailarkError `PATH_UNSAFE` for an absolute path, an empty element, `.` (but as the whole), `..` or a zero byte.
 */
export function safePath(path: string): string {
  const safe =
    path === "." || path.split("/").every((element) => element !== "" && element !== "." && element !== "..");
  if (safe && !path.includes("\0")) return path;
  throw new MailarkError("PATH_UNSAFE", "a stored path would leave its target", { detail: JSON.stringify(path) });
}
