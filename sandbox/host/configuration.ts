import { join } from "node:path";
import { stringify } from "yaml";
import type { SandboxHost } from "./host.ts";
import { writeFileFor } from "./place.ts";

/**
 * The sections of mailark's configuration that name what this host has, and how its services are stopped and started: what an operator would
 * write for a machine of his own, with the sandbox's places. `mailark` is the directory of the configuration itself.
 */
export function configurationOf(host: SandboxHost, mailark: string): string {
  const redisPassword = writeFileFor(join(host.directory, "redis-password"), `${host.redis.password}\n`);
  return stringify({
    components: {
      mysql: { "defaults-file": host.mariadb.defaultsFile },
      postgres: {
        "socket-directory": host.postgres.socketDirectory,
        user: host.postgres.user,
        passfile: host.postgres.passwordFile,
      },
      redis: { socket: host.redis.socket, "password-file": redisPassword },
      queue: { "config-directory": host.postfix.configDirectory, directory: host.postfix.queueDirectory },
      mail: { root: host.vmail, layout: "{domain}/{user}" },
      configs: {
        paths: [
          host.postfix.configDirectory,
          host.dovecot.configDirectory,
          host.opendkim.configDirectory,
          host.apiDirectory,
          mailark,
        ],
      },
      certs: { paths: [host.letsencrypt] },
    },
    services: {
      control: [...host.control],
      databases: ["mariadb", "postgres", "redis"],
      mail: ["opendkim", "dovecot", "postfix"],
    },
  });
}
