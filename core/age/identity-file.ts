/** The file that holds private keys, as `age-keygen` writes it. */
import { MailarkError } from "../errors.ts";
import { type Identity, parseIdentity } from "./x25519.ts";

/**
 * The identities in an identity file, in its order: one `AGE-SECRET-KEY-1…` a line, blank lines and lines that start with
 * `#` skipped, white space around a key ignored.
 *
 * Throws `IDENTITY_INVALID`, which names the line and never what stands on it, when a line is anything else or the file
 * holds no identity.
 */
export function parseIdentities(text: string): Identity[] {
  const identities: Identity[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (parseIdentity(line) === undefined) {
      throw new MailarkError("IDENTITY_INVALID", `line ${index + 1} of the identity file is not an age private key`, {
        hint: hintFor(line),
      });
    }
    identities.push(line);
  }
  if (identities.length === 0) {
    throw new MailarkError("IDENTITY_INVALID", "the identity file holds no identity", {
      hint: "give the file that age-keygen wrote, with a line that starts with AGE-SECRET-KEY-1",
    });
  }
  return identities;
}

function hintFor(line: string): string {
  if (line.startsWith("age-encryption.org/") || line.startsWith("-----BEGIN AGE ENCRYPTED FILE-----")) {
    return "this file is itself encrypted: decrypt it with age -d and give the result on standard input";
  }
  if (line.startsWith("age1")) return "this is a public key: give the private one, which starts with AGE-SECRET-KEY-1";
  if (line.startsWith("AGE-PLUGIN-")) return "keys of age plugins are not supported: give an X25519 identity";
  if (line.startsWith("AGE-SECRET-KEY-PQ-")) return "post-quantum keys are not supported: give an X25519 identity";
  if (line.startsWith("-----BEGIN")) return "SSH keys are not supported: give an X25519 identity made by age-keygen";
  return "a key is AGE-SECRET-KEY-1 and 58 more characters, all in upper case: compare it with its original";
}
