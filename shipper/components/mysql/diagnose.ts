import { looked } from "../../doctor/looking.ts";
import { commandOf, fine, found, type Observation, unproven } from "../../doctor/observation.ts";
import { lookForTools } from "../../doctor/tools.ts";
import type { World } from "../component.ts";
import type { MysqlConfig } from "./config.ts";
import { type Connection, withConnection } from "./connection.ts";
import { dumpPrograms } from "./dump-arguments.ts";
import { grantsOf, missingRights } from "./rights.ts";
import { askServer, atLeast, listDatabases, type Server, wantedDatabases } from "./server.ts";
import { type Session, withSession } from "./session.ts";
import { quoteName } from "./sql-text.ts";

/** The programs, and whether the account may read everything: a dump leaves triggers and events out without a word where it may not. */
export async function diagnoseMysql(config: MysqlConfig, world: World): Promise<readonly Observation[]> {
  const also = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin"];
  const package_ = "mariadb-server, or mysql-server";
  return [
    ...(await lookForTools(
      [
        { names: ["mariadb", "mysql"], any: true, package: "mariadb-client, or mysql-client", for: "capture" },
        { names: ["mariadb-dump", "mysqldump"], any: true, package: "mariadb-client, or mysql-client", for: "capture" },
        { names: ["mariadbd", "mysqld"], any: true, package: package_, for: "restore", also, orHere: true },
      ],
      config.command,
      world,
    )),
    ...(await looked("rights", world, (world) =>
      withConnection(config, world, (each) => lookAtServer(each, config, world)),
    )),
  ];
}

async function lookAtServer(connection: Connection, config: MysqlConfig, world: World): Promise<Observation[]> {
  return withSession(connection, world, async (session) => {
    const server = await askServer(session);
    return [
      ...(await looked("release", world, () => lookAtRelease(connection, server))),
      ...(await looked("rights", world, () => lookAtRights(session, connection, server, config))),
    ];
  });
}

async function lookAtRelease(connection: Connection, server: Server): Promise<Observation[]> {
  const { name, flavour, version } = await connection.find(dumpPrograms(server));
  const [major = 0, minor = 0] = server.version.split(".").map((each) => Number.parseInt(each, 10));
  const detail = `${name} ${version}, and the server is ${server.version}`;
  if (flavour !== server.flavour) return [unproven("release", `${detail}: of another kind`)];
  if (atLeast(version, major, minor)) return [fine("release", detail)];
  return [
    found("TOOL_OLD", "release", `${detail}: it may not know all that the server has`, {
      advice: "install client programs of the server's release or a newer one",
    }),
  ];
}

async function lookAtRights(
  session: Session,
  connection: Connection,
  server: Server,
  config: MysqlConfig,
): Promise<Observation[]> {
  const databases =
    config.databases === "all" ? "all" : wantedDatabases(await listDatabases(session), config.databases);
  const [[account = ""] = []] = await session.query("SELECT CURRENT_USER()");
  const missing = missingRights(grantsOf(await session.query("SHOW GRANTS")), databases, server.flavour);
  const at = account.lastIndexOf("@");
  const grantee = `${quoteName(account.slice(0, at))}@${quoteName(account.slice(at + 1))}`;
  const { socket, host, port, command } = config;
  const granting = (statements: readonly string[]) =>
    commandOf(
      ...command,
      connection.client.name,
      ...(socket === undefined ? [] : [`--socket=${socket}`]),
      ...(host === undefined ? [] : [`--host=${host}`]),
      ...(port === undefined ? [] : [`--port=${port}`]),
      `--execute=${statements.map((each) => `GRANT ${each} TO ${grantee}`).join("; ")}`,
    );
  const { needed, useful } = missing;
  const without = needed.length > 0 ? "a dump fails, or leaves them out without a word" : "";
  return [
    ...(needed.length > 0
      ? [found("PRIVILEGE_MISSING", "rights", `${account} lacks ${needed.join(", ")}: ${without}`, granting(needed))]
      : [fine("rights", `${account} may read all that is captured`)]),
    ...(useful.length > 0
      ? [
          found(
            "PRIVILEGE_LACKING",
            "rights",
            `${account} lacks ${useful.join(", ")}: the facts of a backup are not of the very view that is dumped, or accounts are left out`,
            granting(useful),
          ),
        ]
      : []),
  ];
}
