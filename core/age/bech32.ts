/**
 * Bech32, the text form of keys (BIP 173), without its limit on the length, as c2sp.org/age uses it.
 *
 * A string is a readable prefix, the separator `1`, the data in groups of five bits, and a checksum of six groups.
 */

const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const checksumGroups = 6;
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;

/** The bytes behind a prefix, in lower case. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const groups = toGroups(bytes);
  const checksum = checksumOf([...expand(prefix), ...groups, ...new Array<number>(checksumGroups).fill(0)]) ^ 1;
  for (let i = 0; i < checksumGroups; i++) groups.push((checksum >>> (5 * (checksumGroups - 1 - i))) & 31);
  return `${prefix}1${groups.map((group) => alphabet[group]).join("")}`;
}

/**
 * What a string says, its prefix in lower case.
 *
 * `undefined` means that it is not Bech32: a foreign character, mixed case, a wrong checksum, padding that is not zero.
 */
export function decodeBech32(text: string): { readonly prefix: string; readonly bytes: Buffer } | undefined {
  if (!/^[\x21-\x7e]+$/.test(text)) return undefined;
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return undefined;
  const separator = lower.lastIndexOf("1");
  if (separator < 1 || separator + 1 + checksumGroups > lower.length) return undefined;

  const prefix = lower.slice(0, separator);
  const groups = Array.from(lower.slice(separator + 1), (letter) => alphabet.indexOf(letter));
  if (groups.includes(-1)) return undefined;
  if (checksumOf([...expand(prefix), ...groups]) !== 1) return undefined;

  const bytes = toBytes(groups.slice(0, -checksumGroups));
  return bytes === undefined ? undefined : { prefix, bytes };
}

function expand(prefix: string): number[] {
  const codes = Array.from(prefix, (letter) => letter.charCodeAt(0));
  return [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)];
}

function checksumOf(values: readonly number[]): number {
  let checksum = 1;
  for (const value of values) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of generators.entries()) if ((top >>> bit) & 1) checksum ^= generator;
  }
  return checksum;
}

function toGroups(bytes: Uint8Array): number[] {
  const groups: number[] = [];
  let pending = 0;
  let bits = 0;
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      groups.push((pending >>> bits) & 31);
    }
  }
  if (bits > 0) groups.push((pending << (5 - bits)) & 31);
  return groups;
}

function toBytes(groups: readonly number[]): Buffer | undefined {
  const bytes: number[] = [];
  let pending = 0;
  let bits = 0;
  for (const group of groups) {
    pending = ((pending << 5) | group) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((pending >>> bits) & 255);
    }
  }
  const padding = pending & ((1 << bits) - 1);
  return bits >= 5 || padding !== 0 ? undefined : Buffer.from(bytes);
}
