/** How the configuration file names a Postfix queue. */
import { z } from "zod";

const path = z.string().regex(/^\//, "must be an absolute path");

export const queueConfigSchema = z.strictObject({
  /** Where the queue is. Default: what `postconf -h queue_directory` says. */
  directory: path.transform((text) => text.replace(/(?<=.)\/+$/, "")).optional(),
  /** Of an instance that is not the usual one: `postfix -c`. */
  configDirectory: path.optional(),
  /** Put before every program, to run it elsewhere: `["docker", "exec", "-i", "mail"]`. Paths are then paths of that place. */
  command: z.array(z.string().min(1)).default([]),
  /** A program that prints nothing for so long is given up. */
  stallSeconds: z.number().positive().default(120),
});

export type QueueConfig = z.infer<typeof queueConfigSchema>;
