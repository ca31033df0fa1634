import type { Filling, World } from "../component.ts";
import { refuseDatabases } from "../target-names.ts";
import type { MysqlConfig } from "./config.ts";
import { type Connection, openConnection } from "./connection.ts";
import { readFacts } from "./facts.ts";
import { listDatabases } from "./server.ts";
import { withSession } from "./session.ts";
import { quoteName } from "./sql-text.ts";

/** Databases are loaded one after the other; accounts that were loaded stay, for loading them twice does no harm. */
export function mysqlFilling(config: MysqlConfig): Filling {
  const connected = async <T>(world: World, work: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await openConnection(config, world);
    try {
      return await work(connection);
    } finally {
      connection.close();
    }
  };
  return {
    refuseUnlessEmpty: (world) =>
      connected(world, async (connection) => refuseDatabases(await withSession(connection, world, listDatabases))),
    async takeBack(snapshot, world) {
      const { databases } = await readFacts(snapshot);
      const own = new Set(databases.map(({ name }) => name));
      await connected(world, async (connection) => {
        const present = await withSession(connection, world, listDatabases);
        refuseDatabases(present.filter((name) => !own.has(name)));
        for (const name of present) {
          await withSession(connection, world, (session) => session.query(`DROP DATABASE ${quoteName(name)}`));
        }
      });
    },
  };
}
