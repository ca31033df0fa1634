/**
 * The textual header of an age file (c2sp.org/age, "Header"):
 *
 *     age-encryption.org/v1
 *     -> X25519 <ephemeral share>
 *     <wrapped file key>
 *     --- <MAC>
 *
 * One or more stanzas, each with a base64 body in lines of 64 columns that ends with a shorter, possibly empty line. The
 * MAC covers everything up to and including the three dashes, and is made with a key derived from the file key.
 */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { MailarkError } from "../errors.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";

/** One way to the file key: arguments (the first is the type) and a body. */
export interface Stanza {
  readonly args: readonly [string, ...string[]];
  readonly body: Uint8Array;
}

/** What a header says, not yet authenticated. */
export interface Header {
  readonly stanzas: readonly Stanza[];
  readonly mac: Buffer;
  /** The part of the file that the MAC covers. */
  readonly authenticated: Uint8Array;
  /** Length of the whole header; the payload starts here. */
  readonly bytes: number;
}

/**
 * The format sets no limit, but every stanza costs a key agreement per identity before anything can be authenticated, so
 * that a hostile header could keep a reader busy for hours. No file of mailark comes near it.
 */
export const maximumStanzas = 128;

const versionLine = "age-encryption.org/v1\n";
const columns = 64;
const macBytes = 32;
const lineFeed = 0x0a;

/**
 * The header at the start of a file, of which the payload may be missing.
 *
 * Throws `DECRYPTION_FAILED` when it deviates from the format in any way, or is cut off. A passphrase stanza beside others
 * is refused as well, since the format wants it alone.
 */
export function parseHeader(file: Uint8Array): Header {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.toString("latin1", 0, versionLine.length) !== versionLine)
    throw malformed("it does not start as one of version 1");

  const stanzas: Stanza[] = [];
  let position = versionLine.length;
  const nextLine = (): string => {
    const end = bytes.indexOf(lineFeed, position);
    if (end < 0) throw malformed("the header is cut off");
    const line = bytes.toString("latin1", position, end);
    position = end + 1;
    return line;
  };

  for (;;) {
    const start = position;
    const line = nextLine();
    if (line.startsWith("---")) {
      if (stanzas.length === 0) throw malformed("the header has no recipient");
      if (stanzas.length > 1 && stanzas.some((stanza) => stanza.args[0] === "scrypt")) {
        throw malformed("a passphrase stands beside other recipients");
      }
      return { stanzas, mac: parseMac(line), authenticated: bytes.subarray(0, start + 3), bytes: position };
    }
    if (stanzas.length === maximumStanzas) throw malformed(`the header has more than ${maximumStanzas} recipients`);
    stanzas.push({ args: parseArguments(line), body: parseBody(nextLine) });
  }
}

/** Throws `DECRYPTION_FAILED` when the header was not made by whoever knew this file key. */
export function authenticate(header: Header, fileKey: Uint8Array): void {
  if (!timingSafeEqual(macOf(header.authenticated, fileKey), header.mac)) {
    throw new MailarkError("DECRYPTION_FAILED", "the header of the age file is not authentic");
  }
}

/** The header with these stanzas, in this order, authenticated with the file key. */
export function formatHeader(stanzas: readonly Stanza[], fileKey: Uint8Array): Buffer {
  const authenticated = `${versionLine}${stanzas.map(formatStanza).join("")}---`;
  const mac = macOf(Buffer.from(authenticated, "latin1"), fileKey);
  return Buffer.from(`${authenticated} ${encodeBase64(mac)}\n`, "latin1");
}

/** The error for a file that is not what the format demands; `what` completes "not a valid age file: …". */
export function malformed(what: string): MailarkError {
  return new MailarkError("DECRYPTION_FAILED", `not a valid age file: ${what}`);
}

function parseMac(line: string): Buffer {
  const mac = line.startsWith("--- ") ? decodeBase64(line.slice(4)) : undefined;
  if (mac?.length !== macBytes) throw malformed("the last line of the header is not a MAC");
  return mac;
}

function parseArguments(line: string): Stanza["args"] {
  if (!/^->( [\x21-\x7e]+)+$/.test(line)) throw malformed("a line of the header is not a recipient");
  const [first, ...others] = line.slice(3).split(" ");
  return [first!, ...others];
}

function parseBody(nextLine: () => string): Buffer {
  let text = "";
  for (;;) {
    const line = nextLine();
    if (line.length > columns) throw malformed("a recipient has a line of more than 64 columns");
    text += line;
    if (line.length < columns) break;
  }
  const body = decodeBase64(text);
  if (body === undefined) throw malformed("a recipient is not in canonical base64");
  return body;
}

function formatStanza(stanza: Stanza): string {
  const body = encodeBase64(stanza.body);
  let text = `-> ${stanza.args.join(" ")}\n`;
  for (let start = 0; start <= body.length; start += columns) text += `${body.slice(start, start + columns)}\n`;
  return text;
}

function macOf(authenticated: Uint8Array, fileKey: Uint8Array): Buffer {
  const key = Buffer.from(hkdfSync("sha256", fileKey, "", "header", 32));
  return createHmac("sha256", key).update(authenticated).digest();
}
