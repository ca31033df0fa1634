/** How the configuration file names a Redis or Valkey server. */
import { z } from "zod";

const path = z.string().regex(/^\//, "must be an absolute path");
const name = z.string().min(1);

/** Queues and sessions: what would be done again, or let somebody in again, where a restore simply put it back. */
export const heldByDefault = ["celery", "celery\u0006\u0016*", "_kombu.*", "unacked*", "session:*"];

/** A password is never in the configuration itself: it comes from `passwordFile`, which is read here, wherever the server runs. */
export const redisConfigSchema = z
  .strictObject({
    socket: path.optional(),
    host: name.optional(),
    port: z.int().min(1).max(65535).optional(),
    user: name.optional(),
    passwordFile: path.optional(),
    /** Names of keys with `*` and `?`, that a restore into a service leaves under another name. */
    hold: z.array(name).default(heldByDefault),
    /** Put before every program, to run it elsewhere: `["docker", "exec", "-i", "redis"]`. Paths are then paths of that place. */
    command: z.array(name).default([]),
    /** A server that sends nothing for so long is given up. */
    stallSeconds: z.number().positive().default(300),
  })
  .refine(({ socket, host }) => socket === undefined || host === undefined, "give socket or host, not both");

export type RedisConfig = z.infer<typeof redisConfigSchema>;
