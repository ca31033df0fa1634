import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountFor } from "../../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { namesOf } from "../../../../shipper/components/redis/append-only.ts";
import { redisComponent } from "../../../../shipper/components/redis/component.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { captured, configOf, contentOf, scratchPath, sourceOf, throughScratch } from "./fixtures.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  const settings = { redis: { appendonly: "yes", "auto-aof-rewrite-min-size": "1gb" } };
  [host, vault] = await Promise.all([startHost({ services: ["redis"], settings }), createVault()]);
  await host.redis.commands(`EVAL "for i = 1, 3000 do redis.call('SET', 'key' .. i, redis.sha1hex(i)) end" 0\n`);
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

/** The machine's processes, but before, or after, the last file was opened something happens. */
function aroundLast(when: "before" | "after", work: () => Promise<void>): Processes {
  let reads = 0;
  return {
    async start(command, options) {
      const last = command.includes("cat") && ++reads === 3;
      if (last && when === "before") await work();
      const running = await nodeProcesses.start(command, options);
      if (last && when === "after") await work();
      return running;
    },
  };
}

async function rewrite() {
  await host.redis.command("BGREWRITEAOF");
  for (;;) {
    const info = await host.redis.command("INFO", "persistence");
    if (/aof_rewrite_in_progress:0/.test(info) && /aof_rewrite_scheduled:0/.test(info)) return;
  }
}

/** What a server has that starts over the directory that a restore wrote. */
async function bootFrom(processes?: Processes) {
  const snapshot = await captured(vault, configOf(host), processes);
  const place = scratchPath();
  const other = await startHost({ services: ["redis"], settings: { redis: { appendonly: "yes" } } });
  try {
    await redisComponent(configOf(host)).stage(snapshot, { kind: "directory", path: place.path }, {}, vault.world());
    const names = readdirSync(join(place.path, "appendonlydir")).toSorted();
    await other.redis.stop();
    cpSync(join(place.path, "appendonlydir"), join(other.redis.datadir, "appendonlydir"), {
      recursive: true,
      force: true,
    });
    const { uid, gid } = accountFor("redis");
    await outputOf(nodeProcesses, ["chown", "-R", `${uid}:${gid}`, other.redis.datadir]);
    await other.redis.start();
    return { names, snapshot, content: await contentOf(await sourceOf(configOf(other), vault), [0]) };
  } finally {
    place.remove();
    await other.stop();
  }
}

describe("append-only files", () => {
  test("come along, are found whole, and a server starts from them", async () => {
    const { names, snapshot, content } = await bootFrom();
    expect(content.keys).toBe((await contentOf(await sourceOf(configOf(host), vault), [0])).keys);
    expect(names).toEqual(readdirSync(join(host.redis.datadir, "appendonlydir")).toSorted());
    expect(snapshot.manifest.facts).toMatchObject({ appendOnlyFiles: 2, appendOnlyBytes: expect.any(Number) });
    expect(snapshot.manifest.warnings).toEqual([]);
    await throughScratch(vault, configOf(host), async (staged) => {
      const checks = await redisComponent(configOf(host)).check(staged, vault.world());
      expect(checks).toContainEqual(expect.objectContaining({ name: "append-only files", outcome: "passed" }));
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    });
  });

  test("are whole also when they are rewritten between the manifest and its files, or while they are read", async () => {
    for (const when of ["before", "after"] as const) {
      const { content } = await bootFrom(aroundLast(when, rewrite));
      expect(content.keys).toBe((await contentOf(await sourceOf(configOf(host), vault), [0])).keys);
    }
  });

  test("that end half-way, although the program was content to begin with, give no snapshot", async () => {
    const processes: Processes = {
      start: (command, options) =>
        nodeProcesses.start(
          command.at(-1)!.includes(".base.") ? ["sh", "-c", '"$@" | head -c 10; exit 1', "x", ...command] : command,
          options,
        ),
    };
    const { outcomes } = await vault.backup([redisComponent(configOf(host))], { processes });
    expect(outcomes[0]?.error).toMatchObject({ code: "PROGRAM_FAILED", message: expect.stringContaining("cat") });
  });

  test("that can not be read from here are left out with a warning", async () => {
    const missing: Processes = {
      start: (command, options) =>
        nodeProcesses.start(command.includes("cat") ? ["cat", "/nowhere/at/all"] : command, options),
    };
    const { manifest } = await captured(vault, configOf(host), missing);
    expect(manifest.warnings).toEqual([{ code: "APPEND_ONLY_LEFT_OUT", count: 1 }]);
    expect(manifest.completeness).toBe("complete");
  });

  test("have names that stay where they are", () => {
    const good = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    expect(namesOf(good)).toEqual(["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"]);
    for (const name of ["../x", "..", "/etc/passwd", '"a b"', "a/b"]) {
      expect(() => namesOf(`file ${name} seq 1 type b\n`)).toThrow("not understood");
    }
  });
});
