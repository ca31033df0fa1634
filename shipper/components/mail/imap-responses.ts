/**
 * What an IMAP server says, one response at a time (RFC 3501 §7, §9). Only as much of the grammar as a reader of folders needs.
 */

/** A response: a line in latin1 without its line end, in which `\0N\0` stands for the Nth literal. */
export interface Response {
  readonly line: string;
  readonly literals: readonly Buffer[];
}

/** One message of a FETCH response. Absent: the server did not say. */
export interface FetchedMessage {
  readonly uid: number;
  /** Sorted, without `\Recent`. */
  readonly flags?: readonly string[];
  /** Dovecot's identity of the message; in a Maildir the base name, unless its `dovecot-uidlist` has another. In latin1. */
  readonly guid?: string;
  /** In seconds since 1970. */
  readonly receivedAt?: number;
  readonly body?: Buffer;
}

/** The responses of a stream. What is cut off at its end is left out. */
export async function* readResponses(source: AsyncIterable<Buffer>): AsyncGenerator<Response> {
  let rest: Buffer = Buffer.alloc(0);
  let line = "";
  let literals: Buffer[] = [];
  /** Bytes of a literal that have not come yet; then what has come of it. */
  let wanted = 0;
  let pieces: Buffer[] = [];
  for await (const chunk of source) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (wanted > 0) {
        const piece = rest.subarray(0, wanted);
        pieces.push(piece);
        rest = rest.subarray(piece.length);
        wanted -= piece.length;
        if (wanted > 0) break;
        literals.push(Buffer.concat(pieces));
        pieces = [];
      }
      const end = rest.indexOf("\r\n");
      if (end === -1) break;
      line += rest.toString("latin1", 0, end);
      rest = rest.subarray(end + 2);
      const [announced, bytes] = /\{(\d+)\}$/.exec(line) ?? [];
      if (announced === undefined) {
        yield { line, literals };
        line = "";
        literals = [];
      } else {
        line = `${line.slice(0, -announced.length)}\0${literals.length}\0`;
        wanted = Number(bytes);
        if (wanted === 0) literals.push(Buffer.alloc(0));
      }
    }
  }
}

/** `undefined` for a response that is no FETCH with a UID. */
export function fetchedMessage({ line, literals }: Response): FetchedMessage | undefined {
  if (!/^\* \d+ FETCH \(/.test(line)) return undefined;
  const uid = /[( ]UID (\d+)/.exec(line)?.[1];
  if (uid === undefined) return undefined;
  const flags = /[( ]FLAGS \(([^)]*)\)/.exec(line)?.[1];
  const guid = stringAfter("X-GUID", line, literals);
  const date = /[( ]INTERNALDATE "([^"]+)"/.exec(line)?.[1];
  const body = stringAfter("BODY\\[\\](?:<0>)?", line, literals);
  return {
    uid: Number(uid),
    ...(flags !== undefined && { flags: sortedFlags(flags.split(" ")) }),
    ...(guid !== undefined && { guid: guid.toString("latin1") }),
    ...(date !== undefined && { receivedAt: Date.parse(date.trim().replace(/^(\d+)-(\w+)-/, "$1 $2 ")) / 1000 }),
    ...(body !== undefined && { body }),
  };
}

/** As they are compared: no `\Recent`, which tells of the session, in one order. */
export const sortedFlags = (flags: readonly string[]): string[] =>
  flags.filter((flag) => flag !== "" && flag !== "\\Recent").sort();

/** The value of an item: a literal, a quoted string, or an atom. */
function stringAfter(item: string, line: string, literals: readonly Buffer[]): Buffer | undefined {
  const value = new RegExp(`[( ]${item} (?:\0(\\d+)\0|"((?:[^"\\\\]|\\\\.)*)"|([^ )]+))`).exec(line);
  if (value === null) return undefined;
  const [, literal, quoted, atom] = value;
  if (literal !== undefined) return literals[Number(literal)];
  return Buffer.from(quoted?.replace(/\\(.)/g, "$1") ?? atom ?? "", "latin1");
}
