import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxHost } from "../../../../sandbox/host/host.ts";
import type { World } from "../../../../shipper/components/component.ts";
import { captureAccounts } from "../../../../shipper/components/mysql/accounts.ts";
import { type MysqlConfig, mysqlConfigSchema } from "../../../../shipper/components/mysql/config.ts";
import { type Connection, openConnection } from "../../../../shipper/components/mysql/connection.ts";
import { askServer, listDatabases } from "../../../../shipper/components/mysql/server.ts";
import { withSession } from "../../../../shipper/components/mysql/session.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";

/** The configuration that reaches a sandbox host's server. */
export function configOf(host: SandboxHost, more: Partial<MysqlConfig> = {}): MysqlConfig {
  return mysqlConfigSchema.parse({ defaultsFile: host.mariadb.defaultsFile, ...more });
}

/** Everything that a server holds, as text, in an order that does not depend on how it came there. */
export async function contentOf(connection: Connection, world: World, only?: readonly string[]): Promise<string> {
  const databases = only ?? (await withSession(connection, world, listDatabases));
  const args = ["--skip-comments", "--order-by-primary", "--routines", "--events", "--triggers", "--hex-blob"];
  const command = connection.command("mariadb-dump", [
    ...args,
    "--dump-history",
    "--max-allowed-packet=1G",
    "--default-character-set=utf8mb4",
    "--databases",
    "--",
    ...databases,
  ]);
  return (await outputOf(world.processes, command, { env: connection.env })).toString("latin1");
}

/** Accounts, roles and grants of a server, as text. */
export async function accountsOf(connection: Connection, world: World): Promise<string> {
  return withSession(connection, world, async (session) => {
    const captured = await captureAccounts(session, await askServer(session), await listDatabases(session));
    return captured.sql.split("\n\n").toSorted().join("\n");
  });
}

/** The source's own connection, for the functions above. */
export function sourceOf(host: SandboxHost, world: World): Promise<Connection> {
  return openConnection(configOf(host), world);
}

/** A path for a scratch server: every user may pass through its parent. */
export function scratchPath(): { path: string; remove(): void } {
  const parent = mkdtempSync(join(tmpdir(), "mailark-scratch-"));
  // mkdtemp makes it for its owner only, and the server is another user.
  chmodSync(parent, 0o711);
  return { path: join(parent, "place"), remove: () => rmSync(parent, { recursive: true, force: true }) };
}

/**
 * The machine's processes, but for a dump program: the main dump, or that of the programs, runs through a bash script, with the
 * real command as its arguments.
 */
export function dumpThrough(script: string, which: "tables" | "programs" = "tables"): Processes {
  return {
    start(command, options) {
      const dump = command[0] === "mariadb-dump" && !command.includes("--version");
      const tables = command.includes("--databases");
      if (!dump || tables !== (which === "tables")) return nodeProcesses.start(command, options);
      return nodeProcesses.start(["bash", "-c", script, "dump", ...command], options);
    },
  };
}
