import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Component, Estimate, PlannedItem, World } from "../component.ts";
import { directoryHere } from "../elsewhere.ts";
import { captureRedis } from "./capture.ts";
import { checkRedis } from "./check.ts";
import type { RedisConfig } from "./config.ts";
import { connectionOf } from "./connection.ts";
import { diagnoseRedis } from "./diagnose.ts";
import { readFacts } from "./facts.ts";
import { redisFilling } from "./filling.ts";
import { askKeyspace, askMemory, askSettings } from "./server.ts";
import { stageRedis } from "./stage.ts";
import type { StagedRedis } from "./staged.ts";

/** The data, functions and users of one Redis or Valkey server. */
export function redisComponent(config: RedisConfig): Component<StagedRedis> {
  return {
    name: "redis",
    diagnose: (world) => diagnoseRedis(config, world),
    estimate: (world) => estimateRedis(config, world),
    capture: (context) => captureRedis(config, context),
    plan: planRedis,
    stage: (snapshot, place, _selection, world) => stageRedis(config, snapshot, place, world),
    examine: async (snapshot) => void (await readFacts(snapshot)),
    serviceDirectory: (world) =>
      directoryHere(config, world, async () => (await askSettings(await connectionOf(config, world), ["dir"])).dir),
    filling: redisFilling(config),
    check: checkRedis,
  };
}

/** The bytes are those in memory; the file has about half as many, or fewer. */
async function estimateRedis(config: RedisConfig, world: World): Promise<Estimate[]> {
  const connection = await connectionOf(config, world);
  const keys = (await askKeyspace(connection)).reduce((sum, each) => sum + each.keys, 0);
  return [{ what: `${keys} keys`, bytes: await askMemory(connection) }];
}

async function planRedis(snapshot: SnapshotReader): Promise<PlannedItem[]> {
  const facts = await readFacts(snapshot);
  const keys = facts.databases.map(
    ({ number, keys, expiring }) => `database ${number}: ${keys} keys, ${expiring} expire`,
  );
  const what = facts.counted ? keys.join("; ") || "no keys" : "keys, not counted";
  const accounts = snapshot.manifest.parts.find(({ name }) => name === "accounts");
  return [
    { what, bytes: snapshot.part("rdb").bytes },
    ...(accounts ? [{ what: `${facts.users.length} users`, bytes: accounts.bytes }] : []),
  ];
}
