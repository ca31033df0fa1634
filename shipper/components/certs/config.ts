import { z } from "zod";
import { treePath, treeSettings } from "../tree/config.ts";

/** Certificates and their keys, as certbot keeps them. */
export const certsConfig = z.strictObject({
  paths: z.array(treePath).min(1).default(["/etc/letsencrypt"]),
  ...treeSettings,
});

export type CertsConfig = z.infer<typeof certsConfig>;
