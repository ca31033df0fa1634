import { createHash } from "node:crypto";

/** What every mailbox of the sandbox logs in with. */
export const mailboxPassword = "a word for the sandbox only";

/** Dovecot's SSHA512 form of a password. The salt comes from the address, so that a population is the same every time. */
export function hashPassword(password: string, address: string): string {
  const salt = createHash("sha256").update(address).digest().subarray(0, 8);
  const digest = createHash("sha512").update(password).update(salt).digest();
  return `{SSHA512}${Buffer.concat([digest, salt]).toString("base64")}`;
}
