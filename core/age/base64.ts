/** Base64 as age headers use it: the standard alphabet, no padding, canonical (RFC 4648, sections 4 and 3.5). */

/** Without padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replace(/=+$/, "");
}

/** `undefined` unless the text is exactly what {@link encodeBase64} makes of the bytes: there is one spelling only. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return encodeBase64(bytes) === text ? bytes : undefined;
}
