/** Tells, by name, what a server holds beyond what a restore of a snapshot put there. */
import { createHash } from "node:crypto";
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Connection } from "./connection.ts";
import { heldPrefix, holder } from "./hold.ts";
import { RdbReader } from "./rdb.ts";
import { askKeyspace } from "./server.ts";

/** The name of each key by 64 bits of a digest; a key that has the prefix also by its name without it. */
const hashes = `
local cursor, database, prefix = ARGV[1], ARGV[2], ARGV[3]
local page = redis.call('SCAN', cursor, 'COUNT', 5000)
local lines = { page[1] }
local hash = function(name) return string.sub(redis.sha1hex(database .. '\\0' .. name), 1, 16) end
for _, key in ipairs(page[2]) do
  local line = hash(key)
  if string.sub(key, 1, #prefix) == prefix then line = line .. ' ' .. hash(string.sub(key, #prefix + 1)) end
  lines[#lines + 1] = line
end
return table.concat(lines, '\\n')`;

/** The names of some of these, in hexadecimal. */
const namesOf = `
local database, wanted, lines = ARGV[2], {}, {}
for index = 3, #ARGV do wanted[ARGV[index]] = true end
local page = redis.call('SCAN', ARGV[1], 'COUNT', 5000)
for _, key in ipairs(page[2]) do
  if wanted[string.sub(redis.sha1hex(database .. '\\0' .. key), 1, 16)] then
    lines[#lines + 1] = string.gsub(key, '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  end
end
return page[1] .. '\\n' .. table.concat(lines, '\\n')`;

/** So many are told by name. */
const shown = 20;

/**
 * The keys that a restore of this snapshot does not make: a key that it puts on hold is known under the name that this gives it, and any
 * other by its own and on hold.
 *
 * @param hold the patterns of the configuration.
 * @returns a text for each; the first by name.
 * @throws MailarkError as `Connection.ask`; `OBJECT_CORRUPT` for a file that can not be read.
 */
export async function arrivedKeys(
  snapshot: SnapshotReader,
  connection: Connection,
  hold: readonly string[],
): Promise<string[]> {
  const { known, waiting } = await namesIn(snapshot, hold);
  const arrived: string[] = [];
  for (const { database } of await askKeyspace(connection)) {
    const strange = new Set<string>();
    for await (const line of scan(connection, database, hashes, [heldPrefix])) {
      const [own = "", without] = line.split(" ");
      const asItWas = known.has(own) && !waiting.has(own);
      if (!asItWas && !(without !== undefined && known.has(without))) strange.add(own);
    }
    const few = [...strange].slice(0, shown);
    if (few.length > 0) {
      for await (const name of scan(connection, database, namesOf, few)) {
        arrived.push(`${JSON.stringify(Buffer.from(name, "hex").toString("utf8"))} in database ${database}`);
      }
    }
    if (strange.size > shown) arrived.push(`${strange.size - shown} more keys in database ${database}`);
  }
  return [...new Set(arrived)];
}

async function* scan(connection: Connection, database: number, script: string, more: readonly string[]) {
  let cursor = "0";
  do {
    const answer = await connection.ask(["EVAL", script, "0", cursor, String(database), ...more], database);
    const [next = "", ...lines] = answer.split("\n");
    if (!/^\d+$/.test(next)) throw new MailarkError("PROGRAM_FAILED", "the server's answer to a scan is none");
    cursor = next;
    yield* lines.filter(Boolean);
  } while (cursor !== "0");
}

async function namesIn(snapshot: SnapshotReader, hold: readonly string[]) {
  const isHeld = holder(hold);
  const known = new Hashes();
  const waiting = new Hashes();
  const reader = new RdbReader({
    key({ database, name }) {
      const hash = createHash("sha1").update(`${database}\0`).update(name).digest().readBigUInt64BE();
      known.add(hash);
      if (isHeld(name)) waiting.add(hash);
    },
  });
  for await (const chunk of snapshot.readPart(snapshot.part("rdb"))) reader.push(chunk);
  if (reader.end === undefined || !("bytes" in reader.end)) {
    throw new MailarkError("OBJECT_CORRUPT", "the keys of the snapshot can not be read");
  }
  return { known, waiting };
}

/** A set of hashes of 64 bits, each in eight bytes: there may be tens of millions. */
class Hashes {
  #all = new BigUint64Array(1024);
  #count = 0;
  #sorted = true;

  add(hash: bigint): void {
    if (this.#count === this.#all.length) {
      const larger = new BigUint64Array(2 * this.#count);
      larger.set(this.#all);
      this.#all = larger;
    }
    this.#all[this.#count++] = hash;
    this.#sorted = false;
  }

  /** @param text in hexadecimal. */
  has(text: string): boolean {
    if (!this.#sorted) this.#all.subarray(0, this.#count).sort();
    this.#sorted = true;
    const hash = BigInt(`0x${text}`);
    let [from, to] = [0, this.#count];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#all[middle]! < hash) from = middle + 1;
      else to = middle;
    }
    return from < this.#count && this.#all[from] === hash;
  }
}
