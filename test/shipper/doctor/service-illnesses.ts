/** What can be amiss with database servers, and with the programs and accounts that reach them. */
import { readFileSync, writeFileSync } from "node:fs";
import type { SandboxHost } from "../../../sandbox/host/host.ts";
import { nodeProcesses, type Processes } from "../../../shipper/processes.ts";
import type { Case, Illness, Sickroom } from "./sickroom.ts";

/** One that has servers. */
export interface Ward extends Sickroom {
  readonly host: SandboxHost;
  /** Where the password of an account is that may do as much as a test lets it. */
  readonly passwordFile: string;
}

/** The sections of a configuration that reach the servers as the account of the test. */
export function sections({ mariadb, postgres, redis }: SandboxHost, passwordFile: string): string {
  return `
components:
  mysql:
    socket: ${mariadb.socket}
    user: mailark
    password-file: ${passwordFile}
  postgres:
    socket-directory: ${postgres.socketDirectory}
    port: ${postgres.port}
    user: mailark
    password-file: ${passwordFile}
  redis:
    socket: ${redis.socket}
    user: mailark
    password-file: ${passwordFile}
`;
}

/** Makes the account on each server; it may do all that a backup does. */
export async function grantAll({ mariadb, postgres, redis }: SandboxHost, password: string): Promise<void> {
  await mariadb.sql(`CREATE OR REPLACE USER 'mailark'@'localhost' IDENTIFIED BY '${password}'; ${everything}`);
  await postgres.sql(`CREATE ROLE mailark LOGIN BYPASSRLS PASSWORD '${password}'; GRANT pg_read_all_data TO mailark;`);
  await postgres.sql("CREATE DATABASE app");
  await redis.command(...user, `>${password}`);
}

const user = ["ACL", "SETUSER", "mailark", "on", "+@all", "~*"] as const;

const everything = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, RELOAD ON *.* TO 'mailark'@'localhost'";
const servers = ["mariadb", "postgres", "redis"] as const;
const componentOf = { mariadb: "mysql", postgres: "postgres", redis: "redis" } as const;

/** Programs that scripts look for, not by PATH alone. */
function withoutServers(...names: readonly string[]): Illness {
  const processes: Processes = {
    start([program, ...words], options) {
      const hidden = words.some((word) => names.some((name) => word.includes(`$folder/${name}`)));
      const rest = hidden ? ["-c", ":"] : words.filter((word) => !names.includes(word));
      return nodeProcesses.start([program, ...rest], options);
    },
  };
  return { circumstances: { ports: { processes } }, heal: () => {} };
}

