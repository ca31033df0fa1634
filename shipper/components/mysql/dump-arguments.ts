/** How the dump programs of both flavours are called. Pure, so that the flavour that is not at hand can be tested. */
import type { Program } from "./connection.ts";
import { atLeast, type Server } from "./server.ts";

/** The programs to look for, the one that belongs to the server first. */
export function dumpPrograms({ flavour }: Pick<Server, "flavour">): readonly string[] {
  return flavour === "mariadb" ? ["mariadb-dump", "mysqldump"] : ["mysqldump", "mariadb-dump"];
}

/**
 * Tables, rows and views of all databases in one view with one position. Programs are left out: theirs is the only text in a dump
 * whose lines are arbitrary, so without them the stream can be told apart with certainty.
 */
export function tablesArguments(program: Program, server: Server, databases: readonly string[]): string[] {
  return [
    ...common(program, server),
    "--skip-triggers",
    "--skip-routines",
    "--skip-events",
    ...(server.binlog ? positionArguments(program, server) : []),
    // Rows of the past, of tables that keep them.
    ...(keepsHistory(program, server) ? ["--dump-history"] : []),
    "--databases",
    "--",
    ...databases,
  ];
}

/** Triggers and routines of one database. */
export function programsArguments(program: Program, server: Server, database: string): string[] {
  return [...common(program, server), ...noTables, "--triggers", "--routines", "--skip-events", "--", database];
}

/** Events of one database. */
export function eventsArguments(program: Program, server: Server, database: string): string[] {
  return [...common(program, server), ...noTables, "--skip-triggers", "--skip-routines", "--events", "--", database];
}

/** Whether a dump holds the past rows of tables with system versioning. */
export function keepsHistory(program: Program, server: Server): boolean {
  const both = [program, server];
  return both.every(({ flavour, version }) => flavour === "mariadb" && atLeast(version, 10, 11));
}

const noTables = ["--no-data", "--no-create-info", "--no-create-db"];

function common(program: Program, server: Server): string[] {
  return [
    // Said although it is the default: an option file of the host may say otherwise, and the stream is told apart by its comments.
    "--opt",
    "--comments",
    "--quick",
    "--single-transaction",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
    ...(program.flavour === "mysql" ? ["--no-tablespaces", "--set-gtid-purged=OFF"] : []),
    ...(program.flavour === "mysql" && atLeast(program.version, 8, 0) && !atLeast(server.version, 8, 0)
      ? ["--column-statistics=0"]
      : []),
  ];
}

function positionArguments(program: Program, server: Server): string[] {
  if (program.flavour === "mysql" && atLeast(program.version, 8, 1)) return ["--source-data=2"];
  if (program.flavour === "mysql") return [sourceData(program.version) ? "--source-data=2" : "--master-data=2"];
  return ["--master-data=2", ...(server.flavour === "mariadb" ? ["--gtid"] : [])];
}

/** MySQL's new word for it came with 8.0.26. */
function sourceData(version: string): boolean {
  const patch = Number(/^8\.0\.(\d+)/.exec(version)?.[1] ?? 0);
  return patch >= 26;
}
