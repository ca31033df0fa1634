import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import type { SandboxHost, ServiceName } from "./host.ts";
import { writeFileFor } from "./place.ts";

/**
 * Names in a configuration that `init` has written what this host has: `init` looks in the usual places of a machine, and the sandbox's are others.
 * `path` is the configuration file.
 *
 * @returns the components that are named now.
 */
export function nameServices(host: SandboxHost, path: string): readonly string[] {
  const text = readFileSync(path, "utf8");
  const head = text.slice(0, text.indexOf("\ncomponents:") + 1);
  const { components, services } = sectionsOf(host, dirname(path));
  writeFileSync(path, head + stringify({ components, services }), { mode: 0o600 });
  return Object.keys(components);
}

/**
 * The sections of mailark's configuration that name what this host has, and how its services are stopped and started: what an operator would
 * write for a machine of his own, with the sandbox's places. `mailark` is the directory of the configuration itself.
 */
function sectionsOf(host: SandboxHost, mailark: string) {
  const has = (name: ServiceName) => host.services.includes(name);
  const only = (names: readonly ServiceName[]) => names.filter(has);
  const components = {
    ...(has("mariadb") && { mysql: { "defaults-file": host.mariadb.defaultsFile } }),
    ...(has("postgres") && {
      postgres: {
        "socket-directory": host.postgres.socketDirectory,
        user: host.postgres.user,
        passfile: host.postgres.passwordFile,
      },
    }),
    ...(has("redis") && {
      redis: {
        socket: host.redis.socket,
        "password-file": writeFileFor(join(host.directory, "redis-password"), `${host.redis.password}\n`),
      },
    }),
    ...(has("postfix") && {
      queue: { "config-directory": host.postfix.configDirectory, directory: host.postfix.queueDirectory },
    }),
    mail: { root: host.vmail, layout: "{domain}/{user}" },
    configs: {
      paths: [
        ...(has("postfix") ? [host.postfix.configDirectory] : []),
        ...(has("dovecot") ? [host.dovecot.configDirectory] : []),
        ...(has("opendkim") ? [host.opendkim.configDirectory] : []),
        host.apiDirectory,
        mailark,
      ],
    },
    certs: { paths: [host.letsencrypt] },
  };
  const services = {
    control: [...host.control],
    databases: only(["mariadb", "postgres", "redis"]),
    mail: only(["opendkim", "dovecot", "postfix"]),
  };
  return { components, services };
}
