/** A snapshot as SQL files for a person: names that can do no harm, and a page that says in which order they are loaded. */
import { join } from "node:path";
import type { Files } from "../../../core/ports/files.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { World } from "../component.ts";
import { fileStem, isAsWritten, type StagedFile, writeStaged } from "../staged-files.ts";
import { completionMark } from "./dump-output.ts";
import type { DatabaseFacts, Facts } from "./facts.ts";
import { partsOf } from "./select.ts";
import { quoteName } from "./sql-text.ts";

/** A row with a large BLOB is more than a client or a server takes by default. */
const client = "mariadb --binary-mode --default-character-set=utf8mb4 --max-allowed-packet=1G";

/** One file of SQL, as it was written. */
export type SqlFile = StagedFile & { readonly database?: string };

/**
 * @param directory exists and is empty.
 * @throws MailarkError as `SnapshotReader.readPart`; what was written by then stays unfinished, without README.txt.
 */
export async function writeSqlFiles(
  snapshot: SnapshotReader,
  facts: Facts,
  databases: readonly DatabaseFacts[],
  directory: string,
  { files, progress }: Pick<World, "files" | "progress">,
): Promise<SqlFile[]> {
  const written: SqlFile[] = [];
  const steps: { order: number; line: string }[] = [];
  for (const database of databases) {
    for (const { kind, name } of partsOf(snapshot, database)) {
      const file = fileName(database, kind);
      progress(`writing ${file}`);
      const staged = await writeStaged(files, join(directory, file), snapshot.readPart(snapshot.part(name)));
      written.push({ ...staged, database: database.name });
      const order = ["database", "programs", "views", "accounts", "events"].indexOf(kind);
      steps.push({ order, line: `${client} --database=NAME < ${file}` });
    }
  }
  if (snapshot.manifest.parts.some(({ name }) => name === "accounts")) {
    const path = join(directory, "accounts.sql");
    written.push(await writeStaged(files, path, snapshot.readPart(snapshot.part("accounts"))));
    steps.push({ order: 3, line: `${client} < accounts.sql` });
  }
  await writeStaged(files, join(directory, "create-databases.sql"), [
    Buffer.from(databases.map(({ create }) => `${create};\n`).join("")),
  ]);
  await writeStaged(files, join(directory, "facts.json"), [
    Buffer.from(`${JSON.stringify({ ...facts, databases }, null, 2)}\n`),
  ]);
  const lines = steps.toSorted((a, b) => a.order - b.order).map(({ line }) => `    ${line}`);
  await writeStaged(files, join(directory, "README.txt"), [Buffer.from(readme(snapshot, databases, lines))]);
  return written;
}

/** Whether a file is still what was written, and ends as a dump ends. */
export function isWhole(files: Files, file: StagedFile): boolean {
  let end = Buffer.alloc(0);
  const same = isAsWritten(files, file, (chunk) => {
    end = Buffer.concat([end, chunk.subarray(-200)]).subarray(-200);
  });
  return same && completionMark.test(end.toString("latin1"));
}

function fileName({ name, part }: DatabaseFacts, kind: string): string {
  return `${fileStem(part, name)}.${kind === "database" ? "tables" : kind}.sql`;
}

function readme(snapshot: SnapshotReader, databases: readonly DatabaseFacts[], lines: readonly string[]): string {
  const { hostId, snapshotId, cutAt, server } = snapshot.manifest;
  const names = databases.map(({ name, part }) => `    ${part.replace("database-", "")}  ${quoteName(name)}`);
  return `Databases of host ${hostId}, snapshot ${snapshotId}, as of ${cutAt}
from ${server?.flavour ?? "a server"} ${server?.version ?? ""}

${names.join("\n")}

Load into an empty server, in this order. NAME is the database of the file's number, or another one: no file names its own. Events run as soon
as they are loaded. accounts.sql holds password hashes: keep it, and all of this, to yourself.

    mariadb --execute='SET GLOBAL max_allowed_packet=1073741824'
    ${client} < create-databases.sql
${lines.join("\n")}

A client that ends at line 1 with "Unknown command" is too old for that line, which only makes loading safer: leave it out (tail -n +2).
The first line lets the server take rows as large as they come, until it is started again.
facts.json has the rows and the CHECKSUM TABLE … EXTENDED of every table, to compare with afterwards.
`;
}
