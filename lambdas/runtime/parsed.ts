import type { z } from "zod";
import { MailarkError } from "../../core/errors.ts";

/**
 * What somebody sent, as the schema has it.
 *
 * @throws MailarkError `ARGUMENT_INVALID` that names the first member which is wrong.
 */
export function parsed<T>(schema: z.ZodType<T>, given: unknown, whole: string): T {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new MailarkError("ARGUMENT_INVALID", `${issue?.path.join(".") || whole}: ${issue?.message}`);
}
