/** Counts a server's keys as the file's were counted, by asking the server: another program's reading of the same data. */
import { MailarkError } from "../../../core/errors.ts";
import type { Connection } from "./connection.ts";
import { digestModulus, digestText } from "./facts.ts";
import { heldPrefix } from "./hold.ts";
import { longestText } from "./rdb-value.ts";
import { askKeyspace } from "./server.ts";

export interface CountedKeys {
  /** By type: those that stay, and those that expire. */
  readonly types: Readonly<Record<string, readonly [number, number]>>;
  readonly digest: string;
  readonly keys: number;
  /** Under the name that a hold gives them. */
  readonly held: number;
}

/** One step of a scan. A key that has the prefix counts under the name without it; there may be no prefix. */
const script = `
local cursor, prefix, longest = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sizes = { list = 'LLEN', set = 'SCARD', zset = 'ZCARD', hash = 'HLEN', stream = 'XLEN' }
local page = redis.call('SCAN', cursor, 'COUNT', 5000)
local sum, held, lines = 0, 0, {}
local counts = {}
for _, key in ipairs(page[2]) do
  local kind = redis.call('TYPE', key).ok
  local expiry = redis.call('PTTL', key)
  if kind ~= 'none' and expiry ~= -2 then
    local name = key
    if #prefix > 0 and string.sub(key, 1, #prefix) == prefix then
      name = string.sub(key, #prefix + 1)
      held = held + 1
    end
    local which = (sizes[kind] or kind == 'string') and kind or 'module'
    if expiry >= 0 then
      counts[which .. ' 2'] = (counts[which .. ' 2'] or 0) + 1
    else
      counts[which .. ' 1'] = (counts[which .. ' 1'] or 0) + 1
      local told
      if kind == 'string' then
        local size = redis.call('STRLEN', key)
        told = size <= longest and redis.call('GET', key) or string.format('size %.0f', size)
      elseif sizes[kind] then
        told = string.format('size %.0f', redis.call(sizes[kind], key))
      else
        told = ''
      end
      local digest = redis.sha1hex(name .. '\\0' .. kind .. '\\0' .. told)
      sum = (sum + tonumber(string.sub(digest, 1, 12), 16)) % 281474976710656
    end
  end
end
for name, count in pairs(counts) do lines[#lines + 1] = name .. ' ' .. count end
return page[1] .. '\\n' .. string.format('%.0f', sum) .. '\\n' .. held .. '\\n' .. table.concat(lines, '\\n')`;

/** A scan gives a key twice where the table was resized under way: it is begun again so often. */
const attempts = 3;

/**
 * @param onHold whether names begin with the prefix because the restore put it there, so that keys count without it.
 * @throws MailarkError as `Connection.ask`, for one where the server does not permit scripts.
 */
export async function countKeys(connection: Connection, database: number, onHold: boolean): Promise<CountedKeys> {
  for (let attempt = 1; ; attempt++) {
    const counted = await scan(connection, database, onHold ? heldPrefix : "");
    const present = (await askKeyspace(connection)).find((each) => each.database === database)?.keys ?? 0;
    // Fewer were seen where some have expired, and are still in the table.
    if (counted.keys <= present || attempt === attempts) return counted;
  }
}

async function scan(connection: Connection, database: number, prefix: string): Promise<CountedKeys> {
  const types: Record<string, [number, number]> = {};
  let sum = 0;
  let keys = 0;
  let held = 0;
  let cursor = "0";
  do {
    const answer = await connection.ask(["EVAL", script, "0", cursor, prefix, String(longestText)], database);
    const [next = "", part, prefixed, ...lines] = answer.split("\n");
    if (!/^\d+$/.test(next)) throw new MailarkError("PROGRAM_FAILED", "the server's answer to a scan is none");
    cursor = next;
    sum = (sum + Number(part)) % digestModulus;
    held += Number(prefixed);
    for (const line of lines.filter(Boolean)) {
      const [type = "", which, count] = line.split(" ");
      types[type] ??= [0, 0];
      types[type][which === "1" ? 0 : 1] += Number(count);
      keys += Number(count);
    }
  } while (cursor !== "0");
  return { types, digest: digestText(sum), keys, held };
}
