import { describe, expect, test } from "vitest";
import { generateIdentity, parseIdentities } from "../../../core/age/age.ts";
import { MailarkError } from "../../../core/errors.ts";

const ann = generateIdentity();
const bob = generateIdentity();

function refusalOf(text: string): MailarkError {
  try {
    parseIdentities(text);
  } catch (error) {
    if (error instanceof MailarkError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("an identity file", () => {
  test("gives its identities in their order, whatever comments and blank lines stand between them", () => {
    const text = `# created: today\n# public key: ${ann.recipient}\n${ann.identity}\n\n  \n#\n${bob.identity}`;
    expect(parseIdentities(text)).toEqual([ann.identity, bob.identity]);
  });

  test("may come from another system: CRLF, a byte order mark, spaces around a key", () => {
    expect(parseIdentities(`\ufeff# mine\r\n  ${ann.identity}\t\r\n`)).toEqual([ann.identity]);
  });

  test("without an identity is refused", () => {
    for (const text of ["", "\n\n", "# only a comment\n"]) {
      expect(refusalOf(text)).toMatchObject({
        code: "IDENTITY_INVALID",
        message: "the identity file holds no identity",
      });
    }
  });

  test("with a damaged key is refused by the number of the line, without a word of the secret", () => {
    const damaged = ann.identity.replace(/.$/, (letter) => (letter === "Q" ? "P" : "Q"));
    const error = refusalOf(`# one\n${bob.identity}\n\n${damaged}\n`);
    expect(error.code).toBe("IDENTITY_INVALID");
    expect(error.message).toBe("line 4 of the identity file is not an age private key");
    const everything = JSON.stringify({ ...error, message: error.message, stack: error.stack, cause: error.cause });
    for (let at = 17; at + 8 <= damaged.length; at++) expect(everything).not.toContain(damaged.slice(at, at + 8));
  });

  test.each([
    ["a public key", ann.recipient, "public key"],
    ["an encrypted file", "age-encryption.org/v1", "decrypt it with age -d"],
    ["an armored encrypted file", "-----BEGIN AGE ENCRYPTED FILE-----", "decrypt it with age -d"],
    ["an SSH key", "-----BEGIN OPENSSH PRIVATE KEY-----", "SSH keys are not supported"],
    ["a plugin's key", "AGE-PLUGIN-YUBIKEY-1QQQQQQ", "plugins are not supported"],
    ["a post-quantum key", "AGE-SECRET-KEY-PQ-1QQQQQQ", "post-quantum keys are not supported"],
    ["two keys on a line", `${ann.identity} ${bob.identity}`, "compare it with its original"],
  ])("with %s says what to do instead", (_, line, hint) => {
    const error = refusalOf(`${line}\nmore\n`);
    expect(error.message).toContain("line 1");
    expect(error.hint).toContain(hint);
  });
});
