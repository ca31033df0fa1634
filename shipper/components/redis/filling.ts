import { refuseArrivals } from "../arrivals.ts";
import type { Filling } from "../component.ts";
import { arrivedKeys } from "./arrivals.ts";
import type { RedisConfig } from "./config.ts";
import { connectionOf } from "./connection.ts";
import { readFacts } from "./facts.ts";
import { keptUsers, refuseUnlessEmpty, takeBack, usersOf } from "./load-service.ts";
import { askLibraries, askUsers, userName } from "./server.ts";

/** Keys appear one after the other, then users. */
export function redisFilling(config: RedisConfig): Filling {
  return {
    async refuseUnlessEmpty(world) {
      await refuseUnlessEmpty(await connectionOf(config, world), keptUsers(config.user));
    },
    async takeBack(snapshot, world) {
      const connection = await connectionOf(config, world);
      const kept = keptUsers(config.user);
      const users = await usersOf(snapshot);
      const { libraries } = await readFacts(snapshot);
      const own = [...kept, ...users.map(userName)];
      refuseArrivals("keys, functions or users have come", [
        ...(await arrivedKeys(snapshot, connection, config.hold)),
        ...(await askLibraries(connection))
          .filter((name) => !libraries.includes(name))
          .map((name) => `function ${name}`),
        ...(await askUsers(connection))
          .map(userName)
          .filter((name) => !own.includes(name))
          .map((name) => `user ${name}`),
      ]);
      await takeBack(connection, users, kept, world);
      await refuseUnlessEmpty(connection, kept);
    },
  };
}
