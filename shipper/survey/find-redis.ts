/** Which Redis or Valkey server a host has, and whether it answers without a password. */
import { asMailarkError } from "../../core/errors.ts";
import type { World } from "../components/component.ts";
import { redisConfigSchema } from "../components/redis/config.ts";
import { connectionOf } from "../components/redis/connection.ts";
import { askServer } from "../components/redis/server.ts";
import type { Found } from "./found.ts";
import { isSocket } from "./look.ts";

const sockets = [
  "/run/redis/redis-server.sock",
  "/run/redis/redis.sock",
  "/var/run/redis/redis-server.sock",
  "/var/run/redis/redis.sock",
  "/run/valkey/valkey-server.sock",
  "/run/valkey/valkey.sock",
  "/tmp/redis.sock",
];
/** A server that says nothing for so long is not waited for. */
const patienceSeconds = 10;

/** The first server that answers, at a usual socket or at port 6379 of this machine; `undefined`: none does. */
export async function findRedis(world: World): Promise<Found | undefined> {
  const there = sockets.filter((path) => isSocket(world.files, path));
  const places = [
    ...there.map((socket) => ({ section: { socket }, from: socket })),
    { section: { host: "127.0.0.1", port: 6379 }, from: "127.0.0.1, port 6379" },
  ];
  for (const { section, from } of places) {
    const answer = await ask(section, world);
    switch (answer) {
      case "open":
        return { section, from };
      case "asks for a password":
        return {
          section: { ...section, "password-file": "/etc/mailark/redis.password" },
          from,
          lacks: "it asks for a password. Put it alone into the file, and chmod 600",
        };
      case "a cluster":
        return { section, from, lacks: "it is a node of a cluster, and those can not be captured" };
    }
  }
  const [socket] = there;
  return socket === undefined
    ? undefined
    : { section: { socket }, from: socket, lacks: "it does not answer, or redis-cli is not installed" };
}

async function ask(section: object, world: World): Promise<"open" | "asks for a password" | "a cluster" | "silent"> {
  try {
    const config = redisConfigSchema.parse({ ...section, stallSeconds: patienceSeconds });
    const { cluster } = await askServer(await connectionOf(config, world));
    return cluster ? "a cluster" : "open";
  } catch (error) {
    world.signal.throwIfAborted();
    const { detail = "" } = asMailarkError(error);
    return /NOAUTH|WRONGPASS|NOPERM/.test(detail) ? "asks for a password" : "silent";
  }
}
