import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Content,
  Definitions,
  DumpSplitter,
  positionOf,
  preambleOf,
  sectionsOf,
} from "../../../../shipper/components/mysql/split-dump.ts";
import { quoteName } from "../../../../shipper/components/mysql/sql-text.ts";

const header = `/*M!999999\\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: first
/*!40101 SET NAMES utf8mb4 */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
-- CHANGE MASTER TO MASTER_USE_GTID=slave_pos;

--
-- Alternately, following is the position of the binary logging from SHOW MASTER STATUS at point of backup.
--

-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000007', MASTER_LOG_POS=7584;
`;
const footer = `
-- The deferred gtid setting for slave corresponding to the master-data CHANGE-MASTER follows

-- SET GLOBAL gtid_slave_pos='0-1-26,1-2-3';
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-21 21:39:14
`;

interface Database {
  readonly name: string;
  readonly tables: string;
  readonly views: string;
}

/** A dump as the program writes it. */
function dumpOf(databases: readonly Database[], withViews = true): Buffer {
  const comment = (name: string) => `\n--\n-- Current Database: ${quoteName(name).replaceAll("\n", "\n-- ")}\n--\n\n`;
  const use = (name: string) => `USE ${quoteName(name)};\n`;
  const create = (name: string) =>
    `CREATE DATABASE /*!32312 IF NOT EXISTS*/ ${quoteName(name)} /*!40100 DEFAULT */;\n\n`;
  const tables = databases.map(({ name, tables }) => comment(name) + create(name) + use(name) + tables);
  const views = databases.map(({ name, views }) => comment(name) + use(name) + views);
  return Buffer.from([header, ...tables, ...(withViews ? views : []), footer].join(""));
}

/** What comes out, with the chunks that the dump is cut into. */
async function split(names: readonly string[], dump: Buffer, cuts: readonly number[]) {
  const splitter = new DumpSplitter(names);
  const bounds = [0, ...cuts.map((cut) => cut % (dump.length + 1)).toSorted((a, b) => a - b), dump.length];
  const chunks = bounds.slice(1).map((end, index) => dump.subarray(bounds[index], end));
  const sections: { database: string; content: Content; body: string }[] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  for await (const { database, content, body } of sectionsOf(splitter, source)) {
    const parts: Buffer[] = [];
    for await (const chunk of body) parts.push(Buffer.from(chunk));
    sections.push({ database, content, body: Buffer.concat(parts).toString() });
  }
  return { sections, header: splitter.header, footer: splitter.footer };
}

const lookAlikes = [
  "INSERT INTO `t` VALUES (1,'a');\n",
  "\n--\n-- Table structure for table `t`\n--\n\n",
  "\n--\n-- Current Database: ",
  "\n--\n-- Current Database: `",
  "'\\n--\\n-- Current Database: `b`\\n--\\n\\nUSE `b`;\\n'",
  "\n--\n-- Current Database: ``b``\n--\n\nUSE ``b``;\n",
  "\n--\n-- Current Database: `unknown`\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `unknown`;\n\nUSE `unknown`;\n",
  "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n",
  "-- Dump completed on 2026-11-21 21:39:14\n",
  "DELIMITER ;;\n",
  "\n",
  "ünïcödé 日本\n",
];
const body = fc.array(fc.constantFrom(...lookAlikes), { maxLength: 8 }).map((lines) => lines.join(""));
const databases = fc.uniqueArray(
  fc.record({
    name: fc.oneof(
      fc.constantFrom("a", "b", "a`b", "new\nline", "日本", "-x", "a b", "%", "$&"),
      fc.string({ minLength: 1, maxLength: 12 }),
    ),
    tables: body,
    views: body,
  }),
  { selector: ({ name }) => name, minLength: 1, maxLength: 6 },
);

describe("the definitions of a database", () => {
  const text =
    "\n--\n-- Table structure for table `a``b`\n--\n\nDROP;\nINSERT INTO `a``b` VALUES ('\\n-- Table structure for table `no`\\n--\\n');\n" +
    "\n--\n-- Temporary table structure for view `v`\n--\n\n\n--\n-- Table structure for table `new\n-- line`\n--\n" +
    "\n--\n-- Temporary view structure for view `w`\n--\n\n\n--\n-- Table structure for table `日本`\n--\n";
  test("are found however the bytes are cut, and the bytes are passed on as they are", async () => {
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size += 1) {
      const definitions = new Definitions();
      const source = (async function* () {
        for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
      })();
      const passed: Buffer[] = [];
      for await (const chunk of definitions.watch(source)) passed.push(chunk);
      expect(Buffer.concat(passed).equals(bytes)).toBe(true);
      expect([...definitions.views], `${size}`).toEqual(expect.arrayContaining(["`v`", "`w`"]));
      expect([...definitions.tables].toSorted(), `${size}`).toEqual(["`a``b`", "`new\n-- line`", "`日本`"]);
      for (const name of ["a`b", "new\nline", "日本"]) expect(definitions.has(name)).toBe(true);
      expect(definitions.has("no")).toBe(false);
    }
  });
});

