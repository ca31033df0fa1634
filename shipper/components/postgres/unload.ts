/** Takes away again what a load has made. */
import type { Connection } from "./connection.ts";
import { ownDatabases } from "./server.ts";
import { type SessionWorld, sqlStateOf, withSession } from "./session.ts";
import { quoteName, quoteText } from "./sql-text.ts";

/** Something that a load has made. */
export interface Made {
  readonly kind: "role" | "tablespace" | "database";
  readonly name: string;
}

/** A database to speak from while another is made or dropped. */
export const besides = (name: string, connection: Connection): string => {
  if (name !== connection.maintenanceDatabase) return connection.maintenanceDatabase;
  return name === "postgres" ? "template1" : "postgres";
};

/**
 * Takes them away, the last first, whoever is connected: subscriptions without the server that they are subscribed to, roles with what they were
 * granted. A database that every server has is empty afterwards.
 *
 * @returns what stayed, in words. It runs after a failure, and throws nothing.
 */
export async function unload(made: readonly Made[], connection: Connection, world: SessionWorld): Promise<string[]> {
  const stayed: string[] = [];
  for (const thing of made.toReversed()) {
    try {
      await takeAway(thing, connection, world);
    } catch (error) {
      // It never came to be.
      if (sqlStateOf(error) === "42704") continue;
      stayed.push(`${thing.kind} ${thing.name} (SQLSTATE ${sqlStateOf(error) ?? "unknown"})`);
    }
  }
  return stayed;
}

async function takeAway({ kind, name }: Made, connection: Connection, world: SessionWorld): Promise<void> {
  const quoted = quoteName(name);
  const run = (...statements: readonly string[]) =>
    withSession(
      connection,
      world,
      async (session) => {
        for (const statement of statements) await session.run(statement);
      },
      besides(name, connection),
    );
  if (kind === "tablespace") return run(`DROP TABLESPACE IF EXISTS ${quoted}`);
  if (kind === "role") return run(`DROP OWNED BY ${quoted}`, `DROP ROLE ${quoted}`);
  await dropSubscriptions(name, connection, world);
  const drop = `DROP DATABASE IF EXISTS ${quoted} WITH (FORCE)`;
  if (!ownDatabases.includes(name)) return run(drop);
  const template = name === "template1";
  const present = await databaseExists(name, connection, world);
  if (template && present) await run("ALTER DATABASE template1 IS_TEMPLATE false");
  await run(drop, `CREATE DATABASE ${quoted} TEMPLATE template0${template ? " IS_TEMPLATE true" : ""}`);
}

/** A database that has one can not be dropped, and one that has its slot can not be either without the other server. */
async function dropSubscriptions(database: string, connection: Connection, world: SessionWorld): Promise<void> {
  if (!(await databaseExists(database, connection, world))) return;
  const subscriptions = await withSession(
    connection,
    world,
    (session) =>
      session.query<{ name: string }>(
        `SELECT s.subname::text AS name FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
         WHERE d.datname = ${quoteText(database)}`,
      ),
    besides(database, connection),
  );
  if (subscriptions.length === 0) return;
  await withSession(
    connection,
    world,
    async (session) => {
      for (const { name } of subscriptions) {
        const quoted = quoteName(name);
        await session.run(`ALTER SUBSCRIPTION ${quoted} DISABLE`);
        await session.run(`ALTER SUBSCRIPTION ${quoted} SET (slot_name = NONE)`);
        await session.run(`DROP SUBSCRIPTION ${quoted}`);
      }
    },
    database,
  );
}

async function databaseExists(name: string, connection: Connection, world: SessionWorld): Promise<boolean> {
  const found = await withSession(
    connection,
    world,
    (session) => session.query(`SELECT 1 AS one FROM pg_catalog.pg_database WHERE datname = ${quoteText(name)}`),
    besides(name, connection),
  );
  return found.length > 0;
}
