/** By which names systemd knows the services of a host (systemd.unit(5)). */
import type { ComponentName } from "../../core/keys.ts";
import type { Files } from "../../core/ports/files.ts";
import { isDirectory, isLink, lookAt } from "./look.ts";

/** Names for `services` of the configuration. */
export interface FoundServices {
  readonly databases: readonly string[];
  readonly mail: readonly string[];
}

/** Where unit files are; what stands in an earlier one counts. */
const unitDirectories = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];
const databaseUnits = [
  { component: "mysql", names: ["mariadb", "mysql", "mysqld"] },
  { component: "postgres", names: ["postgresql"] },
  { component: "redis", names: ["redis-server", "redis", "valkey-server", "valkey"] },
] as const;
/** In the order in which they are started. */
const mailUnits = ["opendkim", "rspamd", "dovecot", "postfix"];

/**
 * Units that are there and not masked; of databases only those that a component is for.
 * `undefined`: systemd does not run here, or knows none of them.
 */
export function findServices(files: Files, components: readonly ComponentName[]): FoundServices | undefined {
  // sd_booted(3)
  if (!isDirectory(files, "/run/systemd/system")) return undefined;
  const isThere = (name: string) => {
    const paths = unitDirectories.map((directory) => `${directory}/${name}.service`);
    const first = paths.find((path) => isLink(files, path) || lookAt(files, path) !== undefined);
    // A masked unit is a link to /dev/null.
    return first !== undefined && lookAt(files, first)?.isFile() === true;
  };
  const databases = databaseUnits
    .filter(({ component }) => components.includes(component))
    .flatMap(({ names }) => names.find(isThere) ?? []);
  const mail = mailUnits.filter(isThere);
  return databases.length + mail.length === 0 ? undefined : { databases, mail };
}
