import { corruptArchive } from "./corrupt-archive.ts";

/** The 512 bytes before a member, as POSIX.1-2017 "ustar" lays them out; texts in latin1. */
export interface Header {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly flag: string;
  readonly target: string;
  readonly user: string;
  readonly group: string;
}

/** @throws MailarkError `OBJECT_CORRUPT` when the checksum is wrong, or a number is none or can not be. */
export function readHeader(raw: Buffer): Header {
  if (octal(raw, 148, 8) !== checksumOf(raw)) throw corruptArchive("a damaged header");
  const isUstar = raw.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? text(raw, 345, 155) : "";
  const path = text(raw, 0, 100);
  return {
    path: prefix === "" ? path : `${prefix}/${path}`,
    mode: natural(raw, 100, 8) & 0o7777,
    uid: natural(raw, 108, 8),
    gid: natural(raw, 116, 8),
    size: natural(raw, 124, 12),
    modified: number(raw, 136, 12),
    flag: String.fromCharCode(raw[156]!),
    target: text(raw, 157, 100),
    user: text(raw, 265, 32),
    group: text(raw, 297, 32),
  };
}

/** Writes a ustar header; numbers and texts must fit, the path without a prefix. */
export function writeHeader({ path, mode, uid, gid, size, modified, flag, target, user, group }: Header): Buffer {
  const raw = Buffer.alloc(512);
  raw.write(path, 0, 100, "latin1");
  const digits = (value: number, at: number, bytes: number) =>
    raw.write(value.toString(8).padStart(bytes - 1, "0"), at, bytes - 1, "latin1");
  digits(mode, 100, 8);
  digits(uid, 108, 8);
  digits(gid, 116, 8);
  digits(size, 124, 12);
  digits(modified, 136, 12);
  raw.write(flag, 156, 1, "latin1");
  raw.write(target, 157, 100, "latin1");
  raw.write("ustar\0", 257, "latin1");
  raw.write("00", 263, "latin1");
  raw.write(user, 265, 32, "latin1");
  raw.write(group, 297, 32, "latin1");
  raw.write(`${checksumOf(raw).toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return raw;
}

/** The sum of all bytes, those of the checksum itself as blanks. */
function checksumOf(raw: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < 512; at += 1) if (at < 148 || at >= 156) sum += raw[at]!;
  return sum;
}

function text(raw: Buffer, at: number, bytes: number): string {
  return raw.toString("latin1", at, at + bytes).split("\0")[0]!;
}

function natural(raw: Buffer, at: number, bytes: number): number {
  const value = number(raw, at, bytes);
  if (value < 0) throw corruptArchive("a negative number where none can be");
  return value;
}

/** Octal digits; or, with the first bit set, a number in base 256 as GNU tar writes it, negative with the next bit. */
function number(raw: Buffer, at: number, bytes: number): number {
  if ((raw[at]! & 0x80) === 0) return octal(raw, at, bytes);
  const negative = (raw[at]! & 0x40) !== 0;
  let value = BigInt(raw[at]! & 0x7f);
  for (const byte of raw.subarray(at + 1, at + bytes)) value = value * 256n + BigInt(byte);
  if (negative) value -= 1n << BigInt(8 * bytes - 1);
  const safe = Number(value);
  if (!Number.isSafeInteger(safe)) throw corruptArchive("a number that is larger than any can be");
  return safe;
}

function octal(raw: Buffer, at: number, bytes: number): number {
  const digits = /^ *([0-7]*)[ \0]*$/.exec(raw.toString("latin1", at, at + bytes))?.[1];
  if (digits === undefined) throw corruptArchive("a number that is none");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}
