/** A snapshot as files for a person: names that can do no harm, and a page that says in which order they are loaded. */
import { join } from "node:path";
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { World } from "../component.ts";
import { fileStem, isAsWritten, type StagedFile, writeStaged } from "../staged-files.ts";
import { ArchiveWalker } from "./archive.ts";
import type { DatabaseFacts, Facts } from "./facts.ts";
import { ownDatabases, textOf } from "./server.ts";
import { quoteName } from "./sql-text.ts";

/** One file, as it was written; an archive with its database. */
export type PostgresFile = StagedFile & { readonly database?: DatabaseFacts };

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
): Promise<PostgresFile[]> {
  const written: PostgresFile[] = [];
  const globals = join(directory, "globals.sql");
  written.push(await writeStaged(files, globals, snapshot.readPart(snapshot.part("globals"))));
  for (const database of databases) {
    const file = fileName(database);
    progress(`writing ${file}`);
    const staged = await writeStaged(files, join(directory, file), snapshot.readPart(snapshot.part(database.part)));
    written.push({ ...staged, database });
  }
  const json = JSON.stringify({ ...facts, databases }, null, 2);
  await writeStaged(files, join(directory, "facts.json"), [Buffer.from(`${json}\n`)]);
  await writeStaged(files, join(directory, "README.txt"), [Buffer.from(readme(snapshot, databases))]);
  return written;
}

/** Whether a file is still what was written and, for an archive, holds all that its table of contents says. */
export function isWhole(files: Files, file: PostgresFile): boolean {
  const walker = file.database && new ArchiveWalker(textOf(file.database));
  try {
    const same = isAsWritten(files, file, (chunk) => walker?.push(chunk));
    walker?.end();
    return same;
  } catch (error) {
    if (error instanceof MailarkError) return false;
    throw error;
  }
}

const fileName = ({ name, part }: DatabaseFacts) => `${fileStem(part, name)}.dump`;

function readme(snapshot: SnapshotReader, databases: readonly DatabaseFacts[]): string {
  const { hostId, snapshotId, cutAt, server } = snapshot.manifest;
  const names = databases.map(({ name, part }) => `    ${part.replace("database-", "")}  ${quoteName(name)}`);
  const loads = databases.map((database) => {
    const own = ownDatabases.includes(database.name);
    const from = database.name === "postgres" ? "template1" : "postgres";
    const words = own ? "--clean --if-exists --create" : "--create";
    return `    pg_restore ${words} --exit-on-error --dbname=${from} < ${fileName(database)}`;
  });
  return `Databases of host ${hostId}, snapshot ${snapshotId}, as of ${cutAt}
from ${server?.flavour ?? "a server"} ${server?.version ?? ""}

${names.join("\n")}

Load into an empty server of that release or a newer one, as its superuser (postgres), in this order. Where it lets in nobody else over its socket,
as Debian's does, do it as root with "runuser -u postgres --" before each; the directories of tablespaces must be there (grep LOCATION globals.sql):

    psql -X --dbname=postgres < globals.sql
${loads.join("\n")}

The first complains of roles that are there already: that is well, it gives them the password and the rights that they had, the superuser's own
password too. Then every database is made with its owner, its settings and its rights. To load one beside a live one, under another name:

    createdb --template=template0 --owner=OWNER NEWNAME
    pg_restore --exit-on-error --dbname=NEWNAME < FILE.dump

That leaves out settings and rights of the database as a whole (pg_restore --create --file=- FILE.dump | head -100 shows them).
globals.sql holds password hashes: keep it, and all of this, to yourself.
facts.json has the rows and a digest of every table, to compare with afterwards.
`;
}
