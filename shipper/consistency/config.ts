/** How the configuration file says where a mail system keeps its accounts. */
import { z } from "zod";

const select = z
  .string()
  .regex(/^\s*(select|with)\b/i, "must be one SELECT")
  .refine((sql) => !sql.includes(";"), "must be one SELECT, without a semicolon");

/** They are asked in a read-only transaction of a component's own server, and compared with what a run captures. */
export const accountsConfigSchema = z.strictObject({
  /** The component whose server has them, reached as that component says. */
  component: z.enum(["mysql", "postgres"]),
  database: z.string().min(1),
  /** One column: the address of every mailbox, active or not. */
  mailboxes: select,
  /** One column: the domains that mail is accepted for. */
  domains: select.optional(),
  /** Two columns: source and destination. */
  aliases: select.optional(),
});

export type AccountsConfig = z.infer<typeof accountsConfigSchema>;
