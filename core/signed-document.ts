/**
 * Documents that a host signs: manifest, run record, enrolment (docs/format.md §5.1). Two lines: the signed bytes as they
 * are, then the signature; so there is no canonical form to get wrong.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { z } from "zod";
import { MailarkError } from "./errors.ts";
import { patterns } from "./keys.ts";

/** No signed document is larger. In bytes. */
export const maximumDocumentBytes = 16 * 1024 * 1024;
/** Nor is an object that has one and its signature. */
export const maximumSignedBytes = maximumDocumentBytes + 4096;

/** A host's signing key: what signs, and the names of what checks it. */
export interface Signer {
  readonly keyId: string;
  readonly fingerprint: string;
  /** DER SubjectPublicKeyInfo, base64. */
  readonly publicKey: string;
  sign(bytes: Uint8Array): Buffer;
}

/** A public key that a document may be signed with. */
export interface Verifier {
  readonly keyId: string;
  readonly fingerprint: string;
  verify(bytes: Uint8Array, signature: Uint8Array): boolean;
}

const signatureLine = z.object({ keyId: z.string().regex(patterns.keyId), ed25519: z.base64() });

/** A new Ed25519 signing key as PKCS #8 PEM. */
export function generateSigningKey(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/**
 * @param pem PKCS #8 PEM of an Ed25519 key.
 * @throws MailarkError `KEY_INVALID` for anything else.
 */
export function signerOf(pem: string): Signer {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new MailarkError("KEY_INVALID", "the signing key is not a PEM private key", { cause });
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw new MailarkError("KEY_INVALID", "the signing key is not an Ed25519 key");
  }
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  return { ...namesOf(der), publicKey: der.toString("base64"), sign: (bytes) => sign(null, bytes, key) };
}

/**
 * @param publicKey DER SubjectPublicKeyInfo of an Ed25519 key, base64.
 * @throws MailarkError `KEY_INVALID` for anything else.
 */
export function verifierOf(publicKey: string): Verifier {
  const der = Buffer.from(publicKey, "base64");
  let key: KeyObject;
  try {
    key = createPublicKey({ key: der, type: "spki", format: "der" });
  } catch (cause) {
    throw new MailarkError("KEY_INVALID", "not a public key", { cause });
  }
  if (key.asymmetricKeyType !== "ed25519") throw new MailarkError("KEY_INVALID", "not an Ed25519 public key");
  return { ...namesOf(der), verify: (bytes, signature) => verify(null, bytes, key, signature) };
}

/** The two lines of a document. */
export function signDocument(document: object, signer: Signer): Buffer {
  const signed = Buffer.from(JSON.stringify(document));
  if (signed.length > maximumDocumentBytes) {
    throw new MailarkError("INTERNAL", `a document of ${signed.length} bytes is larger than the format allows`);
  }
  const signature = { keyId: signer.keyId, ed25519: signer.sign(signed).toString("base64") };
  return Buffer.concat([signed, Buffer.from(`\n${JSON.stringify(signature)}\n`)]);
}

/** A document's bytes, taken apart but **not yet believed**: see {@link checkSignature}. */
export interface UncheckedDocument {
  readonly signed: Buffer;
  readonly keyId: string;
  readonly signature: Buffer;
}

/**
 * @throws MailarkError `MANIFEST_INVALID` when it is not two lines with a signature.
 */
export function splitDocument(bytes: Buffer): UncheckedDocument {
  const end = bytes.indexOf(0x0a);
  const second = bytes.subarray(end + 1);
  if (end === -1 || second.indexOf(0x0a) !== second.length - 1) {
    throw new MailarkError("MANIFEST_INVALID", "not two lines: the document is damaged or was cut off");
  }
  const line = signatureLine.safeParse(parseJson(second));
  const signature = Buffer.from(line.data?.ed25519 ?? "", "base64");
  // Two texts can stand for the same bytes; only one of them is what a signer writes.
  if (!line.success || signature.toString("base64") !== line.data.ed25519) {
    throw new MailarkError("SIGNATURE_INVALID", "the signature line is damaged");
  }
  return { signed: bytes.subarray(0, end), keyId: line.data.keyId, signature };
}

/**
 * Returns the signed JSON as it is, once it is proven that one of `trusted` signed it.
 *
 * @throws MailarkError `SIGNER_UNTRUSTED` when none of them has the named key id; `SIGNATURE_INVALID` when the bytes are
 *   not what it signed; `MANIFEST_INVALID` when they are not JSON.
 */
export function checkSignature(document: UncheckedDocument, trusted: readonly Verifier[]): unknown {
  const verifier = trusted.find(({ keyId }) => keyId === document.keyId);
  if (verifier === undefined) {
    throw new MailarkError("SIGNER_UNTRUSTED", `signed with key ${document.keyId}, which is not trusted for this host`);
  }
  if (!verifier.verify(document.signed, document.signature)) {
    throw new MailarkError(
      "SIGNATURE_INVALID",
      "the signature does not fit: the document was changed after it was signed",
    );
  }
  return parseJson(document.signed);
}

/** @throws MailarkError `MANIFEST_INVALID` where it is none. */
export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new MailarkError("MANIFEST_INVALID", "the document is not JSON", { cause });
  }
}

function namesOf(der: Buffer): { keyId: string; fingerprint: string } {
  const fingerprint = createHash("sha256").update(der).digest("hex");
  return { fingerprint, keyId: fingerprint.slice(0, 32) };
}
