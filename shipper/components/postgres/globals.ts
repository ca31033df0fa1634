/** Roles, memberships, tablespaces and rights on parameters: what belongs to the whole server. It holds password hashes. */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { Connection } from "./connection.ts";
import { dumpOutput } from "./dump-output.ts";

/** The last line of what pg_dumpall prints; newer releases say one more thing after it. */
const completionMark = /\n-- PostgreSQL database cluster dump complete\n/;
const maximumBytes = 64 * 1024 * 1024;

export interface Globals {
  readonly sql: string;
  /** Whether the hashes of passwords are among it. */
  readonly passwords: boolean;
}

/**
 * @throws MailarkError as {@link dumpOutput}; `DUMP_TRUNCATED` without the mark of a complete dump.
 */
export async function captureGlobals(connection: Connection, world: World): Promise<Globals> {
  try {
    return { sql: await dumpGlobals(connection, [], world), passwords: true };
  } catch (error) {
    if (!(error instanceof MailarkError) || !/pg_authid/.test(error.detail ?? "")) throw error;
    // Only a superuser may read the hashes.
    return { sql: await dumpGlobals(connection, ["--no-role-passwords"], world), passwords: false };
  }
}

async function dumpGlobals(connection: Connection, more: readonly string[], world: World): Promise<string> {
  const { maintenanceDatabase } = connection;
  const args = ["--globals-only", "--no-password", "--encoding=UTF8", ...more, `--database=${maintenanceDatabase}`];
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of dumpOutput(
    "pg_dumpall",
    [...args, connection.to(maintenanceDatabase)],
    connection,
    world,
  )) {
    bytes += chunk.length;
    if (bytes > maximumBytes) throw new MailarkError("DUMP_FAILED", "the roles of the server take more than 64 MiB");
    chunks.push(chunk);
  }
  const sql = Buffer.concat(chunks).toString("utf8");
  if (completionMark.test(sql.slice(-300))) return sql;
  throw new MailarkError("DUMP_TRUNCATED", "pg_dumpall ended without the mark of a complete dump", {
    hint: "look for a full disk or a killed process",
    retryable: true,
  });
}

/** One statement of the globals, and what it is about. */
export interface GlobalStatement {
  readonly sql: string;
  /** The role that it makes or alters. */
  readonly role?: string;
  /** The tablespace that it makes or alters. */
  readonly tablespace?: string;
  readonly creates: boolean;
}

/**
 * The statements in their order, without the commands of psql and the settings around them.
 *
 * @param sql what pg_dumpall printed.
 */
export function globalStatements(sql: string): GlobalStatement[] {
  return splitStatements(sql)
    .filter((statement) => !/^SET /.test(statement))
    .map((statement) => {
      const [, verb, kind, quoted] =
        new RegExp(`^(?:(CREATE|ALTER|COMMENT ON) )(ROLE|TABLESPACE) ${identifier}`).exec(statement) ?? [];
      const grant = new RegExp(`^(?:GRANT|REVOKE) .* ON (TABLESPACE) ${identifier}`, "s").exec(statement);
      const name = nameOf(quoted ?? grant?.[2] ?? "");
      const about = kind ?? grant?.[1];
      return {
        sql: statement,
        ...(about === "ROLE" && { role: name }),
        ...(about === "TABLESPACE" && { tablespace: name }),
        creates: verb === "CREATE",
      };
    });
}

/** Roles that the globals make. */
export function rolesOf(sql: string): string[] {
  return globalStatements(sql).flatMap(({ role, creates }) => (role !== undefined && creates ? [role] : []));
}

/** `CREATE TABLESPACE` with another place; an empty one is inside the data directory (`allow_in_place_tablespaces`). */
export function withLocation(statement: string, place: string): string {
  return statement.replace(new RegExp(location, "s"), ` LOCATION '${place.replaceAll("'", "''")}'`);
}

/** The place that a `CREATE TABLESPACE` names, as the literal that stands there. */
export const locationOf = (statement: string): string | undefined => new RegExp(location, "s").exec(statement)?.[1];

const location = " LOCATION (E?'(?:[^'\\\\]|\\\\.|'')*')";
const identifier = '("(?:[^"]|"")*"|[a-z_][a-z0-9_$]*)';
const nameOf = (text: string) => (text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);

/** Cuts SQL at its semicolons, outside of texts, names and comments; lines that are commands of psql are left out. */
function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  const token = /--[^\n]*|\bE'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|;|\\[a-z]+[^\n]*/gsy;
  let statement = "";
  for (let at = 0; at < sql.length; ) {
    token.lastIndex = at;
    const found = token.exec(sql)?.[0];
    if (found === undefined) statement += sql[at++]!;
    else {
      at += found.length;
      if (found === ";") {
        statements.push(statement.trim());
        statement = "";
      } else if (!found.startsWith("--") && !found.startsWith("\\")) statement += found;
    }
  }
  return statements.filter((each) => each !== "");
}
