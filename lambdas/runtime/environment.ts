import { MailarkError } from "../../core/errors.ts";

/**
 * A variable that the stack sets together with the right to use what it names.
 *
 * @throws MailarkError `CONFIG_MISSING` where it is not set.
 */
export function environment(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new MailarkError("CONFIG_MISSING", `the environment variable ${name} is not set`, {
    hint: "deploy the stack again: it sets all variables of its functions",
  });
}
