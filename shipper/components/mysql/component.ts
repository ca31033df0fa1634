import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Component, Estimate, World } from "../component.ts";
import { directoryHere } from "../elsewhere.ts";
import { captureMysql } from "./capture.ts";
import { checkMysql } from "./check.ts";
import type { MysqlConfig } from "./config.ts";
import { withConnection } from "./connection.ts";
import { diagnoseMysql } from "./diagnose.ts";
import { readFacts } from "./facts.ts";
import { mysqlFilling } from "./filling.ts";
import { partsOf, planMysql } from "./select.ts";
import { listDatabases, wantedDatabases } from "./server.ts";
import { withSession } from "./session.ts";
import { quoteTexts } from "./sql-text.ts";
import { type StagedMysql, stageMysql } from "./stage.ts";

/** The databases and accounts of one MariaDB or MySQL server. */
export function mysqlComponent(config: MysqlConfig): Component<StagedMysql> {
  return {
    name: "mysql",
    diagnose: (world) => diagnoseMysql(config, world),
    estimate: (world) => estimateMysql(config, world),
    capture: (context) => captureMysql(config, context),
    plan: planMysql,
    stage: (snapshot, place, selection, world) => stageMysql(config, snapshot, place, selection, world),
    examine: examineMysql,
    serviceDirectory: (world) => directoryHere(config, world, () => dataDirectory(config, world)),
    filling: mysqlFilling(config),
    check: checkMysql,
  };
}

/** Every database with the bytes that the server gives for its tables. */
async function estimateMysql(config: MysqlConfig, world: World): Promise<Estimate[]> {
  return withConnection(config, world, async (connection) => {
    return withSession(connection, world, async (session) => {
      const databases = wantedDatabases(await listDatabases(session), config.databases);
      const rows = await session.query(
        `SELECT table_schema, SUM(data_length) FROM information_schema.tables
         WHERE table_schema IN (${quoteTexts(databases)}) GROUP BY BINARY table_schema`,
      );
      const bytes = new Map(rows.map(([name, sum]) => [name!, Number(sum)]));
      return databases.map((what) => ({ what, bytes: bytes.get(what) || 0 }));
    });
  });
}

async function dataDirectory(config: MysqlConfig, world: World): Promise<string | undefined> {
  return withConnection(config, world, (connection) =>
    withSession(connection, world, async (session) => (await session.query("SELECT @@datadir"))[0]?.[0] ?? undefined),
  );
}

/** The facts can be read, and every database that they name has its part. */
async function examineMysql(snapshot: SnapshotReader): Promise<void> {
  const { databases } = await readFacts(snapshot);
  for (const database of databases) partsOf(snapshot, database);
}
