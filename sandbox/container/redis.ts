import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { accountFor } from "../host/account.ts";
import { answers } from "../host/daemon.ts";
import { makeFolder, writeFileFor } from "../host/place.ts";
import { type Container, startContainer } from "./container.ts";

/** Redis in a container, with a password. */
export interface RedisContainer extends Container {
  readonly socket: string;
  readonly password: string;
  /** Feeds commands, one a line, quoted as `redis-cli` reads them, and returns what it prints. */
  commands(lines: string): Promise<string>;
}

const socket = "/run/redis/redis.sock";
const begin = "exec setpriv --reuid=redis --regid=redis --clear-groups -- redis-server /etc/redis.conf";

export async function startRedisContainer(): Promise<RedisContainer> {
  const password = randomBytes(16).toString("hex");
  const account = accountFor("redis");
  const container = await startContainer({
    name: "redis",
    command: ["sh", "-c", begin],
    prepare(root) {
      makeFolder(join(root, "var/lib/redis"), account);
      makeFolder(join(root, "run/redis"), account, 0o755);
      const lines = ["port 0", `unixsocket ${socket}`, "dir /var/lib/redis", `requirepass ${password}`, 'save ""'];
      const text = [...lines, "repl-diskless-sync-delay 0"].map((line) => `${line}\n`);
      writeFileFor(join(root, "etc/redis.conf"), text.join(""), account);
    },
    ready: (root) => answers({ path: join(root, socket) }, /\+PONG/, `AUTH ${password}\r\nPING\r\n`),
  });
  return {
    ...container,
    socket,
    password,
    commands: (lines) => container.run(["redis-cli", "-s", socket], `AUTH ${password}\n${lines}`),
  };
}
