import { z } from "zod";

/** An absolute path below the root directory, written in the only way. */
export const treePath = z
  .string()
  .startsWith("/", "must be an absolute path")
  .refine(
    (path) =>
      path
        .slice(1)
        .split("/")
        .every((name) => name !== "" && name !== "." && name !== ".."),
    {
      error: "must be a path below / without . or .. and without a slash at its end",
    },
  )
  .refine((path) => !path.includes("\0"), "must not have a zero byte");

/** What the configuration of every component of files has. */
export const treeSettings = {
  /** Left out: names (`node_modules`), or paths with wildcards, as GNU tar's `--exclude` takes them. */
  exclude: z.array(z.string().min(1)).default([]),
  /** Put before every program, to run it elsewhere: `["docker", "exec", "-i", "mail"]`. Paths are then paths of that place. */
  command: z.array(z.string().min(1)).default([]),
  /** A capture that reads nothing for so long is given up. */
  stallSeconds: z.number().positive().default(300),
};
