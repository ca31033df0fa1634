import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { populateRedis } from "../../../../sandbox/host/mail-app.ts";
import { redisComponent } from "../../../../shipper/components/redis/component.ts";
import { nodeProcesses } from "../../../../shipper/processes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { captured, configOf, throughScratch } from "./fixtures.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["redis"] }), createVault()]);
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

/** Keeps three promises at once, some thousand times a second: a counter, a list of that length, and two keys that are equal. */
async function startWriter() {
  const running = await nodeProcesses.start(["redis-cli", "-s", host.redis.socket], { env: host.redis.environment });
  running.stdout.resume();
  let step = 0;
  const write = () => {
    for (let more = 0; more < 40; more++) {
      step += 1;
      const own = `SELECT 5\nSET one ${step}\nSET two ${step} EX 1000\nSELECT 0\nSET passing:${step} x PX 300`;
      running.stdin.write(`MULTI\nINCR counter\nRPUSH list ${step}\n${own}\nEXEC\n`);
    }
  };
  write();
  const timer = setInterval(write, 10);
  return {
    async stop() {
      clearInterval(timer);
      running.kill("SIGKILL");
      await running.exited;
    },
  };
}

describe("a server that is written to", () => {
  test("is captured as of one moment", async () => {
    await host.redis.commands(`EVAL "for i = 1, 20000 do redis.call('SET', 'cache:' .. i, redis.sha1hex(i)) end" 0\n`);
    const writer = await startWriter();
    const config = configOf(host);
    try {
      for (let round = 0; round < 2; round++) {
        const before = Number(await host.redis.command("GET", "counter"));
        await throughScratch(vault, config, async (staged) => {
          const { connection } = staged;
          const counter = Number(await connection.ask(["GET", "counter"]));
          expect(counter).toBeGreaterThan(before);
          expect(Number(await connection.ask(["LLEN", "list"]))).toBe(counter);
          expect(await connection.ask(["LINDEX", "list", "-1"])).toBe(await connection.ask(["GET", "one"], 5));
          expect(await connection.ask(["GET", "two"], 5)).toBe(await connection.ask(["GET", "one"], 5));
          const checks = await redisComponent(config).check(staged, vault.world());
          expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
        });
        expect(Number(await host.redis.command("GET", "counter"))).toBeGreaterThan(before);
      }
    } finally {
      await writer.stop();
    }
  });
});

describe("a server", () => {
  test("that is empty is captured as that", async () => {
    await host.redis.wipe();
    const config = configOf(host);
    await throughScratch(vault, config, async (staged) => {
      const checks = await redisComponent(config).check(staged, vault.world());
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      expect(checks.map(({ name }) => name)).toContain("keys");
      await staged.connection.ask(["SET", "a", "b"]);
      const after = await redisComponent(config).check(staged, vault.world());
      expect(after.filter(({ outcome }) => outcome === "failed")).toMatchObject([{ name: "database 0" }]);
    });
    const { manifest } = await captured(vault, config);
    expect(manifest.facts).toMatchObject({ databases: 0, keys: 0, libraries: 0, users: 1 });
    await (
      await redisComponent(config).stage(await vault.open("redis"), { kind: "service" }, {}, vault.world())
    ).remove();
  });

  test("whose keys have expired by the time of the restore is no failure, and they are said", async () => {
    await populateRedis(host.redis, { seed: "redis" });
    await host.redis.commands(
      `${Array.from({ length: 20 }, (_, index) => `SET brief:${index} x PX 400`).join("\n")}\n`,
    );
    const config = configOf(host);
    const snapshot = await captured(vault, config);
    expect(snapshot.manifest.facts.expiring).toBe(70);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await host.redis.wipe();
    const staged = await redisComponent(config).stage(snapshot, { kind: "service" }, {}, vault.world());
    const checks = await redisComponent(config).check(staged, vault.world());
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(checks.find(({ name }) => name === "database 0")?.detail).toContain("20 have expired meanwhile");
    expect(checks.find(({ name }) => name === "on hold")?.detail).toContain("51 in database 0");
  });
});
