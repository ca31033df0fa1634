/** How the configuration file names a MariaDB or MySQL server. */
import { z } from "zod";

const path = z.string().regex(/^\//, "must be an absolute path");
const name = z.string().min(1);

/**
 * A password is never in the configuration itself. It comes from `passwordFile` (the password and nothing else), which is a file of this machine
 * wherever the programs run, or from `defaultsFile` (an option file of the client programs), or is not needed, as for root over the socket.
 */
export const mysqlConfigSchema = z
  .strictObject({
    socket: path.optional(),
    host: name.optional(),
    port: z.int().min(1).max(65535).optional(),
    user: name.optional(),
    passwordFile: path.optional(),
    defaultsFile: path.optional(),
    /** Which databases are captured. All means: all but the server's own. */
    databases: z.union([z.literal("all"), z.array(name).min(1)]).default("all"),
    /** Put before every program, to run it elsewhere: `["docker", "exec", "-i", "db"]`. `socket` and `defaultsFile` are then paths of that place. */
    command: z.array(name).default([]),
    /** A dump that prints nothing for so long is given up, and so is a server that does not answer at all. */
    stallSeconds: z.number().positive().default(300),
  })
  .refine(({ socket, host }) => socket === undefined || host === undefined, "give socket or host, not both")
  .refine(
    ({ passwordFile, defaultsFile }) => passwordFile === undefined || defaultsFile === undefined,
    "give passwordFile or defaultsFile, not both",
  );

export type MysqlConfig = z.infer<typeof mysqlConfigSchema>;
