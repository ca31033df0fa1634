/**
 * Accounts, roles and grants as SQL that can be loaded again and again, and that leaves the accounts of the server itself as they are.
 * It holds password hashes.
 */
import { escapeName } from "../../../core/rows.ts";
import type { AccountFacts } from "./facts.ts";
import type { Server } from "./server.ts";
import type { Session } from "./session.ts";
import { quoteName } from "./sql-text.ts";

/** Whom a restore never touches: they differ from machine to machine, and without root nobody gets in. */
const ownAccounts = [
  "root",
  "mysql",
  "mariadb.sys",
  "mysql.sys",
  "mysql.session",
  "mysql.infoschema",
  "debian-sys-maint",
];
const ownDatabases = ["mysql", "sys", "performance_schema", "information_schema"];

export interface CapturedAccounts {
  readonly accounts: readonly AccountFacts[];
  readonly sql: string;
}

/**
 * Every statement stands below a line that says whom or what it needs: `-- account NAME`, or `-- object DATABASE` for a grant on one
 * table or routine, which fails where that is not there. Such grants of databases that are not captured, or on what was dropped long
 * ago, are left out.
 *
 * @throws MailarkError `PROGRAM_FAILED` where the session may not read the accounts.
 */
export async function captureAccounts(
  session: Session,
  server: Server,
  databases: readonly string[],
): Promise<CapturedAccounts> {
  const accounts = await listAccounts(session, server);
  if (server.flavour === "mysql") await session.query("SET SESSION print_identified_with_as_hex=ON");
  const exists = await objectsOf(session);
  const make: string[] = [];
  const grant: string[] = [];
  for (const account of accounts) {
    const name = nameOf(account, server);
    const heading = headingOf(account);
    const statements = await creationOf(session, account, name, server);
    make.push(...statements.create.map((sql) => `${heading}\n${sql};\n`));
    const granted = (await session.query(`SHOW GRANTS FOR ${name}`)).map(([line = ""]) => withoutIdentity(line));
    for (const sql of [...granted, ...statements.after]) {
      const object = objectOf(sql);
      if (object === undefined || ownDatabases.includes(object.database)) grant.push(`${heading}\n${sql};\n`);
      else if (databases.includes(object.database) && exists(object)) {
        grant.push(`-- object ${escaped(object.database)}\n${sql};\n`);
      }
    }
  }
  const start = "SET NAMES utf8mb4;\nSET SESSION sql_mode='';\n";
  return { accounts, sql: `${[start, ...make, ...grant].join("\n")}\n-- Dump completed\n` };
}

/**
 * The statements for those accounts and databases alone.
 *
 * @param without an account as `CURRENT_USER()` names it: its password is the one that this restore runs with.
 */
export function narrowAccounts(sql: string, databases: readonly string[], without?: string): string {
  const kept = new Set(databases.map(escaped));
  const account = without === undefined ? undefined : headingOf(parseAccount(without));
  return sql
    .split(/(?=^-- (?:account|object) )/m)
    .filter((statement) => {
      const [heading = ""] = statement.split("\n", 1);
      const database = /^-- object (.*)$/.exec(heading)?.[1];
      return database === undefined ? heading !== account : kept.has(database);
    })
    .join("");
}

/** Roles first, because what follows refers to them. */
export async function listAccounts(session: Session, { flavour }: Pick<Server, "flavour">): Promise<AccountFacts[]> {
  const role = flavour === "mariadb" ? "is_role" : "'N'";
  const rows = await session.query(`SELECT user, host, ${role} FROM mysql.user ORDER BY ${role} DESC, user, host`);
  return rows
    .map(([user = "", host = "", isRole]) => ({ user, host, role: isRole === "Y" }))
    .filter(({ user }) => !ownAccounts.includes(user));
}

async function creationOf(session: Session, { user, role }: AccountFacts, name: string, server: Server) {
  if (role) {
    // Not OR REPLACE: that would take the role away from the accounts that are left alone.
    return { create: user === "PUBLIC" ? [] : [`CREATE ROLE IF NOT EXISTS ${name}`], after: [] };
  }
  const [row] = await session.query(`SHOW CREATE USER ${name}`);
  const create = row?.[0] ?? "";
  if (server.flavour === "mariadb") {
    return { create: [create.replace(/^CREATE USER /, "CREATE OR REPLACE USER ")], after: [] };
  }
  return recreateInMysql(create, name);
}

/** MySQL has no OR REPLACE, and names the default roles before they were granted. */
export function recreateInMysql(create: string, name: string): { create: string[]; after: string[] } {
  const roles = / DEFAULT ROLE ((?:`(?:[^`]|``)*`@`(?:[^`]|``)*`,?)+)/.exec(create);
  return {
    create: [`DROP USER IF EXISTS ${name}`, roles ? create.replace(roles[0], "") : create],
    after: roles ? [`ALTER USER ${name} DEFAULT ROLE ${roles[1]}`] : [],
  };
}

/**
 * A grant without the password and the limits that MariaDB repeats in it: the account has them by then, and setting the password again
 * would take away that it has expired.
 */
export function withoutIdentity(grant: string): string {
  const [, head, rest] = /^(GRANT .*? ON \*\.\* TO `(?:[^`]|``)*`@`(?:[^`]|``)*`)(.*)$/s.exec(grant) ?? [];
  if (head === undefined || rest === undefined) return grant;
  const option = / WITH GRANT OPTION\b/.test(rest.replace(/'(?:[^'\\]|\\.|'')*'/gs, ""));
  return option ? `${head} WITH GRANT OPTION` : head;
}

/** The table or routine that a grant is on; undefined for a whole database, for everything, and for roles. */
export function objectOf(grant: string): { database: string; name: string } | undefined {
  const name = "`((?:[^`]|``)*)`";
  const pattern = new RegExp(
    `^GRANT .*? ON (?:PROCEDURE |FUNCTION |PACKAGE BODY |PACKAGE |TABLE )?${name}\\.${name} TO `,
    "s",
  );
  const [, database, object] = pattern.exec(grant) ?? [];
  if (database === undefined || object === undefined) return undefined;
  return { database: database.replaceAll("``", "`"), name: object.replaceAll("``", "`") };
}

async function objectsOf(session: Session) {
  const rows = await session.query(
    `SELECT table_schema, table_name FROM information_schema.tables
     UNION SELECT routine_schema, routine_name FROM information_schema.routines`,
  );
  const known = new Set(rows.map((names) => JSON.stringify(names)));
  return ({ database, name }: { database: string; name: string }) => known.has(JSON.stringify([database, name]));
}

function nameOf({ user, host, role }: AccountFacts, { flavour }: Server): string {
  if (!role || flavour === "mysql") return `${quoteName(user)}@${quoteName(host)}`;
  return user === "PUBLIC" ? "PUBLIC" : quoteName(user);
}

const escaped = (name: string) => escapeName(Buffer.from(name).toString("latin1"));
const headingOf = ({ user, host, role }: AccountFacts) =>
  `-- account ${escaped(user)}${role ? "" : `@${escaped(host)}`}`;

function parseAccount(text: string): AccountFacts {
  const at = text.lastIndexOf("@");
  return { user: text.slice(0, at), host: text.slice(at + 1), role: false };
}
