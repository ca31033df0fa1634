/** A Maildir file name, taken apart: https://cr.yp.to/proto/maildir.html */
export interface MessageName {
  /** What stays the same all the message's life. */
  readonly base: string;
  /** From the first colon on: `:2,` and the flags; or empty. */
  readonly info: string;
}

export function parseMessageName(name: string): MessageName {
  const colon = name.indexOf(":");
  return colon === -1 ? { base: name, info: "" } : { base: name.slice(0, colon), info: name.slice(colon) };
}
