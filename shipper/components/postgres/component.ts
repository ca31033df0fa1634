import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Component, Estimate, World } from "../component.ts";
import { directoryHere } from "../elsewhere.ts";
import { capturePostgres } from "./capture.ts";
import { checkPostgres } from "./check.ts";
import type { PostgresConfig } from "./config.ts";
import { withConnection } from "./connection.ts";
import { diagnosePostgres } from "./diagnose.ts";
import { readFacts } from "./facts.ts";
import { postgresFilling } from "./filling.ts";
import { planPostgres } from "./select.ts";
import { listDatabases, wantedDatabases } from "./server.ts";
import { withSession } from "./session.ts";
import { type StagedPostgres, stagePostgres } from "./stage.ts";

/** The databases and roles of one PostgreSQL server. */
export function postgresComponent(config: PostgresConfig): Component<StagedPostgres> {
  return {
    name: "postgres",
    diagnose: (world) => diagnosePostgres(config, world),
    estimate: (world) => estimatePostgres(config, world),
    capture: (context) => capturePostgres(config, context),
    plan: planPostgres,
    stage: (snapshot, place, selection, world) => stagePostgres(config, snapshot, place, selection, world),
    examine: examinePostgres,
    serviceDirectory: (world) => directoryHere(config, world, () => dataDirectory(config, world)),
    filling: postgresFilling(config),
    check: checkPostgres,
  };
}

/** Every database with the bytes that it takes on the server. */
async function estimatePostgres(config: PostgresConfig, world: World): Promise<Estimate[]> {
  return withConnection(config, world, async (connection) => {
    const present = await withSession(connection, world, listDatabases);
    const databases = await wantedDatabases(connection, present, config.databases, world);
    return databases.map(({ name, bytes }) => ({ what: name, bytes }));
  });
}

/** Told to roles that may see all settings. */
async function dataDirectory(config: PostgresConfig, world: World): Promise<string | undefined> {
  return withConnection(config, world, (connection) =>
    withSession(connection, world, async (session) => {
      const [row] = await session.query("SELECT setting FROM pg_settings WHERE name = 'data_directory'");
      return row === undefined ? undefined : String(row.setting);
    }),
  );
}

/** The facts can be read, and every database that they name has its part. */
async function examinePostgres(snapshot: SnapshotReader): Promise<void> {
  const { databases } = await readFacts(snapshot);
  for (const { part } of databases) snapshot.part(part);
  snapshot.part("globals");
}
