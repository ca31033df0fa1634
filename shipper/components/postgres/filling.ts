import type { Filling, World } from "../component.ts";
import { refuseDatabases } from "../target-names.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, openConnection } from "./connection.ts";
import { readFacts } from "./facts.ts";
import { unload } from "./load.ts";
import { filledDatabases } from "./server.ts";

/** Databases are loaded one after the other; roles that were loaded stay, for a restore keeps those that it finds. */
export function postgresFilling(config: PostgresConfig): Filling {
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
      connected(world, async (connection) => refuseDatabases(await filledDatabases(connection, world))),
    async takeBack(snapshot, world) {
      const own = new Set((await readFacts(snapshot)).databases.map(({ name }) => name));
      await connected(world, async (connection) => {
        const present = await filledDatabases(connection, world);
        refuseDatabases(present.filter((name) => !own.has(name)));
        const made = present.map((name) => ({ kind: "database" as const, name }));
        await unload(made, connection, world);
        refuseDatabases(await filledDatabases(connection, world));
      });
    },
  };
}
