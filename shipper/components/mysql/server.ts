/** What a server is, and which databases it holds. */
import { MailarkError } from "../../../core/errors.ts";
import type { MysqlConfig } from "./config.ts";
import type { Flavour } from "./connection.ts";
import type { Session } from "./session.ts";
import { quoteTexts } from "./sql-text.ts";

export interface Server {
  readonly flavour: Flavour;
  /** `10.11.19-MariaDB-0+deb12u1-log` */
  readonly version: string;
  /** Whether it writes a binary log, so that there is a position to go on from. */
  readonly binlog: boolean;
}

/** Databases that belong to the server, not to whom it serves. */
const ownDatabases: readonly string[] = ["information_schema", "performance_schema", "mysql", "sys"];

/** Asks a server what it is. */
export async function askServer(session: Session): Promise<Server> {
  const [row] = await session.query("SELECT VERSION(), @@version_comment, @@log_bin");
  const [version = "", comment = "", binlog] = row ?? [];
  const flavour = /mariadb/i.test(`${version} ${comment}`) ? "mariadb" : "mysql";
  return { flavour, version, binlog: binlog === "1" };
}

/** Whether a server is of this release or a later one: `atLeast("10.11.19-MariaDB", 10, 11)`. */
export function atLeast(version: string, major: number, minor: number): boolean {
  const [, found = "0", then = "0"] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(found) > major || (Number(found) === major && Number(then) >= minor);
}

/** All databases but the server's own, in the order of their names. */
export async function listDatabases(session: Session): Promise<string[]> {
  const rows = await session.query(
    `SELECT schema_name FROM information_schema.schemata
     WHERE schema_name NOT IN (${quoteTexts(ownDatabases)}) ORDER BY BINARY schema_name`,
  );
  // A directory in the data directory that is none of its databases: a file system's own, or a hidden one.
  return rows.map(([name]) => name!).filter((name) => !/^#mysql50#(lost\+found$|\.)/.test(name));
}

/**
 * The databases that the configuration asks for, in the order of their names.
 *
 * @throws MailarkError `CAPTURE_FAILED` when one is not there, or there is none: a server that lost all its databases must not pass
 *   for one that was saved.
 */
export function wantedDatabases(present: readonly string[], wanted: MysqlConfig["databases"]): string[] {
  if (wanted === "all") {
    if (present.length > 0) return [...present];
    throw new MailarkError("CAPTURE_FAILED", "the server shows no database to capture", {
      hint: "check that this is the right server, and that the account may see its databases",
    });
  }
  const missing = wanted.filter((name) => !present.includes(name));
  if (missing.length > 0) {
    throw new MailarkError("CAPTURE_FAILED", `${missing.length} of the databases to capture are not on the server`, {
      detail: missing.join(", "),
      hint: "correct the list of databases of the mysql component, or give the account the right to see them",
    });
  }
  return present.filter((name) => wanted.includes(name));
}
