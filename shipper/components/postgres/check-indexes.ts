/** Has the server look at every page of its tables, and for every row in its indexes. */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import type { Check, World } from "../component.ts";
import type { Connection } from "./connection.ts";
import { withSession } from "./session.ts";

/**
 * @param scratch whether the extension that this takes may be added to the database for the moment.
 */
export async function checkIndexes(
  connection: Connection,
  database: string,
  scratch: boolean,
  world: World,
): Promise<Check> {
  const name = `pages and indexes of ${database}`;
  const { processes, signal } = world;
  const inside = (sql: string) => withSession(connection, world, (session) => session.run(sql), database);
  const present = await withSession(
    connection,
    world,
    (session) => session.query("SELECT extname FROM pg_catalog.pg_extension WHERE extname = 'amcheck'"),
    database,
  );
  const there = present.length > 0;
  if (!there && !scratch) return { name, outcome: "unproven", detail: "the extension amcheck is not in this database" };
  const args = ["--heapallindexed", "--parent-check", "--no-password"];
  try {
    if (!there) await inside("CREATE EXTENSION amcheck SCHEMA pg_catalog");
    await outputOf(
      connection.through(processes),
      connection.command("pg_amcheck", [...args, connection.words(database)]),
      { signal },
    );
    if (!there) await inside("DROP EXTENSION amcheck");
    return { name, outcome: "passed", detail: "pg_amcheck found nothing wrong" };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MailarkError)) throw error;
    const missing =
      error.code === "PROGRAM_MISSING" ||
      /exit status 127|: 0A000: |: 58P01: /.test(`${error.message}\n${error.detail}`);
    if (missing) return { name, outcome: "unproven", detail: "pg_amcheck, or its extension amcheck, is not installed" };
    return { name, outcome: "failed", detail: connection.scrub(error.detail ?? error.message) };
  }
}