export const serviceIllnesses: readonly Case<Ward>[] = [
  ...servers.map(
    (name): Case<Ward> => ({
      code: "SERVER_UNREACHABLE",
      where: `${name} does not run`,
      look: () => [componentOf[name]],
      async provoke({ host, passwordFile }) {
        await host[name].stop();
        return {
          async heal() {
            await host[name].start();
            // Nothing told it to keep its users.
            if (name === "redis") await host.redis.command(...user, `>${readFileSync(passwordFile, "utf8").trim()}`);
          },
        };
      },
    }),
  ),
  ...servers.map(
    (name): Case<Ward> => ({
      code: "CREDENTIALS_REFUSED",
      where: `the password for ${name} is another`,
      look: () => [componentOf[name]],
      provoke({ passwordFile }) {
        const password = readFileSync(passwordFile);
        writeFileSync(passwordFile, "another\n");
        return { heal: () => writeFileSync(passwordFile, password) };
      },
    }),
  ),
  {
    code: "PRIVILEGE_MISSING",
    where: "an account of MariaDB may not see triggers, which a dump leaves out without a word",
    look: () => ["mysql"],
    provoke: async ({ host }) =>
      void (await host.mariadb.sql("REVOKE TRIGGER, EVENT ON *.* FROM 'mailark'@'localhost'")),
  },
  {
    code: "PRIVILEGE_LACKING",
    where: "an account of MariaDB may not hold commits back",
    look: () => ["mysql"],
    provoke: async ({ host }) => void (await host.mariadb.sql("REVOKE RELOAD ON *.* FROM 'mailark'@'localhost'")),
  },
  {
    code: "PRIVILEGE_LACKING",
    where: "an account of MariaDB may read the named database, and no accounts",
    look: () => ["mysql"],
    async provoke({ host, line }) {
      line.edit((text) => text.replace("    user: mailark\n", "    user: mailark\n    databases: [mailserver]\n"));
      await host.mariadb.sql(`REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'mailark'@'localhost';
        GRANT RELOAD ON *.* TO 'mailark'@'localhost';
        GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON \`mail%\`.* TO 'mailark'@'localhost'`);
    },
  },
  {
    code: "PRIVILEGE_MISSING",
    where: "a role of PostgreSQL may not read all tables",
    look: () => ["postgres"],
    provoke: async ({ host }) => void (await host.postgres.sql("REVOKE pg_read_all_data FROM mailark")),
  },
  {
    code: "PRIVILEGE_LACKING",
    where: "a role of PostgreSQL is held by row security",
    look: () => ["postgres"],
    provoke: async ({ host }) => void (await host.postgres.sql("ALTER ROLE mailark NOBYPASSRLS")),
  },
  {
    code: "PRIVILEGE_MISSING",
    where: "a user of Redis may not copy it",
    look: () => ["redis"],
    provoke: async ({ host }) => void (await host.redis.command("ACL", "SETUSER", "mailark", "-psync", "-sync")),
  },
  {
    code: "PRIVILEGE_LACKING",
    where: "a user of Redis may not list users",
    look: () => ["redis"],
    provoke: async ({ host }) => void (await host.redis.command("ACL", "SETUSER", "mailark", "-acl|list")),
  },
  {
    code: "TOOL_OLD",
    where: "mariadb-dump is older than the server",
    look: () => ["mysql"],
    provoke: ({ fake }) => ({
      heal: fake("mariadb-dump", "echo 'mariadb-dump  Ver 10.19 Distrib 10.5.29-MariaDB, for debian-linux-gnu'"),
    }),
  },
  {
    code: "TOOL_UNFIT",
    where: "pg_dump is older than the server",
    look: () => ["postgres"],
    provoke({ fake, host }) {
      // The programs behind Debian's wrapper are found without it.
      const programs = [
        fake("psql", `exec '${host.postgres.programs}/psql' "$@"`),
        fake("pg_dump", "echo 'pg_dump (PostgreSQL) 13.22'"),
      ];
      return {
        heal() {
          for (const away of programs) away();
        },
      };
    },
  },
  {
    code: "TOOL_MISSING",
    where: "there are no client programs of MariaDB",
    look: () => ["mysql"],
    provoke: ({ hide }) => ({ heal: hide("mariadb-dump", "mysqldump") }),
  },
  {
    code: "TOOL_MISSING",
    where: "there is no psql",
    look: () => ["postgres"],
    provoke: ({ hide }) => ({ heal: hide("psql") }),
  },
  {
    code: "TOOL_MISSING",
    where: "there is no redis-cli",
    look: () => ["redis"],
    provoke: ({ hide }) => ({ heal: hide("redis-cli") }),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "there is no MariaDB server to load a backup into",
    look: () => ["mysql"],
    provoke: () => withoutServers("mariadbd", "mysqld"),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "there is no PostgreSQL server to load a backup into",
    look: () => ["postgres"],
    provoke: () => withoutServers("postgres"),
  },
  {
    code: "RESTORE_TOOL_MISSING",
    where: "there is no Redis server to load a backup into",
    look: () => ["redis"],
    provoke: () => withoutServers("redis-server", "valkey-server"),
  },
  {
    code: "CAPTURE_IMPOSSIBLE",
    where: "a database that is named is not on the server",
    look: () => ["postgres"],
    provoke({ line }) {
      line.edit((text) => text.replace("  postgres:\n", "  postgres:\n    databases: [gone]\n"));
      return { heal: () => line.edit((text) => text.replace("    databases: [gone]\n", "")) };
    },
  },
];
