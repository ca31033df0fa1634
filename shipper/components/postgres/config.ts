/** How the configuration file names a PostgreSQL server. */
import { z } from "zod";

const path = z.string().regex(/^\//, "must be an absolute path");
const name = z.string().min(1);

/**
 * A password is never in the configuration itself. It comes from `passwordFile` (the password and nothing else), a file of
 * this machine wherever the programs run, from `passfile` (libpq's
 * own form, `host:port:database:user:password`), from a `service` of libpq, or is not needed, as for `postgres` over the socket.
 */
export const postgresConfigSchema = z
  .strictObject({
    /** The directory of the server's socket. */
    socketDirectory: path.optional(),
    host: name.optional(),
    port: z.int().min(1).max(65535).optional(),
    user: name.optional(),
    passwordFile: path.optional(),
    passfile: path.optional(),
    /** A section of `pg_service.conf` where the programs run. */
    service: name.optional(),
    /** Which databases are captured. All means: all of the server, and of its own those that somebody put something into. */
    databases: z.union([z.literal("all"), z.array(name).min(1)]).default("all"),
    /** Where a session begins that asks for databases and roles. */
    maintenanceDatabase: name.default("postgres"),
    /** Put before every program, to run it elsewhere: `["docker", "exec", "-i", "db"]`. `socketDirectory` and `passfile` are then of that place. */
    command: z.array(name).default([]),
    /** A dump that prints nothing for so long is given up, as is a lock that is not to be had. */
    stallSeconds: z.number().positive().default(300),
  })
  .refine(
    ({ socketDirectory, host }) => socketDirectory === undefined || host === undefined,
    "give socketDirectory or host, not both",
  )
  .refine(
    ({ passwordFile, passfile }) => passwordFile === undefined || passfile === undefined,
    "give passwordFile or passfile, not both",
  );

export type PostgresConfig = z.infer<typeof postgresConfigSchema>;
