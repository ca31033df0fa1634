/** Captures a server: its RDB file as of one moment, its users, and what was counted in the file while it passed. */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { Manifest } from "../../../core/manifest.ts";
import type { CaptureContext, Captured } from "../component.ts";
import { captureAppendOnly } from "./append-only.ts";
import type { RedisConfig } from "./config.ts";
import { type Connection, connectionOf } from "./connection.ts";
import { type Facts, KeyCounter } from "./facts.ts";
import { type RdbVerdict, rdbStream } from "./rdb-stream.ts";
import { askServer, askSettings, askUsers, userName } from "./server.ts";

type Warning = Manifest["warnings"][number];

/** What has to be the same for the data to behave as it did. */
const settingNames = ["databases", "maxmemory", "maxmemory-policy", "appendonly", "save", "notify-keyspace-events"];

/** @throws MailarkError as `Component.capture` says. */
export async function captureRedis(config: RedisConfig, context: CaptureContext): Promise<Captured> {
  const connection = await connectionOf(config, context);
  const server = await askServer(connection);
  if (server.cluster) {
    throw new MailarkError(
      "CAPTURE_FAILED",
      "the server is one node of a cluster, which has only a share of the keys",
      {
        hint: "this version captures servers that stand alone, or one primary with its replicas",
      },
    );
  }
  context.progress("reading the server's data");
  const startedAt = context.clock.now();
  const counter = new KeyCounter();
  let verdict: RdbVerdict | undefined;
  const stream = rdbStream(connection, counter, (given) => (verdict = given), context);
  const key = await context.keys.host();
  const rdb = await context.writer.part("rdb", stream, key);
  const { understood = false, checked = false } = verdict ?? {};
  const counted = understood && counter.asAnnounced;

  const appendOnly = server.appendOnly ? await captureAppendOnly(config, connection, context) : undefined;
  const users = await usersOf(connection);
  if (users !== undefined) await context.writer.part("accounts", textStream(users.map((line) => `${line}\n`)), key);
  const facts: Facts = {
    counted,
    databases: counted ? counter.databases : [],
    libraries: counter.libraries,
    users: (users ?? []).map(userName),
    settings: await askSettings(connection, settingNames),
  };
  await context.writer.part("facts", textStream([JSON.stringify(facts)]), key, "index");

  const { properties } = counter;
  const sum = (of: "keys" | "expiring") => facts.databases.reduce((total, each) => total + each[of], 0);
  return {
    cutAt: cutOf(properties.get("ctime"), startedAt, context.clock.now()),
    completeness: users === undefined ? "partial" : "complete",
    tools: { [connection.client.name]: connection.client.version },
    server: { flavour: server.flavour, version: server.version },
    position: positionOf(server.runId, properties),
    facts: {
      ...(counted && { databases: facts.databases.length, keys: sum("keys"), expiring: sum("expiring") }),
      libraries: facts.libraries.length,
      users: facts.users.length,
      rdbBytes: rdb.bytes,
      ...(appendOnly && { appendOnlyFiles: appendOnly.files, appendOnlyBytes: appendOnly.bytes }),
    },
    warnings: [
      ...warn("ACCOUNTS_UNREADABLE", users === undefined),
      ...warn("APPEND_ONLY_LEFT_OUT", server.appendOnly && appendOnly === undefined),
      ...warn("CHECKSUM_OFF", !checked),
      ...warn("KEYS_NOT_COUNTED", !counted),
    ],
  };
}

const warn = (code: string, so: boolean): Warning[] => (so ? [{ code, count: 1 }] : []);

/** The file has whole seconds, of the server's clock: it is believed where it can be true. Never later than the data. */
function cutOf(ctime: string | undefined, startedAt: number, endedAt: number): number {
  const cut = Number(ctime ?? 0) * 1000;
  return cut > startedAt && cut <= endedAt ? cut : startedAt;
}

function positionOf(runId: string, properties: ReadonlyMap<string, string>): Record<string, string | number> {
  const id = properties.get("repl-id");
  const offset = properties.get("repl-offset");
  return {
    runId,
    ...(id !== undefined && { replicationId: id }),
    ...(offset !== undefined && { replicationOffset: Number(offset) }),
  };
}

/** Undefined where this account may not read them. */
async function usersOf(connection: Connection): Promise<string[] | undefined> {
  try {
    return await askUsers(connection);
  } catch (error) {
    if (/NOPERM/.test(asMailarkError(error).detail ?? "")) return undefined;
    throw error;
  }
}

async function* textStream(texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}
