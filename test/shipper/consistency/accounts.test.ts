import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import { type SandboxHost, startHost } from "../../../sandbox/host/host.ts";
import type { World } from "../../../shipper/components/component.ts";
import { mysqlConfigSchema } from "../../../shipper/components/mysql/config.ts";
import { postgresConfigSchema } from "../../../shipper/components/postgres/config.ts";
import { askAccounts } from "../../../shipper/consistency/accounts.ts";
import { accountsConfigSchema } from "../../../shipper/consistency/config.ts";
import { proposalOf, proposeAccounts } from "../../../shipper/consistency/proposal.ts";
import { compare } from "../../../shipper/consistency/report.ts";
import { nodeProcesses } from "../../../shipper/processes.ts";

let host: SandboxHost;
beforeAll(async () => {
  host = await startHost({ services: ["mariadb", "postgres"] });
  await sql(`INSERT INTO virtual_domains (id, name) VALUES (1, 'x.test');
    INSERT INTO virtual_users (domain_id, email, password) VALUES (1, 'a@x.test', 'x');
    INSERT INTO virtual_aliases (domain_id, source, destination) VALUES (1, 'b@x.test', 'a@x.test');`);
});
afterAll(() => host?.stop());

const sql = (statements: string) => host.mariadb.sql(statements, "mailserver");
const worldOf = (): World => ({
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
});
/** Asks the agency's database for what these say. */
const askMariadb = (accounts: object, limit = 5000) => {
  const mysql = mysqlConfigSchema.parse({ defaultsFile: host.mariadb.defaultsFile });
  const config = accountsConfigSchema.parse({ component: "mysql", database: "mailserver", ...accounts });
  return askAccounts(config, { mysql }, worldOf(), limit);
};

test("a query that takes too long: the server ends it", async () => {
  const asked = askMariadb({ mailboxes: "SELECT SLEEP(600)" }, 300);
  await expect(asked).rejects.toMatchObject({ detail: expect.stringContaining("max_statement_time") });
  expect(await sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'WITH asked%'")).toBe("0\n");
});

test("an account that may read can not be made to write by what the configuration asks", async () => {
  const writes = "SELECT email FROM virtual_users) SELECT * FROM asked WHERE 0; DELETE FROM virtual_aliases --";
  expect(() => askMariadb({ mailboxes: writes })).toThrow("without a semicolon");
  const body = "BEGIN DELETE FROM virtual_aliases; RETURN 1; END";
  await sql(`DELIMITER //\nCREATE FUNCTION spoil() RETURNS INT MODIFIES SQL DATA DETERMINISTIC ${body}//\nDELIMITER ;`);
  const refusal = { detail: expect.stringContaining("READ ONLY") };
  await expect(askMariadb({ mailboxes: "SELECT spoil()" })).rejects.toMatchObject(refusal);
  await sql("DROP FUNCTION spoil");
  expect(await sql("SELECT COUNT(*) FROM virtual_aliases")).toBe("1\n");
});

test("accounts may be in PostgreSQL, where names are looked up as its own settings say", async () => {
  const { socketDirectory, user, passwordFile: passfile } = host.postgres;
  await host.postgres.sql(`CREATE SCHEMA mail; ALTER ROLE postgres SET search_path TO mail;
    CREATE TABLE mail.users (address text, goto text); INSERT INTO mail.users VALUES ('a@x.test', 'é@x.test'), ('b@x.test', NULL);
    CREATE FUNCTION mail.spoil() RETURNS text LANGUAGE sql AS $$ DELETE FROM mail.users RETURNING address $$;`);
  const components = { postgres: postgresConfigSchema.parse({ socketDirectory, user, passfile }) };
  const ask = (mailboxes: string) => {
    const aliases = "SELECT address, goto FROM users -- those that forward";
    const config = accountsConfigSchema.parse({ component: "postgres", database: "postgres", mailboxes, aliases });
    return askAccounts(config, components, worldOf(), 5000);
  };
  expect(await ask("SELECT address FROM users ORDER BY 1")).toEqual({
    mailboxes: ["a@x.test", "b@x.test"],
    domains: undefined,
    aliases: [["a@x.test", "é@x.test"]],
  });
  const refusal = { detail: expect.stringContaining("read-only transaction") };
  await expect(ask("SELECT spoil()")).rejects.toMatchObject(refusal);
});

test("accounts may be PostfixAdmin's, as init proposes to ask for them", async () => {
  await host.mariadb.sql(`CREATE DATABASE postfix; USE postfix;
    CREATE TABLE mailbox (username VARCHAR(255), maildir VARCHAR(255), active TINYINT);
    CREATE TABLE domain (domain VARCHAR(255), active TINYINT);
    CREATE TABLE alias (address VARCHAR(255), goto TEXT, active TINYINT);
    CREATE TABLE alias_domain (alias_domain VARCHAR(255), target_domain VARCHAR(255));
    INSERT INTO mailbox VALUES ('a@x.test', 'x.test/a/', 1); INSERT INTO domain VALUES ('ALL', 1), ('x.test', 1), ('y.test', 0);
    INSERT INTO alias VALUES ('a@x.test', 'a@x.test', 1), ('i@x.test', 'a@x.test,a@y.test', 1);
    INSERT INTO alias_domain VALUES ('y.test', 'x.test');`);
  const server = { defaultsFile: host.mariadb.defaultsFile };
  // Two databases look like it: a person must choose.
  expect(await proposeAccounts(server, worldOf())).toBeUndefined();
  const columns = await host.mariadb.sql(
    "SELECT CONCAT(table_name, '.', column_name) FROM information_schema.columns WHERE table_schema = 'postfix'",
  );
  const proposal = proposalOf(
    columns
      .trim()
      .split("\n")
      .map((column) => ["postfix", column]),
  )!;
  const accounts = await askMariadb(proposal);
  await host.mariadb.sql("DROP DATABASE postfix");
  expect(accounts).toMatchObject({ mailboxes: ["a@x.test"], domains: ["x.test", "y.test"] });
  expect(accounts.aliases).toHaveLength(3);
  expect(compare(accounts, accounts, { aliases: true, directories: ["a@x.test"] })).toEqual([]);
});
