import { looked } from "../../doctor/looking.ts";
import { commandOf, fine, found, type Observation, unproven } from "../../doctor/observation.ts";
import { lookForTools } from "../../doctor/tools.ts";
import type { World } from "../component.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, majorOf, withConnection } from "./connection.ts";
import { findServer } from "./scratch-server.ts";
import { askServer } from "./server.ts";
import { type Session, withSession } from "./session.ts";
import { quoteName } from "./sql-text.ts";

/** The programs and their releases, and what the role may read. */
export async function diagnosePostgres(config: PostgresConfig, world: World): Promise<readonly Observation[]> {
  return [
    ...(await lookForTools(
      [
        { names: ["psql", "pg_dump", "pg_dumpall"], package: "postgresql-client", for: "capture" },
        { names: ["pg_restore"], package: "postgresql-client", for: "restore" },
      ],
      config.command,
      world,
    )),
    ...(await looked("rights", world, (world) =>
      withConnection(config, world, (each) => lookAtServer(each, config, world)),
    )),
  ];
}

async function lookAtServer(connection: Connection, config: PostgresConfig, world: World): Promise<Observation[]> {
  return withSession(connection, world, async (session) => {
    const { version } = await askServer(session);
    return [
      ...(await looked("release", world, () => lookAtRelease(connection, version))),
      ...(await looked("scratch server", world, (world) => lookForServer(version, config, world))),
      ...(await looked("rights", world, () => lookAtRights(session, config, version))),
    ];
  });
}

/** pg_dump refuses a server that is newer than itself. */
async function lookAtRelease(connection: Connection, server: string): Promise<Observation[]> {
  const { version } = await connection.find("pg_dump");
  const detail = `pg_dump ${version}, and the server is ${server}`;
  if (majorOf(version) >= majorOf(server)) return [fine("release", detail)];
  return [
    found("TOOL_UNFIT", "release", `${detail}: it refuses`, {
      advice: `install postgresql-client-${majorOf(server)} or a newer one`,
    }),
  ];
}

async function lookForServer(version: string, { command }: PostgresConfig, world: World): Promise<Observation[]> {
  const programs = await findServer(version, command, world);
  if (programs !== undefined) return [fine("scratch server", `${programs.folder}, ${programs.version}`)];
  const detail = `there is no initdb and postgres of release ${majorOf(version)} or newer: a restore or a drill is not proven`;
  return [
    found("RESTORE_TOOL_MISSING", "scratch server", detail, {
      advice: `install postgresql-${majorOf(version)}; it needs not run`,
    }),
  ];
}

/** Whoever may read all data may read the passwords of roles as well. */
async function lookAtRights(session: Session, config: PostgresConfig, version: string): Promise<Observation[]> {
  const hasRole = majorOf(version) >= 14;
  const [row] = await session.query<{ role: string; superuser: boolean; bypass: boolean; all: boolean }>(
    `SELECT rolname::text AS role, rolsuper AS superuser, rolbypassrls AS bypass,
       ${hasRole ? "pg_has_role(rolname, 'pg_read_all_data', 'USAGE')" : "false"} AS "all"
     FROM pg_catalog.pg_roles WHERE rolname = current_user`,
  );
  if (row === undefined) return [unproven("rights", "the server does not know the role of this session")];
  const { role, superuser, bypass, all } = row;
  if (superuser) return [fine("rights", `${role} is a superuser`)];
  const name = quoteName(role);
  const grant = hasRole ? `GRANT pg_read_all_data TO ${name}` : `ALTER ROLE ${name} SUPERUSER`;
  const command = (statement: string) => {
    const { command, socketDirectory, host = socketDirectory, port, maintenanceDatabase } = config;
    return commandOf(
      ...[...command, "psql", `--dbname=${maintenanceDatabase}`, `--command=${statement}`],
      ...(host === undefined ? [] : [`--host=${host}`]),
      ...(port === undefined ? [] : [`--port=${port}`]),
    );
  };
  return [
    all
      ? fine("rights", `${role} may read all tables`)
      : found("PRIVILEGE_MISSING", "rights", `${role} may not read all tables: a dump fails`, command(grant)),
    bypass
      ? fine("row security", `${role} passes it`)
      : found(
          "PRIVILEGE_LACKING",
          "row security",
          `${role} is held by row security: where a table has it, its dump fails`,
          command(`ALTER ROLE ${name} BYPASSRLS`),
        ),
  ];
}
