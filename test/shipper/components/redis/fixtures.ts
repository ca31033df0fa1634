import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxHost } from "../../../../sandbox/host/host.ts";
import type { Redis } from "../../../../sandbox/host/redis.ts";
import { redisComponent } from "../../../../shipper/components/redis/component.ts";
import { type RedisConfig, redisConfigSchema } from "../../../../shipper/components/redis/config.ts";
import { type Connection, connectionOf } from "../../../../shipper/components/redis/connection.ts";
import type { StagedRedis } from "../../../../shipper/components/redis/staged.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import type { Vault } from "../../../fixtures/vault.ts";

/** The configuration that reaches a sandbox host's server. */
export function configOf({ redis }: Pick<SandboxHost, "redis">, more: Partial<RedisConfig> = {}): RedisConfig {
  const passwordFile = join(redis.socket, "..", "password");
  writeFileSync(passwordFile, `${redis.password}\n`, { mode: 0o600 });
  return redisConfigSchema.parse({ socket: redis.socket, passwordFile, ...more });
}

/** A path for a scratch server: every user may pass through its parent. */
export function scratchPath(): { path: string; remove(): void } {
  const parent = mkdtempSync(join(tmpdir(), "mailark-scratch-"));
  chmodSync(parent, 0o711);
  return { path: join(parent, "place"), remove: () => rmSync(parent, { recursive: true, force: true }) };
}

/** Backs a server up and opens the snapshot; throws what went wrong. */
export async function captured(vault: Vault, config: RedisConfig, processes?: Processes) {
  const { outcomes } = await vault.backup([redisComponent(config)], processes ? { processes } : {});
  if (outcomes[0]?.error) throw outcomes[0].error;
  return vault.open("redis");
}

/** Captures, stages to a private server, and hands it over. */
export async function throughScratch(
  vault: Vault,
  config: RedisConfig,
  work: (staged: StagedRedis & { connection: Connection }) => Promise<void>,
): Promise<void> {
  const snapshot = await captured(vault, config);
  const place = scratchPath();
  try {
    const staged = await redisComponent(config).stage(
      snapshot,
      { kind: "scratch", path: place.path },
      {},
      vault.world(),
    );
    try {
      await work(staged as StagedRedis & { connection: Connection });
    } finally {
      await staged.remove();
    }
  } finally {
    place.remove();
  }
}

/** A way to the sandbox's own server, to look at it as at a staged one. */
export const sourceOf = (config: RedisConfig, vault: Vault): Promise<Connection> => connectionOf(config, vault.world());

/**
 * All keys as `redis-cli` shows them, in an order that does not depend on how they came there. Expiries are apart: they are compared
 * with a tolerance.
 */
export async function contentOf(
  connection: Connection,
  databases: readonly number[],
): Promise<{ keys: string; expiries: Map<string, number> }> {
  const script = `
    local names = redis.call('KEYS', '*')
    table.sort(names)
    local lines = {}
    for _, key in ipairs(names) do
      local kind = redis.call('TYPE', key).ok
      local value
      if kind == 'string' then value = redis.call('GET', key)
      elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
      elseif kind == 'set' then value = redis.call('SMEMBERS', key); table.sort(value)
      elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
      elseif kind == 'hash' then
        local pairs = redis.call('HGETALL', key)
        value = {}
        for index = 1, #pairs, 2 do value[#value + 1] = pairs[index] .. '=' .. pairs[index + 1] end
        table.sort(value)
      elseif kind == 'stream' then
        value = { redis.call('XRANGE', key, '-', '+'), redis.call('XINFO', 'GROUPS', key) }
        for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
          for _, row in ipairs(redis.call('XPENDING', key, group[2], '-', '+', 1000)) do
            value[#value + 1] = { row[1], row[2], row[4] }
          end
        end
      end
      lines[#lines + 1] = redis.sha1hex(key) .. ' ' .. kind .. ' ' .. redis.sha1hex(cmsgpack.pack(value))
    end
    local expiries = {}
    for _, key in ipairs(names) do
      if redis.call('PTTL', key) >= 0 then
        expiries[#expiries + 1] = redis.sha1hex(key) .. ' ' .. string.format('%.0f', redis.call('PEXPIRETIME', key))
      end
    end
    return table.concat(lines, '\\n') .. '\\n\\n' .. table.concat(expiries, '\\n')`;
  let keys = "";
  const expiries = new Map<string, number>();
  for (const database of databases) {
    const [lines, times = ""] = (await connection.ask(["EVAL", script, "0"], database)).split("\n\n");
    keys += `database ${database}\n${lines}\n`;
    for (const row of times.split("\n").filter(Boolean)) {
      const [key, time] = row.split(" ");
      expiries.set(`${database} ${key}`, Number(time));
    }
  }
  return { keys, expiries };
}

