import { asMailarkError } from "../../../core/errors.ts";
import { looked } from "../../doctor/looking.ts";
import { commandOf, fine, found, type Observation, unproven } from "../../doctor/observation.ts";
import { lookForTools } from "../../doctor/tools.ts";
import type { World } from "../component.ts";
import type { RedisConfig } from "./config.ts";
import { type Connection, connectionOf } from "./connection.ts";

/** What a capture sends, by the right that it takes. Only users are left out where they can not be asked for. */
const commands = new Map([
  ["+info", ["info"]],
  ["+role", ["role"]],
  ["+ping", ["ping"]],
  ["+config|get", ["config", "get", "databases"]],
  ["+replconf", ["replconf", "capa", "eof"]],
  ["+psync", ["psync", "?", "-1"]],
  ["+sync", ["sync"]],
  ["+acl|list", ["acl", "list"]],
]);
const users = "+acl|list";

/** The programs, and what the account may send. */
export async function diagnoseRedis(config: RedisConfig, world: World): Promise<readonly Observation[]> {
  return [
    ...(await lookForTools(
      [
        { names: ["redis-cli", "valkey-cli"], any: true, package: "redis-tools", for: "capture" },
        { names: ["redis-server", "valkey-server"], any: true, package: "redis-server", for: "restore", orHere: true },
        {
          names: ["redis-check-rdb", "valkey-check-rdb"],
          any: true,
          package: "redis-tools",
          for: "restore",
          orHere: true,
        },
      ],
      config.command,
      world,
    )),
    ...(await looked("rights", world, async (world) => lookAtRights(await connectionOf(config, world), config))),
  ];
}

/** ACL DRYRUN says what would be refused, and does nothing (Redis 7). */
async function lookAtRights(connection: Connection, config: RedisConfig): Promise<Observation[]> {
  const user = config.user ?? "default";
  const missing: string[] = [];
  for (const [right, words] of commands) {
    try {
      const said = await connection.ask(["ACL", "DRYRUN", user, ...words]);
      if (said !== "OK") missing.push(right);
    } catch (error) {
      const said = asMailarkError(error).detail ?? "";
      if (/NOPERM|unknown (sub)?command/i.test(said)) return [unproven("rights", `${user} may not ask what it may do`)];
      throw error;
    }
  }
  const needed = missing.filter((right) => right !== users);
  const granting = (rights: readonly string[]) => {
    const { command, socket, host, port } = config;
    return commandOf(
      ...command,
      connection.client.name,
      ...(socket === undefined ? [] : ["-s", socket]),
      ...(host === undefined ? [] : ["-h", host]),
      ...(port === undefined ? [] : ["-p", String(port)]),
      ...["ACL", "SETUSER", user, ...rights],
    );
  };
  return [
    needed.length > 0
      ? found(
          "PRIVILEGE_MISSING",
          "rights",
          `${user} lacks ${needed.join(" ")}: nothing can be captured; ACL SAVE keeps what is granted`,
          granting(needed),
        )
      : fine("rights", `${user} may send all that a backup sends`),
    ...(missing.includes(users)
      ? [found("PRIVILEGE_LACKING", "rights", `${user} lacks ${users}: users are left out`, granting([users]))]
      : []),
  ];
}
