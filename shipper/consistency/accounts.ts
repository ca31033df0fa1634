import { MailarkError } from "../../core/errors.ts";
import type { World } from "../components/component.ts";
import type { MysqlConfig } from "../components/mysql/config.ts";
import { withConnection } from "../components/mysql/connection.ts";
import { askServer } from "../components/mysql/server.ts";
import { withSession } from "../components/mysql/session.ts";
import { quoteName } from "../components/mysql/sql-text.ts";
import type { PostgresConfig } from "../components/postgres/config.ts";
import * as postgres from "../components/postgres/connection.ts";
import * as psql from "../components/postgres/session.ts";
import type { AccountsConfig } from "./config.ts";
import type { Accounts } from "./report.ts";

/** Configurations of the components that may have accounts. */
export interface AccountServers {
  readonly mysql?: MysqlConfig | undefined;
  readonly postgres?: PostgresConfig | undefined;
}

/**
 * Asks for the accounts in one read-only transaction, so that the answers are of one moment.
 *
 * @param limit milliseconds after which the server ends a query, or one that waits for a lock.
 * @throws MailarkError what the way to the server throws; `CONFIG_INVALID` when the component is not configured.
 */
export function askAccounts(
  config: AccountsConfig,
  servers: AccountServers,
  world: World,
  limit: number,
): Promise<Accounts> {
  if (config.component === "mysql" && servers.mysql) return askMysql(config, servers.mysql, world, limit);
  if (config.component === "postgres" && servers.postgres) return askPostgres(config, servers.postgres, world, limit);
  throw new MailarkError("CONFIG_INVALID", `accounts are asked of ${config.component}, which is not configured`);
}

async function askMysql(config: AccountsConfig, mysql: MysqlConfig, world: World, limit: number): Promise<Accounts> {
  return withConnection(mysql, world, async (connection) => {
    return withSession(connection, world, async (session) => {
      const { flavour } = await askServer(session);
      const longest = flavour === "mariadb" ? `max_statement_time=${limit / 1000}` : `max_execution_time=${limit}`;
      await session.query(`SET SESSION lock_wait_timeout=${Math.ceil(limit / 1000)}, ${longest}`);
      await session.query(`USE ${quoteName(config.database)}`);
      await session.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
      return answers(config, (sql) => session.query(sql));
    });
  });
}

async function askPostgres(
  config: AccountsConfig,
  server: PostgresConfig,
  world: World,
  limit: number,
): Promise<Accounts> {
  const limits = `SET LOCAL statement_timeout = ${limit}; SET LOCAL lock_timeout = ${limit}`;
  return postgres.withConnection(server, world, async (connection) => {
    return psql.withSession(
      connection,
      world,
      async (session) => {
        await session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        // Names are looked up as the mail server's account has them looked up.
        await session.run(`${limits}; SET LOCAL search_path TO DEFAULT`);
        return answers(config, async (sql) => (await session.query(sql)).map((row) => Object.values(row).map(String)));
      },
      config.database,
    );
  });
}

/** In a WITH the text of the configuration can be nothing but a query, of as many columns as are named. */
async function answers(
  { mailboxes, domains, aliases }: AccountsConfig,
  query: (sql: string) => Promise<readonly (readonly string[])[]>,
): Promise<Accounts> {
  const column = async (sql: string) => {
    const rows = await query(`WITH asked (name) AS (\n${sql}\n) SELECT name FROM asked WHERE name IS NOT NULL`);
    return rows.map(([name = ""]) => name);
  };
  const pairs = async (sql: string) => {
    const wanted = "SELECT source, destination FROM asked WHERE source IS NOT NULL AND destination IS NOT NULL";
    const rows = await query(`WITH asked (source, destination) AS (\n${sql}\n) ${wanted}`);
    return rows.map(([source = "", destination = ""]) => [source, destination] as const);
  };
  return {
    mailboxes: await column(mailboxes),
    domains: domains === undefined ? undefined : await column(domains),
    aliases: aliases === undefined ? undefined : await pairs(aliases),
  };
}
