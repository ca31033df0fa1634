import { MailarkError } from "../../../core/errors.ts";
import type { Filling } from "../component.ts";
import type { RedisConfig } from "./config.ts";
import { connectionOf } from "./connection.ts";
import { readFacts } from "./facts.ts";
import { keptUsers, refuseUnlessEmpty, takeBack, usersOf } from "./load-service.ts";
import { askKeyspace } from "./server.ts";

/** Keys appear one after the other, then users. */
export function redisFilling(config: RedisConfig): Filling {
  return {
    async refuseUnlessEmpty(world) {
      await refuseUnlessEmpty(await connectionOf(config, world), keptUsers(config.user));
    },
    async takeBack(snapshot, world) {
      const connection = await connectionOf(config, world);
      const { databases } = await readFacts(snapshot);
      const keysOf = new Map(databases.map(({ number, keys }) => [number, keys]));
      const strange = (await askKeyspace(connection)).filter(
        ({ database, keys }) => keys > (keysOf.get(database) ?? 0),
      );
      if (strange.length > 0) {
        throw new MailarkError(
          "TARGET_NOT_EMPTY",
          "the Redis server holds more than the restore that was ended put there",
          {
            detail: strange.map(({ database, keys }) => `${keys} keys in database ${database}`).join("; "),
            hint: "look at what else is there; empty the server with FLUSHALL, and run the same command again",
          },
        );
      }
      await takeBack(connection, await usersOf(snapshot), keptUsers(config.user), world);
      await refuseUnlessEmpty(connection, keptUsers(config.user));
    },
  };
}
