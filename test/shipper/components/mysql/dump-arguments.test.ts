import { expect, test } from "vitest";
import { versionOf } from "../../../../shipper/components/mysql/connection.ts";
import {
  dumpPrograms,
  eventsArguments,
  keepsHistory,
  programsArguments,
  tablesArguments,
} from "../../../../shipper/components/mysql/dump-arguments.ts";
import { atLeast, type Server } from "../../../../shipper/components/mysql/server.ts";

const mariadbServer: Server = { flavour: "mariadb", version: "10.11.19-MariaDB-0+deb12u1-log", binlog: true };
const mysqlServer: Server = { flavour: "mysql", version: "8.0.36", binlog: true };
const mariadbDump = { name: "mariadb-dump", flavour: "mariadb", version: "10.11.19" } as const;
const mysqldump = (version: string) => ({ name: "mysqldump", flavour: "mysql", version }) as const;

test("programs are told apart by what they print", () => {
  const recorded: [string, ReturnType<typeof versionOf>][] = [
    [
      "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)",
      { flavour: "mariadb", version: "10.11.19" },
    ],
    [
      "mariadb-dump from 11.4.2-MariaDB, client 10.19 for debian-linux-gnu (x86_64)",
      { flavour: "mariadb", version: "11.4.2" },
    ],
    [
      "mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)",
      { flavour: "mysql", version: "8.0.36" },
    ],
    ["mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)", { flavour: "mysql", version: "5.7.44" }],
  ];
  for (const [said, expected] of recorded) expect(versionOf(said), said).toEqual(expected);
});

test("each server is dumped by its own flavour's program where there is one", () => {
  expect(dumpPrograms(mariadbServer)[0]).toBe("mariadb-dump");
  expect(dumpPrograms(mysqlServer)[0]).toBe("mysqldump");
});

test("a position is asked for in the words of the program", () => {
  expect(tablesArguments(mariadbDump, mariadbServer, ["a"])).toEqual(
    expect.arrayContaining(["--master-data=2", "--gtid", "--dump-history"]),
  );
  expect(tablesArguments(mysqldump("8.0.36"), mysqlServer, ["a"])).toContain("--source-data=2");
  expect(tablesArguments(mysqldump("8.4.1"), mysqlServer, ["a"])).toContain("--source-data=2");
  expect(tablesArguments(mysqldump("8.0.25"), mysqlServer, ["a"])).toContain("--master-data=2");
  const mixed = tablesArguments(mariadbDump, mysqlServer, ["a"]);
  expect(mixed).toContain("--master-data=2");
  expect(mixed).not.toContain("--gtid");
});

test("no position is asked of a server without a binary log", () => {
  const said = tablesArguments(mariadbDump, { ...mariadbServer, binlog: false }, ["a"]).join(" ");
  expect(said).not.toMatch(/master-data|gtid|source-data/);
});

test("the stream that is split holds no programs, and those of a database are asked for apart", () => {
  const tables = tablesArguments(mariadbDump, mariadbServer, ["a"]);
  expect(tables).toEqual(expect.arrayContaining(["--skip-triggers", "--skip-routines", "--skip-events", "--comments"]));
  expect(programsArguments(mariadbDump, mariadbServer, "a")).toEqual(
    expect.arrayContaining(["--triggers", "--routines", "--skip-events", "--no-data", "--no-create-info"]),
  );
  expect(eventsArguments(mariadbDump, mariadbServer, "a")).toEqual(
    expect.arrayContaining(["--skip-triggers", "--skip-routines", "--events", "--no-data", "--no-create-info"]),
  );
});

test("a database's name is never taken for an option", () => {
  expect(tablesArguments(mariadbDump, mariadbServer, ["--help"]).slice(-3)).toEqual(["--databases", "--", "--help"]);
  expect(programsArguments(mariadbDump, mariadbServer, "-x").slice(-2)).toEqual(["--", "-x"]);
});

test("MySQL's program neither sets the GTIDs of the server that a dump is loaded into nor needs the PROCESS privilege", () => {
  const said = tablesArguments(mysqldump("8.0.36"), mysqlServer, ["a"]);
  expect(said).toEqual(expect.arrayContaining(["--set-gtid-purged=OFF", "--no-tablespaces"]));
  expect(tablesArguments(mysqldump("8.0.36"), { ...mysqlServer, version: "5.7.44" }, ["a"])).toContain(
    "--column-statistics=0",
  );
});

test("the past of a table is dumped where both program and server can", () => {
  expect(keepsHistory(mariadbDump, mariadbServer)).toBe(true);
  expect(keepsHistory({ ...mariadbDump, version: "10.6.1" }, mariadbServer)).toBe(false);
  expect(keepsHistory(mysqldump("8.0.36"), mysqlServer)).toBe(false);
});

test("releases compare as numbers", () => {
  expect(atLeast("10.11.19-MariaDB", 10, 6)).toBe(true);
  expect(atLeast("10.5.1-MariaDB", 10, 11)).toBe(false);
  expect(atLeast("11.0.2-MariaDB", 10, 11)).toBe(true);
});
