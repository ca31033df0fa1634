/** A snapshot as files for a person: names that can do no harm, and a page that says in which order they are loaded. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, writeWhole } from "../../../core/ports/files.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { World } from "../component.ts";
import { ArchiveWalker } from "./archive.ts";
import type { DatabaseFacts, Facts } from "./facts.ts";
import { ownDatabases, textOf } from "./server.ts";
import { quoteName } from "./sql-text.ts";

/** One file, as it was written. */
export interface StagedFile {
  readonly path: string;
  /** The database of an archive. */
  readonly database?: DatabaseFacts;
  readonly sha256: string;
}

/**
 * @param directory exists and is empty.
 * @throws MailarkError as `SnapshotReader.readPart`; what was written by then stays unfinished, without README.txt.
 */
export async function writeFiles(
  snapshot: SnapshotReader,
  facts: Facts,
  databases: readonly DatabaseFacts[],
  directory: string,
  { files, progress }: Pick<World, "files" | "progress">,
): Promise<StagedFile[]> {
  const written: StagedFile[] = [];
  const globals = join(directory, "globals.sql");
  written.push({ path: globals, sha256: await write(files, globals, snapshot.readPart(snapshot.part("globals"))) });
  for (const database of databases) {
    const file = fileName(database);
    progress(`writing ${file}`);
    const path = join(directory, file);
    const sha256 = await write(files, path, snapshot.readPart(snapshot.part(database.part)));
    written.push({ path, database, sha256 });
  }
  const json = JSON.stringify({ ...facts, databases }, null, 2);
  await write(files, join(directory, "facts.json"), [Buffer.from(`${json}\n`)]);
  await write(files, join(directory, "README.txt"), [Buffer.from(readme(snapshot, databases))]);
  return written;
}

/** Whether a file is still what was written and, for an archive, holds all that its table of contents says. */
export function isWhole(files: Files, { path, sha256, database }: StagedFile): boolean {
  const hash = createHash("sha256");
  const walker = database && new ArchiveWalker(textOf(database));
  const descriptor = files.openSync(path, "r");
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(1024 * 1024);
      const read = files.readSync(descriptor, chunk);
      if (read === 0) break;
      hash.update(chunk.subarray(0, read));
      walker?.push(chunk.subarray(0, read));
    }
    walker?.end();
  } catch (error) {
    if (error instanceof MailarkError) return false;
    throw error;
  } finally {
    files.closeSync(descriptor);
  }
  return hash.digest("hex") === sha256;
}

/** The number makes it unique; of the name only what every file system and shell takes as it is. */
function fileName({ name, part }: DatabaseFacts): string {
  const safe = Buffer.from(name)
    .toString("latin1")
    .replace(/[^A-Za-z0-9_-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
  return `${part.replace("database-", "")}-${safe.slice(0, 150)}.dump`;
}

async function write(
  files: Files,
  path: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<string> {
  const hash = createHash("sha256");
  const descriptor = files.openSync(path, "wx", 0o600);
  try {
    for await (const chunk of body) {
      writeWhole(files, descriptor, chunk);
      hash.update(chunk);
    }
    files.fsyncSync(descriptor);
  } finally {
    files.closeSync(descriptor);
  }
  return hash.digest("hex");
}

function readme(snapshot: SnapshotReader, databases: readonly DatabaseFacts[]): string {
  const { hostId, snapshotId, cutAt, server } = snapshot.manifest;
  const names = databases.map(({ name, part }) => `    ${part.replace("database-", "")}  ${quoteName(name)}`);
  const loads = databases.map((database) => {
    const own = ownDatabases.includes(database.name);
    const from = database.name === "postgres" ? "template1" : "postgres";
    const words = own ? "--clean --if-exists --create" : "--create";
    return `    pg_restore ${words} --exit-on-error --dbname=${from} ${fileName(database)}`;
  });
  return `Databases of host ${hostId}, snapshot ${snapshotId}, as of ${cutAt}
from ${server?.flavour ?? "a server"} ${server?.version ?? ""}

${names.join("\n")}

Load into an empty server of that release or a newer one, as its superuser (postgres), in this order:

    psql -X --dbname=postgres --file=globals.sql
${loads.join("\n")}

The first complains of roles that are there already: that is well, it gives them the password and the rights that they had, the superuser's own
password too. Then every database is made with its owner, its settings and its rights. To load one beside a live one, under another name:

    createdb --template=template0 --owner=OWNER NEWNAME
    pg_restore --exit-on-error --dbname=NEWNAME FILE.dump

That leaves out settings and rights of the database as a whole (pg_restore --create --file=- FILE.dump | head -100 shows them).
globals.sql holds password hashes: keep it, and all of this, to yourself.
facts.json has the rows and a digest of every table, to compare with afterwards.
`;
}
