/**
 * The X25519 recipient type of age (c2sp.org/age, "The X25519 recipient type"): keys in their text form, and the stanza
 * that wraps a file key for one of them.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { decodeBech32, encodeBech32 } from "./bech32.ts";
import { malformed, type Stanza } from "./header.ts";

/** A public key in its text form, `age1…` in lower case. */
export type Recipient = string;

/** A private key in its text form, `AGE-SECRET-KEY-1…` in upper case. */
export type Identity = string;

/** Somebody's public half, or the ephemeral share in a stanza: the point, and the same ready for use. */
export interface PublicKey {
  readonly bytes: Buffer;
  readonly key: KeyObject;
}

/** The private half, ready for use, and the public one that belongs to it. */
export interface PrivateKey {
  readonly key: KeyObject;
  readonly recipient: Buffer;
}

/** What an X25519 stanza carries. */
export interface WrappedKey {
  readonly share: PublicKey;
  readonly body: Uint8Array;
}

const stanzaType = "X25519";
const recipientPrefix = "age";
const identityPrefix = "age-secret-key-";
const keyBytes = 32;
const fileKeyBytes = 16;
const tagBytes = 16;
const info = "age-encryption.org/v1/X25519";
const aead = { authTagLength: tagBytes };
const zeroNonce = Buffer.alloc(12);

/** What stands before the 32 bytes of an X25519 private key in PKCS #8 (RFC 8410, section 7). */
const pkcs8Head = Buffer.from("302e020100300506032b656e04220420", "hex");

/** `age1…` as a key. `undefined`: not a recipient, or a point of low order, with which no secret can be agreed. */
export function parseRecipient(text: Recipient): PublicKey | undefined {
  const decoded = text === text.toLowerCase() ? decodeBech32(text) : undefined;
  if (decoded?.prefix !== recipientPrefix || decoded.bytes.length !== keyBytes) return undefined;
  const recipient = importPublic(decoded.bytes);
  return agree(generateKeyPairSync("x25519").privateKey, recipient.key) === undefined ? undefined : recipient;
}

/** `AGE-SECRET-KEY-1…` as a key; upper case only. `undefined`: not an identity. */
export function parseIdentity(text: Identity): PrivateKey | undefined {
  const decoded = text === text.toUpperCase() ? decodeBech32(text) : undefined;
  if (decoded?.prefix !== identityPrefix || decoded.bytes.length !== keyBytes) return undefined;
  return importPrivate(decoded.bytes);
}

/** `AGE-SECRET-KEY-1…` for 32 random bytes. */
export function formatIdentity(secret: Uint8Array): Identity {
  return encodeBech32(identityPrefix, secret).toUpperCase();
}

/** `age1…` for a public key. */
export function formatRecipient(bytes: Uint8Array): Recipient {
  return encodeBech32(recipientPrefix, bytes);
}

/** A stanza that gives the file key to this recipient, with an ephemeral key of its own. */
export function wrap(fileKey: Uint8Array, recipient: PublicKey): Stanza {
  const ephemeral = generateKeyPairSync("x25519");
  const share = exportPublic(ephemeral.publicKey);
  const secret = agree(ephemeral.privateKey, recipient.key);
  if (secret === undefined) throw new Error("a parsed recipient is never of low order");

  const cipher = createCipheriv("chacha20-poly1305", wrapKey(secret, share, recipient.bytes), zeroNonce, aead);
  const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
  return { args: [stanzaType, encodeBase64(share)], body };
}

/**
 * What an X25519 stanza carries. `undefined`: a stanza of another type, which is to be ignored.
 *
 * Throws `DECRYPTION_FAILED` when it has other arguments than one share of 32 bytes, or a body of another size than a
 * wrapped file key (checked before it is decrypted, against partitioning oracles).
 */
export function parseStanza(stanza: Stanza): WrappedKey | undefined {
  const [type, share, ...others] = stanza.args;
  if (type !== stanzaType) return undefined;
  const bytes = share === undefined || others.length > 0 ? undefined : decodeBase64(share);
  if (bytes?.length !== keyBytes) throw malformed("an X25519 recipient has other arguments than one share");
  if (stanza.body.length !== fileKeyBytes + tagBytes)
    throw malformed("an X25519 recipient has no file key of 16 bytes");
  return { share: importPublic(bytes), body: stanza.body };
}

/**
 * The file key. `undefined`: wrapped for somebody else.
 *
 * Throws `DECRYPTION_FAILED` when the share is of low order, since then the secret would be known to everybody.
 */
export function unwrap(wrapped: WrappedKey, identity: PrivateKey): Buffer | undefined {
  const secret = agree(identity.key, wrapped.share.key);
  if (secret === undefined) throw malformed("an X25519 recipient has a share of low order");
  const key = wrapKey(secret, wrapped.share.bytes, identity.recipient);
  const decipher = createDecipheriv("chacha20-poly1305", key, zeroNonce, aead);
  decipher.setAuthTag(wrapped.body.subarray(fileKeyBytes));
  const fileKey = decipher.update(wrapped.body.subarray(0, fileKeyBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return fileKey;
}

function importPublic(bytes: Buffer): PublicKey {
  const jwk = { kty: "OKP", crv: "X25519", x: bytes.toString("base64url") };
  return { bytes, key: createPublicKey({ key: jwk, format: "jwk" }) };
}

function exportPublic(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x as string, "base64url");
}

function importPrivate(secret: Uint8Array): PrivateKey {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, secret]), format: "der", type: "pkcs8" });
  return { key, recipient: exportPublic(createPublicKey(key)) };
}

/** X25519. `undefined`: the result would be all zeros, because the point is of low order; OpenSSL reports that as a failure. */
function agree(privateKey: KeyObject, publicKey: KeyObject): Buffer | undefined {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_OSSL_FAILED_DURING_DERIVATION") return undefined;
    throw error;
  }
}

function wrapKey(secret: Buffer, share: Buffer, recipient: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, Buffer.concat([share, recipient]), info, keyBytes));
}
