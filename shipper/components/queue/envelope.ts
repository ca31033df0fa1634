/**
 * Reads a queue file as Postfix does: records of a type, a length in seven-bit groups, least first, and the data; a pointer record says where to go on
 * (src/global/rec_type.h, src/util/rec_get.c of Postfix). Milters leave pointers wherever they changed something.
 */

/** What a queue file says of its message. */
export interface Envelope {
  /** Bytes in latin1; empty for a bounce. */
  readonly sender: string;
  /** Those that are not delivered to yet, in their order. */
  readonly recipients: readonly string[];
  /** Seconds since 1970; `undefined`: not said. */
  readonly arrivedAt: number | undefined;
  /** Of the content, as Postfix counts it; `undefined` in `maildrop`. */
  readonly messageBytes: number | undefined;
}

const [size, time, from, recipient, pointer, end] = [..."CTSRpE"].map((letter) => letter.charCodeAt(0));

/** `undefined` when the file does not lead from its first record to an end: then it is not whole, or none. */
export function readEnvelope(file: Buffer): Envelope | undefined {
  let sender: string | undefined;
  let arrivedAt: number | undefined;
  let messageBytes: number | undefined;
  const recipients: string[] = [];
  // No record is read twice, and none is empty: more would be a circle.
  for (let at = 0, count = 0; count < file.length; count += 1) {
    const type = file[at];
    let length = 0;
    let next = at + 1;
    for (let shift = 0; ; shift += 7) {
      const byte = file[next];
      if (byte === undefined || shift > 28) return undefined;
      next += 1;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (next + length > file.length) return undefined;
    const text = () => file.toString("latin1", next, next + length);
    at = next + length;
    if (type === end) {
      return sender === undefined ? undefined : { sender, recipients, arrivedAt, messageBytes };
    }
    if (type === from) sender = text();
    else if (type === recipient) recipients.push(text());
    else if (type === time) arrivedAt ??= Number(/^\d+/.exec(text())?.[0] ?? 0);
    else if (type === size && count === 0) messageBytes = Number(/^ *(\d+)/.exec(text())?.[1] ?? 0);
    else if (type === pointer) {
      const target = Number(/^ *(\d+)/.exec(text())?.[1] ?? 0);
      if (target > 0) at = target;
    }
  }
  return undefined;
}

/** The part of an address that says where to, in lower case; `undefined`: it has none. */
export function domainOf(address: string): string | undefined {
  const at = address.lastIndexOf("@");
  return at < 0 || at === address.length - 1 ? undefined : address.slice(at + 1).toLowerCase();
}
