import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { redisComponent } from "../../../../shipper/components/redis/component.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { asUser, captured, configOf, contentOf, fillWithEverything, sourceOf, throughScratch } from "./fixtures.ts";

const databases = [0, 3, 11];
let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([
    startHost({ services: ["redis"], settings: { redis: { appendonly: "yes" } } }),
    createVault(),
  ]);
  await fillWithEverything(host.redis);
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

describe("a server with every kind of value", () => {
  test("comes back exactly in a scratch server, with expiries, users and functions", async () => {
    const config = configOf(host);
    const source = await contentOf(await sourceOf(config, vault), databases);
    await throughScratch(vault, config, async (staged) => {
      const { connection } = staged;
      const found = await contentOf(connection, databases);
      expect(found.keys).toBe(source.keys);
      expect([...found.expiries]).toEqual([...source.expiries]);
      expect(await connection.ask(["FCALL", "twice", "0", "21"])).toBe("42");
      const checks = await redisComponent(config).check(staged, vault.world());
      const socket = `${(staged.place as { path: string }).path}/s`;
      const client = ["redis-cli", "-s", socket];
      expect(await asUser([...client, "SET", "cache:1", "x"], "mailapp", "app secret")).toBe("OK");
      expect(await asUser([...client, "GET", "other"], "mailapp", "app secret")).toContain("NOPERM");
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      expect(checks.map(({ name }) => name)).toEqual([
        "file",
        "append-only files",
        "database 0",
        "database 3",
        "database 11",
        "functions",
        "accounts",
      ]);
    });
  });

  test("says what it is by numbers only", async () => {
    const { manifest } = await captured(vault, configOf(host));
    expect(manifest).toMatchObject({
      component: "redis",
      completeness: "complete",
      server: { flavour: "redis", version: expect.stringMatching(/^\d+\.\d+/) },
      tools: { "redis-cli": expect.any(String) },
      position: { runId: expect.any(String), replicationId: expect.any(String), replicationOffset: expect.any(Number) },
      facts: { databases: 3, libraries: 1, users: 3, expiring: 5 },
      warnings: [],
    });
    expect(JSON.stringify(manifest)).not.toMatch(/session|celery|mailapp|shop|secret/);
  });
});