describe("a dump of several databases", () => {
  test("comes apart in the same way however it is cut into chunks", async () => {
    await fc.assert(
      fc.asyncProperty(databases, fc.array(fc.nat(), { maxLength: 30 }), fc.boolean(), async (all, cuts, withViews) => {
        const names = all.map(({ name }) => name);
        const found = await split(names, dumpOf(all, withViews), cuts);
        const tables = all.map(({ name, tables }) => ({ database: name, content: "tables", body: tables }));
        const views = all.map(({ name, views }) => ({ database: name, content: "views", body: views }));
        expect(found.sections).toEqual([...tables, ...(withViews ? views : [])]);
        expect(found.header).toBe(header);
        expect(found.footer).toBe(footer);
      }),
      { numRuns: 300 },
    );
  });

  test("comes apart when every byte comes alone", async () => {
    const all = [
      { name: "a", tables: "A;\n", views: "" },
      { name: "b", tables: "", views: "V;\n" },
    ];
    const dump = dumpOf(all);
    const found = await split(["a", "b"], dump, [...dump.keys()]);
    expect(found.sections.map(({ body }) => body)).toEqual(["A;\n", "", "", "V;\n"]);
  });

  test("is not fooled by the boundary of a database whose turn it is not", async () => {
    const boundary =
      "\n--\n-- Current Database: `c`\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `c`;\n\nUSE `c`;\n";
    const all = [
      { name: "a", tables: boundary, views: "" },
      { name: "b", tables: "B;\n", views: "" },
      { name: "c", tables: "C;\n", views: "" },
    ];
    const { sections } = await split(["a", "b", "c"], dumpOf(all, false), []);
    expect(sections.map(({ body }) => body)).toEqual([boundary, "B;\n", "C;\n"]);
  });

  test("is refused as cut off wherever it ends too early", async () => {
    const all = [
      { name: "a", tables: "A;\n", views: "" },
      { name: "b", tables: "B;\n", views: "V;\n" },
    ];
    const dump = dumpOf(all);
    for (let bytes = 0; bytes < dump.length; bytes += 1) {
      await expect(split(["a", "b"], dump.subarray(0, bytes), []), `${bytes} bytes`).rejects.toMatchObject({
        code: "DUMP_TRUNCATED",
      });
    }
  });

  test("is refused when its footer is missing, although its last line is there", async () => {
    const dump = dumpOf([{ name: "a", tables: "A;\n", views: "" }], false).toString("latin1");
    const [footerless, without] = [
      `${dump.slice(0, dump.indexOf("\n-- The deferred"))}\n-- Dump completed\n`,
      dump.replace("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n", ""),
    ];
    for (const cut of [footerless, without]) {
      expect(cut).not.toBe(dump);
      await expect(split(["a"], Buffer.from(cut, "latin1"), [])).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
    }
  });

  test("is refused when a database is missing in it", async () => {
    const dump = dumpOf([{ name: "a", tables: "A;\n", views: "" }], false);
    await expect(split(["a", "b"], dump, [])).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
  });

  test("without comments is refused before it fills the memory", () => {
    const splitter = new DumpSplitter(["a"]);
    const feed = () => {
      for (let each = 0; each < 40; each += 1) for (const _ of splitter.push(Buffer.alloc(64 * 1024, "x")));
    };
    expect(feed).toThrow(expect.objectContaining({ code: "DUMP_FAILED" }));
  });
});

describe("the header of a dump", () => {
  test("becomes a preamble of settings that names nothing of the host", () => {
    expect(preambleOf(header).toString()).toBe(
      "/*M!999999\\- enable the sandbox mode */ \n/*!40101 SET NAMES utf8mb4 */;\n" +
        "/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;\n",
    );
  });

  test("tells the position, whichever program wrote it", () => {
    const mariadb = { binlogFile: "binlog.000007", binlogPosition: 7584, gtid: "0-1-26,1-2-3" };
    expect(positionOf(header, footer)).toEqual(mariadb);
    const mysql80 = "-- CHANGE MASTER TO MASTER_LOG_FILE='mysql-bin.000002', MASTER_LOG_POS=157;\n";
    expect(positionOf(mysql80, "")).toEqual({ binlogFile: "mysql-bin.000002", binlogPosition: 157 });
    const mysql84 = "-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000002', SOURCE_LOG_POS=1582;\n";
    expect(positionOf(mysql84, "")).toEqual({ binlogFile: "binlog.000002", binlogPosition: 1582 });
    expect(positionOf("-- Server version\n", "")).toBeUndefined();
  });
});