/**
 * The machine's processes, but for the transfer of the RDB file: that runs through a bash script, with the real command as its
 * arguments and its input as it is.
 */
export function transferThrough(script: string): Processes {
  return {
    start(command, options) {
      if (!command.includes("--rdb")) return nodeProcesses.start(command, options);
      return nodeProcesses.start(["bash", "-c", script, "transfer", ...command], options);
    },
  };
}

/** A library of functions. */
export const shop = "#!lua name=shop\nredis.register_function('twice', function(_, a) return 2 * a[1] end)";

/** Every kind of value, in several databases. Large ones come in pieces that no chunk is the size of. */
export async function fillWithEverything(redis: Redis): Promise<void> {
  const binary = Array.from({ length: 256 }, (_, byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  const many = (count: number, word: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => word(index)).join(" ");
  await redis.commands(
    `${[
      `SET "bin\\x00\\xffary" "${binary}"`,
      `SET empty ""`,
      `SET number -12345`,
      `SET small 7`,
      `SET wide 1234567890`,
      `SET wider 123456789012`,
      `SET utf8 "grüße 📦 漢字"`,
      `SET packs "${"abcabcabd".repeat(300)}"`,
      `SET once gone PX 86400000`,
      `SET soon gone EX 9000`,
      `SETRANGE large 3000000 x`,
      `EVAL "local s = {} for i = 1, 300000 do s[i] = redis.sha1hex(i) end redis.call('SET', 'noise', table.concat(s))" 0`,
      `RPUSH short a b c 1 2 300 70000 5000000000 "${binary}"`,
      `RPUSH long ${many(3000, (index) => `element-${index}-${"x".repeat(index % 50)}`)}`,
      `RPUSH wideList ${"y".repeat(9000)} ${"z".repeat(10)} ${"w".repeat(20000)}`,
      `SADD ints ${many(100, (index) => String(index * 7))}`,
      `SADD bigInts ${many(600, (index) => String(index * 700_000_007))}`,
      `SADD words a "${binary}" ü`,
      `SADD manyWords ${many(700, (index) => `word${index}`)}`,
      `ZADD ranks 1.5 a -inf b +inf c 3 "${binary}"`,
      `ZADD manyRanks ${many(500, (index) => `${index / 3} member${index}`)}`,
      `HSET hash field value "b\\x00" "${binary}" n 12`,
      `HSET manyFields ${many(700, (index) => `field${index} ${index}`)}`,
      `EXPIRE manyFields 4000`,
      `PFADD visitors ${many(500, (index) => `v${index}`)}`,
      `SETBIT bits 7001 1`,
      `GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania`,
      ...Array.from({ length: 250 }, (_, index) => `XADD events ${index + 1}-1 kind k${index % 3} n ${index}`),
      `XGROUP CREATE events readers 0`,
      `XGROUP CREATE events idle $`,
      `XREADGROUP GROUP readers one COUNT 20 STREAMS events >`,
      `XREADGROUP GROUP readers two COUNT 5 STREAMS events >`,
      `XACK events readers 3-1 4-1`,
      `XDEL events 100-1`,
      `XGROUP CREATE nothing g $ MKSTREAM`,
      `SELECT 3`,
      `SET other database`,
      `SET expires here EXAT ${Math.floor(Date.now() / 1000) + 7200}`,
      `SELECT 11`,
      `LPUSH celery task1 task2`,
      `SADD _kombu.binding.celery x`,
      `HSET unacked id body`,
      `SET session:abc token EX 5000`,
    ].join("\n")}\n`,
  );
  await redis.command("FUNCTION", "LOAD", shop);
  await redis.command(
    "ACL",
    "SETUSER",
    "mailapp",
    "on",
    ">app secret",
    "~cache:*",
    "%R~session:*",
    "&news",
    "+@read",
    "+set",
    "(~jobs:* +lpush)",
  );
  await redis.command("ACL", "SETUSER", "sleeper", "off", "nopass");
}

/** Runs a command as a user with a password, over the socket. */
export async function asUser(command: readonly string[], user: string, password: string): Promise<string> {
  const [program, ...words] = command;
  const env = { REDISCLI_AUTH: password };
  return (await outputOf(nodeProcesses, [program!, "--user", user, ...words], { env })).toString().trim();
}
