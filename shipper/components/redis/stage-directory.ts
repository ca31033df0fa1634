/** A snapshot as files for a person, with a page that says how a server takes them up. */
import { join } from "node:path";
import type { Part } from "../../../core/manifest.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { World } from "../component.ts";
import { readSmall } from "../small-part.ts";
import { type StagedFile, writeStaged } from "../staged-files.ts";
import { namesOf } from "./append-only.ts";
import type { Facts } from "./facts.ts";

/**
 * @param directory exists and is empty.
 * @throws MailarkError as `SnapshotReader.readPart`; what was written by then stays unfinished, without README.txt.
 */
export async function writeFiles(
  snapshot: SnapshotReader,
  facts: Facts,
  directory: string,
  { files }: Pick<World, "files">,
): Promise<StagedFile[]> {
  const written: StagedFile[] = [];
  const write = async (name: string, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) => {
    written.push(await writeStaged(files, join(directory, name), body));
  };
  await write("dump.rdb", snapshot.readPart(snapshot.part("rdb")));
  const accounts = snapshot.manifest.parts.find(({ name }) => name === "accounts");
  if (accounts !== undefined) await write("users.acl", snapshot.readPart(accounts));
  const appendOnly = await appendOnlyParts(snapshot);
  if (appendOnly.length > 0) files.mkdirSync(join(directory, "appendonlydir"), { mode: 0o700 });
  for (const { name, part } of appendOnly) await write(`appendonlydir/${name}`, snapshot.readPart(part));
  await write("facts.json", [Buffer.from(`${JSON.stringify(facts, null, 2)}\n`)]);
  await write("README.txt", [Buffer.from(readme(snapshot, facts))]);
  return written;
}

/** The append-only files under their own names, the manifest first; none where they were not captured. */
export async function appendOnlyParts(snapshot: SnapshotReader): Promise<{ name: string; part: Part }[]> {
  const { parts } = snapshot.manifest;
  const manifest = parts.find(({ name }) => name === "appendonly");
  if (manifest === undefined) return [];
  const names = namesOf((await readSmall(snapshot, manifest.name)).toString("utf8"));
  const stem = /^(.+?)\.\d+\.(base|incr)\./.exec(names[0] ?? "")?.[1] ?? "appendonly.aof";
  return [
    { name: `${stem}.manifest`, part: manifest },
    ...names.map((name, index) => ({ name, part: snapshot.part(`appendonly-${String(index + 1).padStart(4, "0")}`) })),
  ];
}

function readme(snapshot: SnapshotReader, { databases, settings }: Facts): string {
  const { hostId, snapshotId, cutAt, server } = snapshot.manifest;
  const lines = databases.map(
    ({ number, keys, expiring }) => `    ${number}  ${keys} keys, ${expiring} of them expire`,
  );
  const told = Object.entries(settings).map(([name, value]) => `    ${name} ${value === "" ? '""' : value}`);
  return `Redis of host ${hostId}, snapshot ${snapshotId}, as of ${cutAt}
from ${server?.flavour ?? "a server"} ${server?.version ?? ""}

${lines.join("\n") || "    no keys were counted"}

A server takes dump.rdb up when it starts, from its data directory (CONFIG GET dir). It prefers an append-only file that is there:

    systemctl stop redis-server
    rm -rf /var/lib/redis/appendonlydir /var/lib/redis/appendonly.aof    # look first: is it really to be given up?
    install -o redis -g redis -m 660 dump.rdb /var/lib/redis/dump.rdb
    # in redis.conf for this start: appendonly no
    systemctl start redis-server
    redis-cli CONFIG SET appendonly yes                                  # where it was on; then put it back into redis.conf

appendonlydir, where it is here, is what the server would have had after a crash a few moments later than dump.rdb. To start from it instead, put it
into the data directory, owned by redis, with appendonly yes. One or the other: a server that starts with appendonly yes does not look at dump.rdb.

Queues and sessions are in it as they were: what was queued runs again once a worker is there. Look before you start the workers.
users.acl goes where redis.conf says \`aclfile\`. It holds password hashes, and dump.rdb all data: keep them to yourself.

The server's settings were:

${told.join("\n")}
`;
}
