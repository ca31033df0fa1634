/** Triggers, routines and events: their text is arbitrary, so each database's are a dump of their own. */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { Connection, Program } from "./connection.ts";
import { dumpOutput, marked } from "./dump-output.ts";
import { quoteName } from "./sql-text.ts";

const maximumBytes = 64 * 1024 * 1024;

/**
 * The dump of one database's programs, in whichever database is selected.
 *
 * @throws MailarkError as {@link dumpOutput} and {@link marked}; `DUMP_FAILED` beyond 64 MiB.
 */
export async function dumpPrograms(
  program: Program,
  args: readonly string[],
  database: string,
  connection: Connection,
  world: World,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of marked(program, dumpOutput(program, args, connection, world))) {
    bytes += chunk.length;
    if (bytes > maximumBytes) {
      throw new MailarkError("DUMP_FAILED", "the programs of one database are larger than 64 MiB", {
        detail: database,
      });
    }
    chunks.push(chunk);
  }
  return withoutDatabase(Buffer.concat(chunks), database);
}

/**
 * Takes the name out of `ALTER DATABASE`. The program writes it around what was made under another collation than the database has now;
 * as it stands it would change the live database while a copy is loaded beside it.
 */
export function withoutDatabase(dump: Buffer, database: string): Buffer {
  const name = Buffer.from(quoteName(database)).toString("latin1");
  const alter = `ALTER DATABASE ${name} CHARACTER SET `;
  const lines = dump.toString("latin1").split(`\n${alter}`);
  return Buffer.from(lines.join("\nALTER DATABASE CHARACTER SET "), "latin1");
}
