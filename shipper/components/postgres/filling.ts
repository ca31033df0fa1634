import { MailarkError } from "../../../core/errors.ts";
import { refuseArrivals } from "../arrivals.ts";
import type { Filling, World } from "../component.ts";
import { refuseDatabases } from "../target-names.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, withConnection } from "./connection.ts";
import { type DatabaseFacts, readFacts } from "./facts.ts";
import { filledDatabases, openDatabase } from "./server.ts";
import { quoteName } from "./sql-text.ts";
import { listTables, storing } from "./tables.ts";
import { unload } from "./unload.ts";

/** Databases are loaded one after the other; roles that were loaded stay, for a restore keeps those that it finds. */
export function postgresFilling(config: PostgresConfig): Filling {
  return {
    refuseUnlessEmpty: (world) =>
      withConnection(config, world, async (connection) => refuseDatabases(await filledDatabases(connection, world))),
    async takeBack(snapshot, world) {
      const { databases } = await readFacts(snapshot);
      const own = new Set(databases.map(({ name }) => name));
      await withConnection(config, world, async (connection) => {
        const present = await filledDatabases(connection, world);
        refuseDatabases(present.filter((name) => !own.has(name)));
        const filled = databases.filter(({ name }) => present.includes(name));
        refuseArrivals("rows or tables have come", await arrivals(connection, filled, world));
        const made = present.map((name) => ({ kind: "database" as const, name }));
        const stayed = await unload(made, connection, world);
        if (stayed.length > 0) {
          throw new MailarkError(
            "RESTORE_FAILED",
            `${stayed.length} databases of an earlier restore could not be dropped`,
            {
              detail: stayed.join(", "),
              hint: "drop them by hand, and run the same command again",
            },
          );
        }
        refuseDatabases(await filledDatabases(connection, world));
      });
    },
  };
}

/** Tables that have more rows than the snapshot, or that it does not have; large objects by their number. */
async function arrivals(connection: Connection, databases: readonly DatabaseFacts[], world: World): Promise<string[]> {
  const arrived: string[] = [];
  for (const { name: database, encoding, tables, largeObjects } of databases) {
    const rowsOf = new Map(tables.map(({ schema, name, rows }) => [JSON.stringify([schema, name]), rows ?? 0]));
    const session = await openDatabase(connection, world, { name: database, encoding });
    const count = async (from: string) => {
      const [row] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM ${from}`);
      return row?.rows ?? Number.NaN;
    };
    try {
      for (const { schema, name } of storing(await listTables(session))) {
        const known = rowsOf.get(JSON.stringify([schema, name]));
        const rows = await count(`ONLY ${quoteName(schema)}.${quoteName(name)}`);
        if (known === undefined || !(rows <= known))
          arrived.push(`${database} ${schema}.${name}: ${rows} rows, ${known ?? "none"} in the snapshot`);
      }
      const objects = await count("pg_catalog.pg_largeobject_metadata");
      if (largeObjects !== undefined && !(objects <= largeObjects.count)) {
        arrived.push(`${database}: ${objects} large objects, ${largeObjects.count} in the snapshot`);
      }
    } finally {
      await session.close();
    }
  }
  return arrived;
}
