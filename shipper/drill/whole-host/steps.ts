/** The steps of the check of a whole host, and how one says that it could not be made. */
import { MailarkError } from "../../../core/errors.ts";

export const names = {
  dovecot: "Dovecot runs on the staged configuration",
  account: "the mailbox has an account",
  password: "its password opens it, and another one does not",
  opendkim: "OpenDKIM runs on the staged keys",
  postfix: "Postfix runs on the staged configuration",
  closed: "nothing can leave",
  message: "a message arrives in the mailbox, whole",
  signature: "the message is signed with the staged key",
} as const;

/** What an earlier check was to give. */
export function after<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw unproven(`it needs that: ${name}`);
  return value;
}

export function needed(path: string | undefined, name: string): string {
  if (path === undefined) throw unproven(`there is no ${name} in the staged configuration`);
  return path;
}

/** Nothing is wrong, it is just not proven. */
export const unproven = (why: string) => new MailarkError("PROGRAM_MISSING", why);

export const domainOf = (address: string) => address.slice(address.lastIndexOf("@") + 1);
