import { MailarkError } from "../../../core/errors.ts";
import type { Filling, World } from "../component.ts";
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
      connected(world, async (connection) => {
        const present = await withSession(connection, world, listDatabases);
        if (present.length > 0) throw holds(present);
      }),
    async takeBack(snapshot, world) {
      const { databases } = await readFacts(snapshot);
      const own = new Set(databases.map(({ name }) => name));
      await connected(world, async (connection) => {
        const present = await withSession(connection, world, listDatabases);
        const others = present.filter((name) => !own.has(name));
        if (others.length > 0) throw holds(others);
        for (const name of present) {
          await withSession(connection, world, (session) => session.query(`DROP DATABASE ${quoteName(name)}`));
        }
      });
    },
  };
}

const holds = (names: readonly string[]) =>
  new MailarkError("TARGET_NOT_EMPTY", `the database server holds ${names.length} databases already`, {
    detail: names.join(", "),
    hint: "restore to a scratch place or a directory and take from there, or move what is on the server away first",
  });
