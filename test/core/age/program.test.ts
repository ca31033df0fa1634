import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateIdentity, keyIdOf, open, parseIdentities, recipientOf, seal } from "../../../core/age/age.ts";

const mib = 1024 * 1024;
const sizes = [0, 1, 65_535, 65_536, 65_537, 131_072, 5 * mib + 123];

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "mailark-age-"));
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** The standard output of a program that must succeed. */
function run(program: string, args: readonly string[], input: Uint8Array | string = ""): Buffer {
  return execFileSync(program, args, { input, maxBuffer: 64 * mib, stdio: ["pipe", "pipe", "pipe"] });
}

function identityFile(identities: readonly string[]): string {
  const path = join(place, `${randomBytes(6).toString("hex")}.key`);
  writeFileSync(path, identities.map((identity) => `${identity}\n`).join(""), { mode: 0o600 });
  return path;
}

describe("the age program", () => {
  test.each(sizes)("reads what we seal: %i bytes", (bytes) => {
    const { identity, recipient } = generateIdentity();
    const plaintext = randomBytes(bytes);
    const decrypted = run("age", ["-d", "-i", identityFile([identity])], seal(plaintext, [recipient]));
    expect(decrypted.equals(plaintext)).toBe(true);
  });

  test.each(sizes)("writes what we open: %i bytes", (bytes) => {
    const { identity, recipient } = generateIdentity();
    const plaintext = randomBytes(bytes);
    expect(open(run("age", ["-r", recipient], plaintext), [identity]).equals(plaintext)).toBe(true);
  });

  test("and we agree about several recipients, in both directions", () => {
    const keys = Array.from({ length: 3 }, generateIdentity);
    const recipients = keys.map((key) => key.recipient);
    const plaintext = randomBytes(3 * mib);
    const ours = seal(plaintext, recipients);
    const theirs = run(
      "age",
      recipients.flatMap((recipient) => ["-r", recipient]),
      plaintext,
    );
    for (const { identity } of keys) {
      expect(run("age", ["-d", "-i", identityFile([identity])], ours).equals(plaintext)).toBe(true);
      expect(open(theirs, [identity]).equals(plaintext)).toBe(true);
    }
  });

  test("and we read the same file of many identities", () => {
    const keys = Array.from({ length: 50 }, generateIdentity);
    const path = identityFile(keys.map((key) => key.identity));
    const plaintext = randomBytes(1000);
    const identities = parseIdentities(readFileSync(path, "utf8"));
    expect(identities).toHaveLength(50);
    const ours = seal(plaintext, [keys[37]!.recipient]);
    expect(run("age", ["-d", "-i", path], ours).equals(plaintext)).toBe(true);
    expect(open(ours, identities).equals(plaintext)).toBe(true);
  });

  test("refuses the files that we refuse", () => {
    const { identity, recipient } = generateIdentity();
    const file = seal(randomBytes(1000), [recipient]);
    file[file.length - 1]! ^= 1;
    const result = spawnSync("age", ["-d", "-i", identityFile([identity])], { input: file });
    expect(result.status).not.toBe(0);
    expect(() => open(file, [identity])).toThrow("not authentic");
  });
});

describe("age-keygen", () => {
  test("finds the same public key for a private one of ours", () => {
    const { identity, recipient } = generateIdentity();
    expect(
      run("age-keygen", ["-y", identityFile([identity])])
        .toString()
        .trim(),
    ).toBe(recipient);
  });

  test("writes an identity file that we read, with the same public key", () => {
    const path = join(place, "made-by-age-keygen.key");
    run("age-keygen", ["-o", path]);
    const [identity] = parseIdentities(readFileSync(path, "utf8"));
    expect(recipientOf(identity!)).toBe(run("age-keygen", ["-y", path]).toString().trim());
  });

  test("and sha256sum give the key id without us", () => {
    const { recipient } = generateIdentity();
    const script = 'printf %s "$1" | sha256sum | cut -c1-32';
    expect(run("sh", ["-c", script, "sh", recipient]).toString().trim()).toBe(keyIdOf(recipient));
  });
});
