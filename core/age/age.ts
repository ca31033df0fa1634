/**
 * age files, version 1, for X25519 recipients (c2sp.org/age), on `node:crypto` alone; the `age` program reads what this
 * writes and the other way round.
 *
 * Whole files in memory, in one call: what fails releases nothing, and a segment is at most some MiB. Passphrases, armor,
 * plugins and post-quantum keys are not supported: such a file is "not mine" or, armored, malformed.
 */
import { createHash, randomBytes } from "node:crypto";
import { MailarkError } from "../errors.ts";
import { authenticate, formatHeader, maximumStanzas, parseHeader } from "./header.ts";
import { openPayload, payloadBytes, sealPayload } from "./payload.ts";
import {
  formatIdentity,
  formatRecipient,
  type Identity,
  type PrivateKey,
  type PublicKey,
  parseIdentity,
  parseRecipient,
  parseStanza,
  type Recipient,
  unwrap,
  wrap,
} from "./x25519.ts";

export { parseIdentities } from "./identity-file.ts";
export type { Identity, Recipient };

/** A new key pair. */
export function generateIdentity(): { identity: Identity; recipient: Recipient } {
  const identity = formatIdentity(randomBytes(32));
  return { identity, recipient: recipientOf(identity) };
}

/** The public half, as `age-keygen -y` prints it. Throws `IDENTITY_INVALID`. */
export function recipientOf(identity: Identity): Recipient {
  const [key] = identityKeys([identity]);
  return formatRecipient(key!.recipient);
}

/**
 * The name of a key in manifests and keyrings: 32 hex digits of the SHA-256 of the recipient's text, so that
 * `printf %s age1… | sha256sum | cut -c1-32` gives the same. Throws `KEY_INVALID`.
 */
export function keyIdOf(recipient: Recipient): string {
  recipientKeys([recipient]);
  return createHash("sha256").update(recipient).digest("hex").slice(0, 32);
}

/** Gives so many bytes of memory to write into. */
export type Room = (bytes: number) => Buffer;

/** @returns the encrypted file, which fills the room that was asked for; by default memory of its own. */
export type Seal = (plaintext: Uint8Array, room?: Room) => Buffer;

/** {@link sealer} for one file. */
export function seal(plaintext: Uint8Array, recipients: readonly Recipient[]): Buffer {
  return sealer(recipients)(plaintext);
}

/**
 * Encrypts one file after the other to the same recipients, parsed once. Every file has keys of its own.
 *
 * Throws `KEY_INVALID` here and now when a recipient is not one, there is none, or there are more than 128; the returned function
 * throws nothing of its own.
 */
export function sealer(recipients: readonly Recipient[]): Seal {
  const keys = recipientKeys(recipients);
  return (plaintext, room = Buffer.allocUnsafeSlow) => {
    const fileKey = randomBytes(16);
    const header = formatHeader(
      keys.map((key) => wrap(fileKey, key)),
      fileKey,
    );
    const file = room(header.length + payloadBytes(plaintext.length));
    file.set(header);
    sealPayload(plaintext, fileKey, file.subarray(header.length));
    return file;
  };
}

/** Bytes of the header that {@link sealer} writes for so many recipients; {@link headerOpener} needs no more than these. */
export function headerBytes(recipients: number): number {
  return 70 + 98 * recipients;
}

/** Bytes of the file that {@link sealer} makes of so many bytes of plaintext. */
export function sealedBytes(plainBytes: number, recipients: number): number {
  return headerBytes(recipients) + payloadBytes(plainBytes);
}

/** {@link opener} for one file. */
export function open(file: Uint8Array, identities: readonly Identity[]): Buffer {
  return opener(identities)(file);
}

/**
 * Decrypts one file after the other with the same identities, parsed once. The identity that opened the last file is
 * tried first, so that many identities cost little where files of one recipient come in a row.
 *
 * The result owns its memory whole, so it may be transferred to another thread. Throws `IDENTITY_INVALID` here and now
 * when an identity is not one or there is none. The returned function throws `DECRYPTION_FAILED` when the file is
 * malformed, was changed or cut off, or none of the identities opens it; {@link headerOpener} tells the last case apart.
 */
export function opener(identities: readonly Identity[]): (file: Uint8Array) => Buffer {
  const unlock = unlocker(identities);
  return (file) => {
    const { fileKey, headerEnd } = unlock(file);
    if (fileKey === undefined) {
      throw new MailarkError("DECRYPTION_FAILED", "none of the identities opens this file", {
        hint: "give the identity that belongs to a recipient of this file",
      });
    }
    return openPayload(file.subarray(headerEnd), fileKey);
  };
}

/** {@link headerOpener} for one file. */
export function openHeader(file: Uint8Array, identities: readonly Identity[]): Buffer | undefined {
  return headerOpener(identities)(file);
}

/**
 * Tells whether these identities open a file, from its first bytes: the whole header must be there ({@link headerBytes}),
 * the payload need not and is not looked at.
 *
 * Throws `IDENTITY_INVALID` like {@link opener}. The returned function gives the file key (16 secret bytes), `undefined`
 * when the file is sealed to others only, and throws `DECRYPTION_FAILED` when the header is malformed, cut off, or opens
 * but is not authentic.
 */
export function headerOpener(identities: readonly Identity[]): (file: Uint8Array) => Buffer | undefined {
  const unlock = unlocker(identities);
  return (file) => unlock(file).fileKey;
}

function recipientKeys(recipients: readonly Recipient[]): PublicKey[] {
  if (recipients.length === 0) throw new MailarkError("KEY_INVALID", "no recipient was given");
  if (recipients.length > maximumStanzas) {
    throw new MailarkError(
      "KEY_INVALID",
      `${recipients.length} recipients were given, at most ${maximumStanzas} can be`,
    );
  }
  return recipients.map((recipient, index) => {
    const key = parseRecipient(recipient);
    if (key !== undefined) return key;
    throw new MailarkError(
      "KEY_INVALID",
      `recipient ${index + 1} of ${recipients.length} is not a valid age public key`,
      {
        hint: recipient.toUpperCase().startsWith("AGE-SECRET-KEY-")
          ? "this is a private key: give the public one, which age-keygen -y prints"
          : "give an X25519 public key as age-keygen prints it: age1 and 58 more characters, all in lower case",
      },
    );
  });
}

function identityKeys(identities: readonly Identity[]): PrivateKey[] {
  if (identities.length === 0) throw new MailarkError("IDENTITY_INVALID", "no identity was given");
  return identities.map((identity, index) => {
    const key = parseIdentity(identity);
    if (key !== undefined) return key;
    throw new MailarkError(
      "IDENTITY_INVALID",
      `identity ${index + 1} of ${identities.length} is not a valid age private key`,
      {
        hint: "give an X25519 private key as age-keygen prints it: AGE-SECRET-KEY-1 and 58 more characters, all in upper case",
      },
    );
  });
}

function unlocker(identities: readonly Identity[]) {
  const keys = identityKeys(identities);
  return (file: Uint8Array): { fileKey: Buffer | undefined; headerEnd: number } => {
    const header = parseHeader(file);
    const wrappedKeys = header.stanzas.map(parseStanza).filter((wrapped) => wrapped !== undefined);
    for (const [index, key] of keys.entries()) {
      for (const wrapped of wrappedKeys) {
        const fileKey = unwrap(wrapped, key);
        if (fileKey === undefined) continue;
        authenticate(header, fileKey);
        keys.unshift(...keys.splice(index, 1));
        return { fileKey, headerEnd: header.bytes };
      }
    }
    return { fileKey: undefined, headerEnd: header.bytes };
  };
}
