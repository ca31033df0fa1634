/** A private server that has loaded a snapshot's file as a server does when it starts. */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { World } from "../component.ts";
import { placeWith, scratchPathAt } from "../elsewhere.ts";
import { openShelter, type Shelter } from "../shelter.ts";
import type { RedisConfig } from "./config.ts";
import { type Connection, openConnection } from "./connection.ts";
import { type Facts, KeyCounter } from "./facts.ts";
import { userCommands, usersOf } from "./load-service.ts";
import { verified } from "./rdb-stream.ts";
import { askKeyspace, userName } from "./server.ts";
import { appendOnlyParts } from "./stage-directory.ts";
import type { StagedRedis } from "./staged.ts";

const file = "dump.rdb";

/** @throws MailarkError as `stageRedis`, but where there is no program of a server: then the file stands there alone. */
export async function startScratch(
  config: RedisConfig,
  snapshot: SnapshotReader,
  facts: Facts,
  wanted: string,
  world: World,
): Promise<Omit<StagedRedis, "place" | "facts">> {
  const command = await placeWith(["redis-server", "valkey-server"], config.command, world);
  const path = scratchPathAt(command, wanted);
  const socket = `${path}/s`;
  if (Buffer.byteLength(socket) > 100) {
    throw new MailarkError("ARGUMENT_INVALID", "the scratch path is too long for a socket", {
      detail: path,
      hint: "choose a path of less than 98 characters",
    });
  }
  const shelter = await openShelter({ path, command, accounts: ["redis", "valkey", "nobody"] }, world);
  try {
    const counter = new KeyCounter();
    const content = snapshot.readPart(snapshot.part("rdb"));
    await shelter.write(
      file,
      verified(content, counter, () => {}),
    );
    const recounted = { databases: counter.databases, libraries: counter.libraries };
    const verdict = await checkFile(shelter);
    const appendOnly = await checkAppendOnly(shelter, snapshot);
    const remove = () => shelter.remove();
    const common = { recounted, ...(verdict && { verdict }), ...(appendOnly && { appendOnly }), remove };
    const server = await findProgram(shelter, ["redis-server", "valkey-server"]);
    if (server === undefined) return common;
    world.progress("starting a scratch Redis server");
    const wrap = (words: readonly string[]) => shelter.command(words);
    let connection: Connection | undefined;
    await shelter.serve({
      name: "redis",
      words: [server, ...settings(socket, path, facts)],
      reads: true,
      async ready() {
        connection ??= await openConnection({ socket, stallSeconds: config.stallSeconds, wrap }, world);
        return isUp(connection);
      },
    });
    const up = connection!;
    while (!/^loading:0\r?$/m.test(await up.ask(["INFO", "persistence"]))) await world.clock.sleep(100, world.signal);
    const loaded = await askKeyspace(up);
    await up.ask(["REPLICAOF", "NO", "ONE"]);
    const users = await usersOf(snapshot);
    await up.send(userCommands(users.filter((line) => userName(line) !== "default")));
    return { ...common, connection: up, loaded };
  } catch (error) {
    await shelter.remove();
    throw error;
  }
}

/**
 * Reachable by its socket only; writes nothing. It begins as a replica of nobody, because a primary leaves out what has expired when it
 * loads: so every key that was captured is counted.
 */
function settings(socket: string, path: string, { databases, settings }: Facts): string[] {
  const highest = Math.max(15, ...databases.map(({ number }) => number));
  const words = {
    port: ["0"],
    unixsocket: [socket],
    unixsocketperm: ["700"],
    dir: [path],
    dbfilename: [file],
    save: [""],
    appendonly: ["no"],
    databases: [String(Math.max(highest + 1, Number(settings.databases ?? 0)))],
    replicaof: ["127.0.0.1", "1"],
    "replica-serve-stale-data": ["yes"],
    "replica-read-only": ["no"],
    "lua-time-limit": ["0"],
  };
  return Object.entries(words).flatMap(([name, values]) => [`--${name}`, ...values]);
}

/** One that still loads is up: how long that takes is its own affair. */
async function isUp(connection: Connection): Promise<boolean> {
  try {
    return (await connection.ask(["PING"])) === "PONG";
  } catch (error) {
    return /LOADING/.test(asMailarkError(error).detail ?? "");
  }
}

async function findProgram(shelter: Shelter, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    try {
      await shelter.run([name, "--version"]);
      return name;
    } catch (error) {
      if (asMailarkError(error).code !== "PROGRAM_MISSING") throw error;
    }
  }
  return undefined;
}

async function checkFile(shelter: Shelter): Promise<{ problem: string | undefined } | undefined> {
  for (const name of ["redis-check-rdb", "valkey-check-rdb"]) {
    try {
      const said = (await shelter.run([name, file])).toString("utf8");
      return { problem: said.includes("looks OK") ? undefined : said.slice(-500) };
    } catch (error) {
      const { code, detail, message } = asMailarkError(error);
      if (code === "PROGRAM_MISSING") continue;
      if (code !== "PROGRAM_FAILED") throw error;
      return { problem: `${message} ${detail ?? ""}`.trim() };
    }
  }
  return undefined;
}

/** The checker ends with 0 where every file is whole; a last command that was cut off is what a server drops when it starts. */
async function checkAppendOnly(shelter: Shelter, snapshot: SnapshotReader): Promise<StagedRedis["appendOnly"]> {
  const parts = await appendOnlyParts(snapshot);
  if (parts.length === 0) return undefined;
  await shelter.run(["mkdir", "-m", "700", "appendonlydir"]);
  for (const { name, part } of parts) await shelter.write(`appendonlydir/${name}`, snapshot.readPart(part));
  for (const program of ["redis-check-aof", "valkey-check-aof"]) {
    try {
      await shelter.run([program, `appendonlydir/${parts[0]!.name}`]);
      return { files: parts.length - 1, checked: true };
    } catch (error) {
      const { code, detail, message } = asMailarkError(error);
      if (code === "PROGRAM_MISSING") continue;
      if (code !== "PROGRAM_FAILED") throw error;
      return { files: parts.length - 1, checked: true, problem: `${message} ${detail ?? ""}`.trim() };
    }
  }
  return { files: parts.length - 1, checked: false };
}
