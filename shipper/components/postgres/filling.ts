import { MailarkError } from "../../../core/errors.ts";
import type { Filling, World } from "../component.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, openConnection } from "./connection.ts";
import { readFacts } from "./facts.ts";
import { unload } from "./load.ts";
import { isChanged, listDatabases, ownDatabases } from "./server.ts";
import { withSession } from "./session.ts";

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
    refuseUnlessEmpty: (world) => connected(world, (connection) => refuseUnlessEmpty(connection, world)),
    async takeBack(snapshot, world) {
      const own = new Set((await readFacts(snapshot)).databases.map(({ name }) => name));
      await connected(world, async (connection) => {
        const present = await filled(connection, world);
        const others = present.filter((name) => !own.has(name));
        if (others.length > 0) throw holds(others);
        const made = present.map((name) => ({ kind: "database" as const, name }));
        await unload(made, connection, world);
        await refuseUnlessEmpty(connection, world);
      });
    },
  };
}

/** @throws MailarkError `TARGET_NOT_EMPTY` naming the databases. */
async function refuseUnlessEmpty(connection: Connection, world: World): Promise<void> {
  const present = await filled(connection, world);
  if (present.length > 0) throw holds(present);
}

/** Databases that somebody made, and those of the server that somebody put something into. */
async function filled(connection: Connection, world: World): Promise<string[]> {
  const present = (await withSession(connection, world, listDatabases)).map(({ name }) => name);
  const found: string[] = [];
  for (const name of present) {
    const empty = ownDatabases.includes(name) && !(await withSession(connection, world, isChanged, name));
    if (!empty) found.push(name);
  }
  return found;
}

const holds = (names: readonly string[]) =>
  new MailarkError("TARGET_NOT_EMPTY", `the database server holds ${names.length} databases already`, {
    detail: names.join(", "),
    hint: "restore to a scratch place or a directory and take from there, or move what is on the server away first",
  });
