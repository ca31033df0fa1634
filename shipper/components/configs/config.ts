import { z } from "zod";
import { treePath, treeSettings } from "../tree/config.ts";

/** Configuration files of a host: any named list of paths. */
export const configsConfig = z.strictObject({ paths: z.array(treePath).min(1), ...treeSettings });

export type ConfigsConfig = z.infer<typeof configsConfig>;

/** What a mail host may have; `init` names those that are there. */
export const usualConfigs = [
  "/etc/postfix",
  "/etc/dovecot",
  "/etc/opendkim",
  "/etc/opendkim.conf",
  "/etc/dkimkeys",
  "/etc/default/opendkim",
  "/etc/rspamd",
  "/etc/mysql",
  "/etc/redis",
  "/etc/postgresql",
  "/etc/aliases",
  "/etc/mailname",
  "/opt/mailserver-api",
] as const;
