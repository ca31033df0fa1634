/** What a server says of itself. */
import { MailarkError } from "../../../core/errors.ts";
import type { Connection } from "./connection.ts";

export interface Server {
  readonly flavour: "redis" | "valkey";
  readonly version: string;
  readonly runId: string;
  /** Whether it writes an append-only file. */
  readonly appendOnly: boolean;
  readonly cluster: boolean;
}

/** What `INFO keyspace` says of one database. */
export interface Keyspace {
  readonly database: number;
  readonly keys: number;
  readonly expiring: number;
}

/** @throws MailarkError as `Connection.ask`; `CAPTURE_FAILED` while it is loading. */
export async function askServer(connection: Connection): Promise<Server> {
  const info = fieldsOf(await connection.ask(["INFO"]));
  const version = info.get("valkey_version") ?? info.get("redis_version");
  if (version === undefined) {
    throw new MailarkError("CAPTURE_FAILED", "the server does not say what it is", {
      hint: "the account needs the command INFO",
    });
  }
  return {
    flavour: info.has("valkey_version") ? "valkey" : "redis",
    version,
    runId: info.get("run_id") ?? "",
    appendOnly: info.get("aof_enabled") === "1",
    cluster: info.get("cluster_enabled") === "1",
  };
}

/** Databases that hold something, by their numbers. Keys that have expired and are not removed yet are counted. */
export async function askKeyspace(connection: Connection): Promise<Keyspace[]> {
  const info = fieldsOf(await connection.ask(["INFO", "keyspace"]));
  return [...info].flatMap(([name, text]) => {
    const database = /^db(\d+)$/.exec(name)?.[1];
    const [, keys, expiring] = /keys=(\d+),expires=(\d+)/.exec(text) ?? [];
    return database === undefined
      ? []
      : [{ database: Number(database), keys: Number(keys), expiring: Number(expiring) }];
  });
}

/** Bytes of its data in memory. */
export async function askMemory(connection: Connection): Promise<number> {
  return Number(fieldsOf(await connection.ask(["INFO", "memory"])).get("used_memory_dataset") ?? 0);
}

/** Names of libraries of functions; none in releases that have no functions. */
export async function askLibraries(connection: Connection): Promise<string[]> {
  return unlessUnknown(async () => {
    const lines = (await connection.ask(["FUNCTION", "LIST"])).split("\n");
    return lines.filter((_, index) => lines[index - 1] === "library_name");
  });
}

/** Users as a file of users has them, one a line; none in releases that have no users. */
export async function askUsers(connection: Connection): Promise<string[]> {
  return unlessUnknown(async () => {
    return (await connection.ask(["ACL", "LIST"])).split("\n").filter((line) => line.startsWith("user "));
  });
}

/** `user NAME …` */
export const userName = (line: string): string => line.split(" ")[1] ?? "";

/** Settings by name; those that the server does not know or does not tell are left out. */
export async function askSettings(connection: Connection, names: readonly string[]): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const name of names) {
    const [found, value] = await connection.ask(["CONFIG", "GET", name]).then(
      (text) => text.split("\n"),
      (error) => {
        if (error instanceof MailarkError && /NOPERM|unknown/i.test(error.detail ?? "")) return [];
        throw error;
      },
    );
    if (found === name && value !== undefined) settings[name] = value;
  }
  return settings;
}

async function unlessUnknown(ask: () => Promise<string[]>): Promise<string[]> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof MailarkError && /unknown command/i.test(error.detail ?? "")) return [];
    throw error;
  }
}

function fieldsOf(info: string): Map<string, string> {
  return new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(":");
      return colon < 1 || line.startsWith("#") ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const];
    }),
  );
}
