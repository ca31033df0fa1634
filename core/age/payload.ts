/**
 * The payload of an age file (c2sp.org/age, "Payload"): a nonce of 16 bytes, then chunks of 64 KiB, each encrypted with
 * ChaCha20-Poly1305 under a key derived from file key and nonce (the STREAM construction).
 *
 * The nonce of a chunk is its number (11 bytes, big endian) and a flag that is set on the last one. So the length of a
 * payload says where its chunks are, and no chunk can be moved, left out or appended.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import { MailarkError } from "../errors.ts";
import { malformed } from "./header.ts";

/** Bytes of plaintext in every chunk but the last. */
export const chunkBytes = 64 * 1024;

const nonceBytes = 16;
const tagBytes = 16;
const sealedChunkBytes = chunkBytes + tagBytes;
const aead = { authTagLength: tagBytes };

/** Bytes of the payload that holds so many bytes of plaintext. */
export function payloadBytes(plainBytes: number): number {
  const chunks = Math.max(1, Math.ceil(plainBytes / chunkBytes));
  return nonceBytes + plainBytes + chunks * tagBytes;
}

/** Fills `payload`, which has exactly {@link payloadBytes} bytes, with the encrypted plaintext. */
export function sealPayload(plaintext: Uint8Array, fileKey: Uint8Array, payload: Buffer): void {
  const key = payloadKey(fileKey, randomFillSync(payload.subarray(0, nonceBytes)));
  const nonce = chunkNonce();
  let to = nonceBytes;
  let from = 0;
  do {
    const chunk = plaintext.subarray(from, from + chunkBytes);
    nonce.set(from / chunkBytes, from + chunkBytes >= plaintext.length);
    const cipher = createCipheriv("chacha20-poly1305", key, nonce.bytes, aead);
    moveInto(payload, cipher.update(chunk), to);
    cipher.final();
    payload.set(cipher.getAuthTag(), to + chunk.length);
    to += chunk.length + tagBytes;
    from += chunkBytes;
  } while (from < plaintext.length);
}

/**
 * The whole plaintext, all of it authenticated.
 *
 * Throws `DECRYPTION_FAILED` when anything was changed, moved, cut off or appended; nothing is released then.
 */
export function openPayload(payload: Uint8Array, fileKey: Uint8Array): Buffer {
  if (payload.length < nonceBytes) throw malformed("the header is not followed by a nonce");
  const sealed = payload.subarray(nonceBytes);
  const chunks = Math.ceil(sealed.length / sealedChunkBytes);
  const lastChunk = sealed.length - (chunks - 1) * sealedChunkBytes;
  if (chunks === 0 || lastChunk < tagBytes || (lastChunk === tagBytes && chunks > 1)) throw broken("is cut off");

  const key = payloadKey(fileKey, payload.subarray(0, nonceBytes));
  const nonce = chunkNonce();
  const plaintext = Buffer.allocUnsafeSlow(sealed.length - chunks * tagBytes);
  for (let number = 0; number < chunks; number++) {
    const chunk = sealed.subarray(number * sealedChunkBytes, (number + 1) * sealedChunkBytes);
    nonce.set(number, number === chunks - 1);
    const decipher = createDecipheriv("chacha20-poly1305", key, nonce.bytes, aead);
    decipher.setAuthTag(chunk.subarray(-tagBytes));
    moveInto(plaintext, decipher.update(chunk.subarray(0, -tagBytes)), number * chunkBytes);
    try {
      decipher.final();
    } catch {
      throw broken(`is not authentic at chunk ${number + 1} of ${chunks}`);
    }
  }
  return plaintext;
}

/** A key object, because with plain bytes every chunk costs three times as much to begin. */
function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync("sha256", fileKey, nonce, "payload", 32)));
}

/**
 * Copies a chunk to its place and gives its memory back at once, so that the next chunk finds it warm in the cache. Left to
 * the collector, the chunks cost a quarter more CPU time and twice the memory. (`node:crypto` can not write in place.)
 */
function moveInto(target: Buffer, chunk: Buffer, at: number): void {
  target.set(chunk, at);
  const { buffer } = chunk;
  const ownsMemory = buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length;
  if (ownsMemory) buffer.transfer(0);
}

function chunkNonce() {
  const bytes = Buffer.alloc(12);
  return {
    bytes,
    set(number: number, last: boolean): void {
      bytes.writeUIntBE(number, 5, 6);
      bytes[11] = last ? 1 : 0;
    },
  };
}

function broken(how: string): MailarkError {
  return new MailarkError("DECRYPTION_FAILED", `the payload of the age file ${how}`);
}
