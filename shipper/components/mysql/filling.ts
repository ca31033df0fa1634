import { refuseArrivals } from "../arrivals.ts";
import type { Filling, World } from "../component.ts";
import { refuseDatabases } from "../target-names.ts";
import type { MysqlConfig } from "./config.ts";
import { type Connection, withConnection } from "./connection.ts";
import { type DatabaseFacts, listTables, readFacts } from "./facts.ts";
import { listDatabases } from "./server.ts";
import { withSession } from "./session.ts";
import { quoteName } from "./sql-text.ts";

/** Databases are loaded one after the other; accounts that were loaded stay, for loading them twice does no harm. */
export function mysqlFilling(config: MysqlConfig): Filling {
  return {
    refuseUnlessEmpty: (world) =>
      withConnection(config, world, async (connection) =>
        refuseDatabases(await withSession(connection, world, listDatabases)),
      ),
    async takeBack(snapshot, world) {
      const { databases } = await readFacts(snapshot);
      const own = new Set(databases.map(({ name }) => name));
      await withConnection(config, world, async (connection) => {
        const present = await withSession(connection, world, listDatabases);
        refuseDatabases(present.filter((name) => !own.has(name)));
        refuseArrivals("rows or tables have come", await arrivals(connection, databases, present, world));
        for (const name of present) {
          await withSession(connection, world, (session) => session.query(`DROP DATABASE ${quoteName(name)}`));
        }
      });
    },
  };
}

/** Tables that have more rows than the snapshot, or that it does not have. */
async function arrivals(
  connection: Connection,
  databases: readonly DatabaseFacts[],
  present: readonly string[],
  world: World,
): Promise<string[]> {
  if (present.length === 0) return [];
  const rowsOf = new Map(
    databases.flatMap(({ name: database, tables }) =>
      tables.map(({ name, rows }) => [JSON.stringify([database, name]), rows]),
    ),
  );
  return withSession(connection, world, async (session) => {
    const arrived: string[] = [];
    for (const { database, name } of await listTables(session, present)) {
      const known = rowsOf.get(JSON.stringify([database, name]));
      const [row] = await session.query(`SELECT COUNT(*) FROM ${quoteName(database)}.${quoteName(name)}`);
      const rows = Number(row?.[0]);
      if (known === undefined || !(rows <= known))
        arrived.push(`${database}.${name}: ${rows} rows, ${known ?? "none"} in the snapshot`);
    }
    return arrived;
  });
}
