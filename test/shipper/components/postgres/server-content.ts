import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accountFor } from "../../../../sandbox/host/account.ts";
import type { SandboxHost } from "../../../../sandbox/host/host.ts";
import { makeFolder } from "../../../../sandbox/host/place.ts";
import { type PostgresConfig, postgresConfigSchema } from "../../../../shipper/components/postgres/config.ts";
import type { Connection } from "../../../../shipper/components/postgres/connection.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";

/** The configuration that reaches a sandbox host's server. */
export function configOf({ postgres }: SandboxHost, more: Partial<PostgresConfig> = {}): PostgresConfig {
  const { socketDirectory, user, passwordFile } = postgres;
  return postgresConfigSchema.parse({ socketDirectory, user, passfile: passwordFile, ...more });
}

/** The name of the database that is full of traps. */
export const trapped = `Trap – 'one' "✓" \\ %x`;

/** Fills a server with all that is hard to bring back. */
export async function layTraps({ postgres }: SandboxHost): Promise<void> {
  const space = makeFolder(join(postgres.socketDirectory, "space"), accountFor("postgres"));
  await postgres.sql(`CREATE TABLESPACE "fast; 'disk'" LOCATION '${space}'`);
  const text = readFileSync(new URL("traps.sql", import.meta.url), "utf8");
  for (const section of `-- section postgres\n${text}`.split(/^-- section /m).slice(1)) {
    const end = section.indexOf("\n");
    await postgres.sql(section.slice(end), section.slice(0, end));
  }
}

/** What psql prints for SQL on a server: one line a row. */
export async function ask(connection: Connection, database: string, sql: string): Promise<string> {
  const command = connection.command("psql", [
    "-X",
    "-q",
    "-A",
    "-t",
    "-w",
    "--set=ON_ERROR_STOP=1",
    connection.to(database),
  ]);
  return (await outputOf(nodeProcesses, command, { input: sql })).toString();
}

/** A database as its own dump program writes it, without what differs from dump to dump. */
export async function dumpOf(connection: Connection, database: string): Promise<string> {
  const command = connection.command("pg_dump", ["--create", "--no-password", connection.to(database)]);
  return withoutTokens((await outputOf(nodeProcesses, command)).toString("latin1"));
}

/** Roles, memberships and tablespaces of a server, without where these are. */
export async function globalsOf(connection: Connection): Promise<string> {
  const command = connection.command("pg_dumpall", ["--globals-only", "--no-password", connection.to("postgres")]);
  const sql = withoutTokens((await outputOf(nodeProcesses, command)).toString("latin1"));
  return sql.replace(/ LOCATION '.*'/g, "");
}

const withoutTokens = (sql: string) => sql.replace(/^\\(un)?restrict .*$/gm, "");

/** A path for a scratch server: every user may pass through its parent. */
export function scratchPath(): { path: string; remove(): void } {
  const parent = mkdtempSync(join(tmpdir(), "mailark-scratch-"));
  // mkdtemp makes it for its owner only, and the server is another user.
  chmodSync(parent, 0o711);
  return { path: join(parent, "place"), remove: () => rmSync(parent, { recursive: true, force: true }) };
}

/** Whether a command line has a program in it, wherever that is. */
export const starts = (command: readonly string[], program: string): boolean =>
  command.some((word) => word === program || word.endsWith(`/${program}`));

/** The machine's processes, but for a dump program, which runs through a bash script with the real command as its arguments. */
export function dumpThrough(script: string, program: "pg_dump" | "pg_dumpall" = "pg_dump"): Processes {
  return {
    start(command, options) {
      if (!starts(command, program) || command.includes("--version")) return nodeProcesses.start(command, options);
      return nodeProcesses.start(["bash", "-c", script, "dump", ...command], options);
    },
  };
}
