/**
 * Fills an empty service, key by key: what the file holds of a key is what RESTORE takes. So the service is never a replica of another,
 * its append-only file has every step, no second server is needed, and a key on hold never bears its own name, not for a moment.
 */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { World } from "../component.ts";
import { readSmall } from "../small-part.ts";
import type { Connection } from "./connection.ts";
import { Crc64 } from "./crc64.ts";
import { heldPrefix, holder } from "./hold.ts";
import { type RdbKey, RdbReader } from "./rdb.ts";
import { askKeyspace, askLibraries, askUsers, userName } from "./server.ts";

type Command = readonly (string | Uint8Array)[];

/** A server takes no longer word, unless proto-max-bulk-len was raised. */
const longestWord = 512 * 1024 * 1024;

export interface Loaded {
  /** Keys under the name that a hold gives them, by database. */
  readonly held: ReadonlyMap<number, number>;
}

/**
 * @param own user that this connection is of, if not `default`: left as it is, like `default`.
 * @throws MailarkError `TARGET_NOT_EMPTY` before anything is touched; otherwise what went wrong, with the service empty as it was.
 */
export async function loadService(
  snapshot: SnapshotReader,
  connection: Connection,
  { hold, own }: { readonly hold: readonly string[]; readonly own: string | undefined },
  world: World,
): Promise<Loaded> {
  const kept = keptUsers(own);
  const users = await usersOf(snapshot);
  await refuseUnlessEmpty(connection, kept);
  const added = users.filter((line) => !kept.includes(userName(line)));
  const held = new Map<number, number>();
  try {
    world.progress("loading keys");
    await connection.send(keyCommands(snapshot, hold, held));
    await connection.send(userCommands(added));
  } catch (error) {
    world.progress("taking back what was loaded");
    // An interrupted restore is taken back too: the connection's own signal may be the reason.
    await takeBack(connection, added, kept, world);
    throw error;
  }
  return { held };
}

/** Makes users of lines of a file of users. */
export async function* userCommands(lines: readonly string[]): AsyncGenerator<Command> {
  for (const line of lines) yield ["ACL", "SETUSER", ...line.split(" ").slice(1)];
}

/** Lines of the part `accounts`; none where it is missing. */
export async function usersOf(snapshot: SnapshotReader): Promise<string[]> {
  if (!snapshot.manifest.parts.some(({ name }) => name === "accounts")) return [];
  return (await readSmall(snapshot, "accounts")).toString("utf8").split("\n").filter(Boolean);
}

/** Users that a restore leaves as they are. */
export const keptUsers = (own: string | undefined): readonly string[] => [
  "default",
  ...(own === undefined ? [] : [own]),
];

/** @throws MailarkError `TARGET_NOT_EMPTY` for keys, functions or users, and for a server that is no primary. */
export async function refuseUnlessEmpty(connection: Connection, kept: readonly string[]): Promise<void> {
  const keyspace = await askKeyspace(connection);
  const libraries = await askLibraries(connection);
  const strangers = (await askUsers(connection)).map(userName).filter((name) => !kept.includes(name));
  const found = [
    ...keyspace.map(({ database, keys }) => `${keys} keys in database ${database}`),
    ...(libraries.length > 0 ? [`functions: ${libraries.join(", ")}`] : []),
    ...(strangers.length > 0 ? [`users: ${strangers.join(", ")}`] : []),
  ];
  if (found.length > 0) {
    throw new MailarkError("TARGET_NOT_EMPTY", "the Redis server is not empty", {
      detail: found.join("; "),
      hint: "restore to a scratch place or a directory and take from there, or move what is on the server away first",
    });
  }
  const role = (await connection.ask(["ROLE"])).split("\n")[0];
  if (role === "master") return;
  throw new MailarkError("TARGET_NOT_EMPTY", `the Redis server is no primary but a ${role}`, {
    hint: "restore into the primary; its replicas follow",
  });
}

async function* keyCommands(
  snapshot: SnapshotReader,
  hold: readonly string[],
  held: Map<number, number>,
): AsyncGenerator<Command> {
  const isHeld = holder(hold);
  let commands: Command[] = [];
  let version = 0;
  let selected: number | undefined;
  const reader = new RdbReader({
    payloads: true,
    version: (number) => {
      version = number;
    },
    library: (code) => commands.push(["FUNCTION", "LOAD", code]),
    key(key) {
      if (key.database !== selected) commands.push(["SELECT", String(key.database)]);
      selected = key.database;
      const hidden = isHeld(key.name);
      if (hidden) held.set(key.database, (held.get(key.database) ?? 0) + 1);
      const name = hidden ? Buffer.concat([Buffer.from(heldPrefix), key.name]) : key.name;
      commands.push(["RESTORE", name, String(key.expiresAt ?? 0), payloadOf(key, version), "ABSTTL"]);
    },
  });
  for await (const chunk of snapshot.readPart(snapshot.part("rdb"))) {
    reader.push(chunk);
    yield* commands;
    commands = [];
  }
  if (reader.end !== undefined && "bytes" in reader.end) return;
  throw unloadable(reader.end?.unknown ?? "the file ends too early");
}

/** A file that this program can not take apart. */
export const unloadable = (detail: string): MailarkError =>
  new MailarkError("RESTORE_FAILED", "the snapshot holds values that can not be loaded key by key", {
    detail,
    hint: "restore to a directory, and start the server with the file dump.rdb in its data directory",
  });

/** What DUMP would give: the value, the file's version and a checksum of both, the last two with the lowest byte first. */
function payloadOf({ payload = [] }: RdbKey, version: number): Buffer {
  const end = Buffer.from([version & 255, version >> 8]);
  const bytes = payload.reduce((sum, { length }) => sum + length, 10);
  if (bytes > longestWord) {
    throw new MailarkError("RESTORE_FAILED", "a value is too large to be loaded by itself", {
      hint: "restore to a directory, and start the server with the file dump.rdb in its data directory",
    });
  }
  const crc = new Crc64();
  for (const piece of payload) crc.update(piece);
  return Buffer.concat([...payload, end, crc.update(end).digest()], bytes);
}

/** Empties a service of keys, functions and these users, but for those that are kept. */
export async function takeBack(
  connection: Connection,
  users: readonly string[],
  kept: readonly string[],
  world: World,
): Promise<void> {
  const undo = connection.until(AbortSignal.timeout(300_000));
  await undo.ask(["FLUSHALL"]);
  if ((await askLibraries(undo)).length > 0) await undo.ask(["FUNCTION", "FLUSH"]);
  const names = users.map(userName).filter((name) => !kept.includes(name));
  if (names.length > 0) await undo.ask(["ACL", "DELUSER", ...names]);
  world.progress("the service is empty again");
}
