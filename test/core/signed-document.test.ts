import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import {
  checkSignature,
  generateSigningKey,
  maximumDocumentBytes,
  signDocument,
  signerOf,
  splitDocument,
  verifierOf,
} from "../../core/signed-document.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const pem = generateSigningKey();
const signer = signerOf(pem);
const trusted = [verifierOf(signer.publicKey)];
const document = { format: "mailark-run/1", text: 'Möl\n"%\u2028', numbers: [1, 2.5, -3], nested: { a: null } };
const bytes = signDocument(document, signer);
const read = (stored: Buffer) => checkSignature(splitDocument(stored), trusted);
const refusal = (stored: Buffer): string => {
  try {
    read(stored);
  } catch (error) {
    if (error instanceof MailarkError) return error.code;
    throw error;
  }
  return "accepted";
};

describe("a signed document", () => {
  test("comes back as it was, whatever it says", () => {
    expect(read(bytes)).toEqual(document);
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), (any) => {
        const json = JSON.parse(JSON.stringify(any));
        expect(read(signDocument(json, signer))).toEqual(json);
      }),
    );
  });

  test("is two lines", () => {
    expect(bytes.toString().split("\n")).toHaveLength(3);
    expect(bytes.at(-1)).toBe(0x0a);
  });

  test("is verified by openssl, as the format describes it", () => {
    const folder = scratchDirectory();
    const path = (name: string) => join(folder, name);
    writeFileSync(path("manifest.json"), bytes);
    const publicKey = signer.publicKey.replace(/(.{64})/g, "$1\n");
    writeFileSync(path("host.pem"), `-----BEGIN PUBLIC KEY-----\n${publicKey}\n-----END PUBLIC KEY-----\n`);
    const script = `
      head -n 1 manifest.json | tr -d '\\n' > signed
      tail -n 1 manifest.json | jq -r .ed25519 | base64 -d > signature
      openssl pkeyutl -verify -pubin -inkey host.pem -rawin -in signed -sigfile signature`;
    const printed = execFileSync("sh", ["-ec", script], { cwd: folder, encoding: "utf8" });
    expect(printed).toContain("Signature Verified Successfully");
    const keyId = execFileSync(
      "sh",
      ["-ec", "openssl pkey -pubin -in host.pem -outform DER | sha256sum | cut -c1-32"],
      { cwd: folder, encoding: "utf8" },
    );
    expect(keyId.trim()).toBe(signer.keyId);
  });

  test("is refused with any single bit flipped", () => {
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= 1 << bit;
        expect(refusal(damaged), `byte ${at}, bit ${bit}`).toMatch(
          /^(MANIFEST_INVALID|SIGNATURE_INVALID|SIGNER_UNTRUSTED)$/,
        );
      }
    }
  });

  test("is refused when it was cut off anywhere, or grew", () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(refusal(bytes.subarray(0, length))).not.toBe("accepted");
    }
    for (const more of ["\n", "x", "{}\n"])
      expect(refusal(Buffer.concat([bytes, Buffer.from(more)]))).not.toBe("accepted");
    expect(refusal(Buffer.concat([Buffer.from("\n"), bytes]))).not.toBe("accepted");
  });

  test("is refused when its lines were swapped, or are those of two documents", () => {
    const [first, second] = bytes.toString().split("\n");
    const other = signDocument({ ...document, text: "other" }, signer)
      .toString()
      .split("\n");
    expect(refusal(Buffer.from(`${second}\n${first}\n`))).not.toBe("accepted");
    expect(refusal(Buffer.from(`${first}\n${other[1]}\n`))).toBe("SIGNATURE_INVALID");
    expect(refusal(Buffer.from(`${other[0]}\n${second}\n`))).toBe("SIGNATURE_INVALID");
    expect(refusal(Buffer.from(`${first}\n${first}\n`))).not.toBe("accepted");
  });

  test("is refused when a key that is not trusted signed it, also under the name of one that is", () => {
    const stranger = signerOf(generateSigningKey());
    expect(refusal(signDocument(document, stranger))).toBe("SIGNER_UNTRUSTED");
    expect(refusal(signDocument(document, { ...stranger, keyId: signer.keyId }))).toBe("SIGNATURE_INVALID");
  });

  test("is refused when it is not JSON in UTF-8, although it is signed", () => {
    for (const signed of [Buffer.from([0x22, 0xff, 0x22]), Buffer.from("{"), Buffer.alloc(0)]) {
      const keyAndSignature = { keyId: signer.keyId, ed25519: signer.sign(signed).toString("base64") };
      const document = Buffer.concat([signed, Buffer.from(`\n${JSON.stringify(keyAndSignature)}\n`)]);
      expect(() => checkSignature(splitDocument(document), trusted)).toThrow(
        expect.objectContaining({ code: "MANIFEST_INVALID" }),
      );
    }
  });

  test("is never made larger than the format allows", () => {
    expect(() => signDocument({ text: "x".repeat(maximumDocumentBytes) }, signer)).toThrow(
      expect.objectContaining({ code: "INTERNAL" }),
    );
  });
});

describe("a signing key", () => {
  test("has the same names from its private and its public half", () => {
    expect(trusted[0]).toMatchObject({ keyId: signer.keyId, fingerprint: signer.fingerprint });
    expect(signer.fingerprint.startsWith(signer.keyId)).toBe(true);
  });

  test("is refused where it is none, or of another kind", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const foreign = rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const foreignPublic = rsa.publicKey.export({ type: "spki", format: "der" }).toString("base64");
    for (const text of ["", "x", foreign]) {
      expect(() => signerOf(text)).toThrow(expect.objectContaining({ code: "KEY_INVALID" }));
    }
    for (const text of ["", "x", foreignPublic, pem]) {
      expect(() => verifierOf(text)).toThrow(expect.objectContaining({ code: "KEY_INVALID" }));
    }
  });
});
