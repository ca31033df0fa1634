/** Which PostgreSQL server a host has, and who is let in. */
import { asMailarkError } from "../../core/errors.ts";
import type { World } from "../components/component.ts";
import { postgresComponent } from "../components/postgres/component.ts";
import { type PostgresConfig, postgresConfigSchema } from "../components/postgres/config.ts";
import { withConnection } from "../components/postgres/connection.ts";
import { withSession } from "../components/postgres/session.ts";
import type { Found } from "./found.ts";
import { entriesOf } from "./look.ts";

const socketDirectories = ["/var/run/postgresql", "/run/postgresql", "/tmp"];
const usualPort = 5432;
/** Debian's server takes over its socket only who it knows by the name of the system's user (`peer` in pg_hba.conf). */
const asItsOwnUser = ["runuser", "-u", "postgres", "--"];

/** The server whose socket is in a usual place, and the way in that was tried; `undefined`: no socket. */
export async function findPostgres(world: World): Promise<Found | undefined> {
  const directory = socketDirectories.find((path) => portsIn(world, path).length > 0);
  if (directory === undefined) return undefined;
  const [port = usualPort, ...others] = portsIn(world, directory);
  const more = others.length === 0 ? "" : ` (and on port ${others.join(", ")}: a component is of one server)`;
  const from = `${directory}, port ${port}${more}`;
  const place = { "socket-directory": directory, ...(port !== usualPort && { port }) };
  const ways = process.getuid?.() === 0 ? [asItsOwnUser, []] : [[]];
  for (const command of ways) {
    const server = postgresConfigSchema.parse({ socketDirectory: directory, port, command });
    if (await letsIn(server, world)) {
      const section = { ...place, ...(command.length > 0 && { command }), databases: "all" };
      return { section, from, lacks: await obstacle(server, world) };
    }
  }
  return {
    section: { ...place, user: "postgres", "password-file": "/etc/mailark/postgres.password", databases: "all" },
    from,
    lacks:
      "it lets nobody in without a password, or psql is not installed. Put the password alone into the file, and chmod 600",
  };
}

/** Ports of the sockets in a directory, the usual one first. */
function portsIn({ files }: World, directory: string): number[] {
  return entriesOf(files, directory)
    .filter((entry) => entry.isSocket())
    .flatMap(({ name }) => /^\.s\.PGSQL\.(\d{1,5})$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => Number(b === usualPort) - Number(a === usualPort) || a - b);
}

async function letsIn(server: PostgresConfig, world: World): Promise<boolean> {
  try {
    const rows = await withConnection(server, world, (connection) =>
      withSession(connection, world, (session) => session.query("SELECT true AS here")),
    );
    return rows.length === 1;
  } catch {
    world.signal.throwIfAborted();
    return false;
  }
}

/** Why a backup would fail, in words that name nobody; `undefined`: it would not. */
async function obstacle(server: PostgresConfig, world: World): Promise<string | undefined> {
  try {
    await postgresComponent(server).estimate(world);
    return undefined;
  } catch (error) {
    world.signal.throwIfAborted();
    return asMailarkError(error).message;
  }
}
