import type { World } from "../components/component.ts";
import { type MysqlConfig, mysqlConfigSchema } from "../components/mysql/config.ts";
import { withConnection } from "../components/mysql/connection.ts";
import { withSession } from "../components/mysql/session.ts";
import { quoteTexts } from "../components/mysql/sql-text.ts";
import type { AccountsConfig } from "./config.ts";

/** Tables by which a mail system is known: those of the usual guides to Postfix with Dovecot, and those of PostfixAdmin. */
const systems = [
  {
    needed: ["virtual_users.email"],
    mailboxes: "SELECT email FROM virtual_users",
    domains: { from: ["virtual_domains.name"], sql: "SELECT name FROM virtual_domains" },
    aliases: [
      {
        from: ["virtual_aliases.source", "virtual_aliases.destination"],
        sql: "SELECT source, destination FROM virtual_aliases",
      },
    ],
  },
  {
    needed: ["mailbox.username", "mailbox.maildir"],
    mailboxes: "SELECT username FROM mailbox",
    domains: { from: ["domain.domain"], sql: "SELECT domain FROM domain WHERE domain <> 'ALL'" },
    aliases: [
      { from: ["alias.address", "alias.goto"], sql: "SELECT address, goto FROM alias" },
      {
        from: ["alias_domain.alias_domain", "alias_domain.target_domain"],
        sql: "SELECT CONCAT('@', alias_domain), CONCAT('@', target_domain) FROM alias_domain",
      },
    ],
  },
] as const;

const tables = ["virtual_users", "virtual_domains", "virtual_aliases", "mailbox", "domain", "alias", "alias_domain"];

/**
 * Where the accounts of a MariaDB or MySQL server are, for a person to check. `undefined`: no table looks like it, tables of several
 * databases do, or the server can not be asked.
 */
export async function proposeAccounts(server: Partial<MysqlConfig>, world: World): Promise<AccountsConfig | undefined> {
  try {
    return await withConnection(mysqlConfigSchema.parse(server), world, async (connection) =>
      proposalOf(await withSession(connection, world, ({ query }) => query(columnsOf(tables)))),
    );
  } catch {
    world.signal.throwIfAborted();
    return undefined;
  }
}

const columnsOf = (names: readonly string[]) =>
  `SELECT table_schema, CONCAT(table_name, '.', column_name) FROM information_schema.columns
   WHERE table_name IN (${quoteTexts(names)}) ORDER BY BINARY table_schema`;

/** @param rows database, and `table.column`. */
export function proposalOf(rows: readonly (readonly string[])[]): AccountsConfig | undefined {
  const proposals = [...Map.groupBy(rows, ([database = ""]) => database)].flatMap(([database, found]) => {
    const present = new Set(found.map(([, column = ""]) => column));
    const has = (columns: readonly string[]) => columns.every((column) => present.has(column));
    const system = systems.find(({ needed }) => has(needed));
    if (system === undefined) return [];
    const aliases = system.aliases.filter(({ from }) => has(from)).map(({ sql }) => sql);
    const proposal: AccountsConfig = {
      component: "mysql",
      database,
      mailboxes: system.mailboxes,
      ...(has(system.domains.from) && { domains: system.domains.sql }),
      ...(aliases.length > 0 && { aliases: aliases.join(" UNION ALL ") }),
    };
    return [proposal];
  });
  return proposals.length === 1 ? proposals[0] : undefined;
}
