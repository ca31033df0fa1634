/**
 * What there is to capture on a host, found by looking: for `init`, which writes it down for a person to check.
 */
import type { ComponentName } from "../../core/keys.ts";
import type { World } from "../components/component.ts";
import { usualConfigs } from "../components/configs/config.ts";
import { outputOf } from "../processes.ts";
import { findMail } from "./find-mail.ts";
import { findPostgres } from "./find-postgres.ts";
import { findRedis } from "./find-redis.ts";
import { type FoundServices, findServices } from "./find-services.ts";
import type { Found } from "./found.ts";
import { isDirectory, isLink, isSocket, lookAt } from "./look.ts";

/** What a survey found. */
export interface Survey {
  readonly components: ReadonlyMap<ComponentName, Found>;
  readonly services: FoundServices | undefined;
}

/** What the operator says: it is not looked for. Absolute paths. */
export interface Told {
  readonly mailRoot?: string | undefined;
  readonly mysqlSocket?: string | undefined;
  readonly mysqlDefaultsFile?: string | undefined;
}

/**
 * Looks at the host for the named components, in the order of capture. What can not be looked at counts as not there. Of servers only those are
 * asked whose sockets are in the usual places, without any password.
 */
export async function survey(names: readonly ComponentName[], told: Told, world: World): Promise<Survey> {
  const components = new Map<ComponentName, Found>();
  for (const name of names) {
    world.signal.throwIfAborted();
    const found = await searches[name](world, told);
    if (found !== undefined) components.set(name, found);
  }
  return { components, services: findServices(world.files, [...components.keys()]) };
}

type Search = (world: World, told: Told) => Found | undefined | Promise<Found | undefined>;

const searches: Record<ComponentName, Search> = {
  mysql: findMysql,
  postgres: findPostgres,
  redis: findRedis,
  queue: findQueue,
  mail: mailSection,
  configs: ({ files }) => findFiles(files, usualConfigs),
  certs: ({ files }) => findFiles(files, ["/etc/letsencrypt"]),
};

const mysqlSockets = [
  "/run/mysqld/mysqld.sock",
  "/var/run/mysqld/mysqld.sock",
  "/var/lib/mysql/mysql.sock",
  "/run/mysql/mysql.sock",
  "/tmp/mysql.sock",
];

function findMysql({ files }: World, { mysqlSocket, mysqlDefaultsFile }: Told): Found | undefined {
  // An option file names its server; a socket that was found beside it may be another's.
  const socket =
    mysqlSocket ?? (mysqlDefaultsFile === undefined ? mysqlSockets.find((path) => isSocket(files, path)) : undefined);
  const from = socket ?? mysqlDefaultsFile;
  if (from === undefined) return undefined;
  const section = {
    ...(socket !== undefined && { socket }),
    ...(mysqlDefaultsFile !== undefined && { "defaults-file": mysqlDefaultsFile }),
    databases: "all",
  };
  return { section, from };
}

/** Postfix's queue, where Postfix says. */
async function findQueue({ files, processes, signal }: World): Promise<Found | undefined> {
  try {
    const said = await outputOf(processes, ["postconf", "-h", "queue_directory"], { signal });
    const directory = said.toString("latin1").trim();
    return directory.startsWith("/") && isDirectory(files, directory)
      ? { section: {}, from: Buffer.from(directory, "latin1").toString("utf8") }
      : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

async function mailSection(world: World, { mailRoot }: Told): Promise<Found | undefined> {
  const mail = await findMail({ ...world, mailRoot });
  if (mail === undefined) return undefined;
  const { root, layout, from } = mail;
  const how = layout === undefined ? "no mailbox was there to tell the layout: check it" : `mailboxes as ${layout}`;
  return { section: { root, layout: layout ?? "{domain}/{user}" }, from: `${root} (${from}), ${how}` };
}

function findFiles(files: World["files"], usual: readonly string[]): Found | undefined {
  const paths = usual.filter((path) => lookAt(files, path) !== undefined);
  if (paths.length === 0) return undefined;
  const links = paths.filter((path) => isLink(files, path));
  const advice = links.length === 0 ? "" : `; ${links.join(", ")}: a link, add the path that it leads to`;
  // What npm installs is no configuration, and larger than all of it.
  const exclude = paths.some((path) => path.startsWith("/opt/")) ? { exclude: ["node_modules"] } : {};
  return { section: { paths, ...exclude }, from: `${paths.join(", ")}${advice}` };
}
