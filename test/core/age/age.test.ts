import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  generateIdentity,
  headerBytes,
  headerOpener,
  keyIdOf,
  open,
  opener,
  openHeader,
  recipientOf,
  seal,
  sealedBytes,
  sealer,
} from "../../../core/age/age.ts";
import { encodeBech32 } from "../../../core/age/bech32.ts";
import { formatHeader, parseHeader } from "../../../core/age/header.ts";
import { MailarkError } from "../../../core/errors.ts";

const kib = 1024;
const ann = generateIdentity();
const bob = generateIdentity();

/** A size near a boundary of the format, or any small one. */
const size = fc.oneof(
  fc.constantFrom(0, 1, 64 * kib - 1, 64 * kib, 64 * kib + 1, 128 * kib - 1, 128 * kib, 128 * kib + 1),
  fc.nat({ max: 300 }),
  fc.nat({ max: 200 * kib }),
);

function thrownBy(act: () => unknown): MailarkError {
  try {
    act();
  } catch (error) {
    if (error instanceof MailarkError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("sealing and opening", () => {
  test("gives back what was sealed, whatever its size, to every recipient", () => {
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 4 }), (bytes, count) => {
        const plaintext = randomBytes(bytes);
        const keys = Array.from({ length: count }, generateIdentity);
        const file = seal(
          plaintext,
          keys.map((key) => key.recipient),
        );
        expect(file).toHaveLength(sealedBytes(bytes, count));
        for (const { identity } of keys) expect(open(file, [identity]).equals(plaintext)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("does not change what it is given", () => {
    const plaintext = randomBytes(100_000);
    const copy = Buffer.from(plaintext);
    const file = seal(plaintext, [ann.recipient]);
    const sealedCopy = Buffer.from(file);
    open(file, [ann.identity]);
    expect(plaintext.equals(copy)).toBe(true);
    expect(file.equals(sealedCopy)).toBe(true);
  });

  test("takes plain Uint8Arrays that lie anywhere in their memory", () => {
    const plaintext = new Uint8Array(randomBytes(70_003)).subarray(3);
    const file = new Uint8Array(seal(plaintext, [ann.recipient]).length + 5).subarray(5);
    file.set(seal(plaintext, [ann.recipient]));
    expect(open(file, [ann.identity]).equals(plaintext)).toBe(true);
  });

  test("makes files that share nothing, even of the same plaintext by the same sealer", () => {
    const sealAgain = sealer([ann.recipient]);
    const [one, other] = [sealAgain(Buffer.alloc(64)), sealAgain(Buffer.alloc(64))];
    expect(parseHeader(one).stanzas[0]!.args[1]).not.toBe(parseHeader(other).stanzas[0]!.args[1]);
    expect(one.subarray(-96).equals(other.subarray(-96))).toBe(false);
    expect(openHeader(one, [ann.identity])).not.toEqual(openHeader(other, [ann.identity]));
  });

  test("gives memory that can be handed to another thread without taking anything else along", () => {
    const file = seal(Buffer.alloc(10), [ann.recipient]);
    const plaintext = open(file, [ann.identity]);
    expect(file.buffer.byteLength).toBe(file.length);
    expect(plaintext.buffer.byteLength).toBe(plaintext.length);
  });

  test("opens with whichever identity fits, one file after the other", () => {
    const keys = Array.from({ length: 12 }, generateIdentity);
    const openAny = opener(keys.map((key) => key.identity));
    for (const index of [7, 7, 0, 11, 7, 3, 3, 0]) {
      const plaintext = Buffer.from(`for number ${index}`);
      expect(openAny(seal(plaintext, [keys[index]!.recipient]))).toEqual(plaintext);
    }
  });
});

describe("a damaged file", () => {
  const plaintext = randomBytes(500);
  const file = seal(plaintext, [ann.recipient, bob.recipient]);
  const openAsAnn = opener([ann.identity]);

  test("is refused after any single bit was flipped", () => {
    // The stanza of somebody else is authenticated like all the rest of the header.
    for (let bit = 0; bit < file.length * 8; bit++) {
      const damaged = Buffer.from(file);
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      expect(thrownBy(() => openAsAnn(damaged)).code).toBe("DECRYPTION_FAILED");
    }
  });

  test("is refused when it is cut off at any byte", () => {
    for (let length = 0; length < file.length; length++) {
      expect(thrownBy(() => openAsAnn(file.subarray(0, length))).code).toBe("DECRYPTION_FAILED");
    }
  });

  test("is refused after a flipped bit or a cut anywhere in several chunks", () => {
    const whole = seal(randomBytes(150_000), [ann.recipient]);
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 7 }), (at, bit) => {
        expect(thrownBy(() => openAsAnn(whole.subarray(0, at))).code).toBe("DECRYPTION_FAILED");
        const damaged = Buffer.from(whole);
        damaged[at]! ^= 1 << bit;
        expect(thrownBy(() => openAsAnn(damaged)).code).toBe("DECRYPTION_FAILED");
      }),
      { numRuns: 200 },
    );
  });

  test("is refused when anything follows", () => {
    for (const extra of [1, 15, 16, 17, 65_536, 65_552]) {
      const longer = Buffer.concat([file, Buffer.alloc(extra)]);
      expect(thrownBy(() => openAsAnn(longer)).code).toBe("DECRYPTION_FAILED");
    }
  });

  test("is refused when chunks were left out, repeated or exchanged", () => {
    const sealedChunk = 64 * kib + 16;
    const whole = seal(randomBytes(200_000), [ann.recipient]);
    const start = headerBytes(1) + 16;
    const head = whole.subarray(0, start);
    const chunks = [0, 1, 2, 3].map((n) => whole.subarray(start + n * sealedChunk, start + (n + 1) * sealedChunk));
    const [a, b, c, d] = chunks as [Buffer, Buffer, Buffer, Buffer];
    expect(Buffer.concat([head, a, b, c, d]).equals(whole)).toBe(true);
    for (const order of [[a, b, c], [b, c, d], [a, c, d], [a, b, b, d], [b, a, c, d], [a, b, c, d, d], []]) {
      expect(thrownBy(() => openAsAnn(Buffer.concat([head, ...order]))).code).toBe("DECRYPTION_FAILED");
    }
  });

  test("does not get the parts of another file with the same recipient", () => {
    const other = seal(plaintext, [ann.recipient, bob.recipient]);
    const mixed = Buffer.concat([file.subarray(0, headerBytes(2)), other.subarray(headerBytes(2))]);
    expect(thrownBy(() => openAsAnn(mixed)).code).toBe("DECRYPTION_FAILED");
  });

  test("is refused when a passphrase stands beside its recipient", () => {
    const { stanzas } = parseHeader(file);
    const scrypt = { args: ["scrypt", "A".repeat(22), "18"] as const, body: randomBytes(32) };
    const fileKey = openHeader(file, [ann.identity])!;
    const mixed = formatHeader([...stanzas, scrypt], fileKey);
    expect(thrownBy(() => openHeader(mixed, [ann.identity])).message).toContain("passphrase");
    expect(openHeader(formatHeader(stanzas, fileKey), [ann.identity])).toEqual(fileKey);
  });

  test("does not keep the reader busy with more recipients than any of our files has", () => {
    const stanza = `-> X25519 ${"A".repeat(43)}\n${"A".repeat(43)}\n`;
    const hostile = Buffer.from(`age-encryption.org/v1\n${stanza.repeat(129)}--- ${"A".repeat(43)}\n`);
    expect(thrownBy(() => openAsAnn(hostile)).message).toContain("more than 128 recipients");
  });
});

describe("opening a header", () => {
  const file = seal(randomBytes(100_000), [ann.recipient, bob.recipient]);

  test("needs the bytes of the header and no more", () => {
    const header = file.subarray(0, headerBytes(2));
    expect(openHeader(header, [bob.identity])).toHaveLength(16);
    expect(thrownBy(() => openHeader(header.subarray(0, -1), [bob.identity])).message).toContain("cut off");
  });

  test("says undefined, and does not throw, when the file is for others", () => {
    const stranger = headerOpener([generateIdentity().identity, generateIdentity().identity]);
    expect(stranger(file)).toBeUndefined();
    expect(thrownBy(() => open(file, [generateIdentity().identity])).message).toBe(
      "none of the identities opens this file",
    );
  });

  test("throws when the file is mine and another recipient was exchanged", () => {
    const forged = Buffer.from(file);
    const other = seal(Buffer.alloc(0), [bob.recipient]);
    other.copy(forged, 22 + 98, 22, 22 + 98);
    expect(thrownBy(() => openHeader(forged, [ann.identity])).message).toContain("not authentic");
  });
});

describe("keys", () => {
  test("follow the example of the specification", () => {
    const identity = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    expect(recipientOf(identity)).toBe("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
  });

  test("are written in the one form that age writes", () => {
    expect(ann.identity).toMatch(/^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/);
    expect(ann.recipient).toMatch(/^age1[02-9ac-hj-np-z]{58}$/);
    expect(recipientOf(ann.identity)).toBe(ann.recipient);
    expect(generateIdentity().identity).not.toBe(ann.identity);
  });

  test("have an id that the usual text tools can compute", () => {
    const digest = createHash("sha256").update(ann.recipient).digest("hex");
    expect(keyIdOf(ann.recipient)).toBe(digest.slice(0, 32));
    expect(keyIdOf("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj")).toBe(
      "6a804773982840fa7eae3847079a53b0",
    );
  });

  test.each([
    ["nothing", ""],
    ["a private key", ann.identity],
    ["upper case", ann.recipient.toUpperCase()],
    ["mixed case", ann.recipient.replace(/.$/, (letter) => letter.toUpperCase()).replace("age1", "Age1")],
    ["a changed letter", ann.recipient.replace(/.$/, (letter) => (letter === "q" ? "p" : "q"))],
    ["a letter that only looks like one", ann.recipient.replace(/.$/, "\u017f")],
    ["a space around it", ` ${ann.recipient}`],
    ["another prefix", encodeBech32("ages", randomBytes(32))],
    ["31 bytes", encodeBech32("age", randomBytes(31))],
    ["33 bytes", encodeBech32("age", randomBytes(33))],
    ["the identity point", encodeBech32("age", Buffer.alloc(32))],
    ["a point of low order", encodeBech32("age", Buffer.from([1, ...Buffer.alloc(31)]))],
    ["a post-quantum key", encodeBech32("age1pq", randomBytes(1216))],
    ["an SSH key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
  ])("refuse %s as a recipient", (_, recipient) => {
    const error = thrownBy(() => sealer([bob.recipient, recipient]));
    expect(error.code).toBe("KEY_INVALID");
    expect(error.message).toBe("recipient 2 of 2 is not a valid age public key");
    expect(thrownBy(() => keyIdOf(recipient)).code).toBe("KEY_INVALID");
  });

  test.each([
    ["nothing", ""],
    ["a public key", ann.recipient],
    ["lower case", ann.identity.toLowerCase()],
    ["a changed letter", ann.identity.replace(/.$/, (letter) => (letter === "Q" ? "P" : "Q"))],
    ["31 bytes", encodeBech32("age-secret-key-", randomBytes(31)).toUpperCase()],
    ["another prefix", encodeBech32("age-secret-key-pq-", randomBytes(32)).toUpperCase()],
  ])("refuse %s as an identity, and keep it secret", (_, identity) => {
    const error = thrownBy(() => opener([bob.identity, identity]));
    expect(error.code).toBe("IDENTITY_INVALID");
    expect(error.message).toBe("identity 2 of 2 is not a valid age private key");
    if (identity.length > 20)
      expect(JSON.stringify({ ...error, stack: error.stack })).not.toContain(identity.slice(17, 30));
    expect(thrownBy(() => recipientOf(identity)).code).toBe("IDENTITY_INVALID");
  });

  test("must be given: nobody could read a file without recipients", () => {
    expect(thrownBy(() => sealer([])).code).toBe("KEY_INVALID");
    expect(thrownBy(() => opener([])).code).toBe("IDENTITY_INVALID");
  });

  test("can be 128 for one file and not more, since none would open that file", () => {
    const recipients = new Array<string>(128).fill(ann.recipient);
    expect(open(seal(Buffer.from("x"), recipients), [ann.identity]).toString()).toBe("x");
    expect(thrownBy(() => sealer([...recipients, ann.recipient])).code).toBe("KEY_INVALID");
  });
});
