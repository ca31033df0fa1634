import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { redisComponent } from "../../../../shipper/components/redis/component.ts";
import { readFacts } from "../../../../shipper/components/redis/facts.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { failedBackup, manifestsIn } from "../../../fixtures/failed-backup.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { captured, configOf, transferThrough } from "./fixtures.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["redis"] }), createVault()]);
  await host.redis.commands(
    `EVAL "for i = 1, 2000 do redis.call('SET', 'key' .. i, redis.sha1hex(i)) end" 0\nHSET hash a b\n`,
  );
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

/** How a backup through these processes failed; it must have told nobody the password. */
async function failureOf(processes: Processes, more: Parameters<typeof configOf>[1] = {}) {
  const error = await failedBackup(vault, redisComponent(configOf(host, more)), { processes });
  expect(`${error?.message} ${error?.detail} ${error?.hint}`).not.toContain(host.redis.password);
  return error;
}

describe("a transfer that", () => {
  test("fails at its end, after all its output, gives no snapshot", async () => {
    const error = await failureOf(transferThrough('"$@" 2>/dev/null; echo "something is wrong" >&2; exit 3'));
    expect(error).toMatchObject({
      code: "DUMP_FAILED",
      message: expect.stringContaining("exit status 3"),
      detail: "something is wrong",
    });
  });

  test("is killed gives no snapshot", async () => {
    const error = await failureOf(transferThrough('"$@" | head -c 3000; kill -KILL $$'));
    expect(error).toMatchObject({ code: "DUMP_FAILED", message: expect.stringContaining("SIGKILL") });
  });

  test("is cut off at any byte, and yet ends well, gives no snapshot", async () => {
    let length = 0;
    const recording: Processes = {
      async start(command, options) {
        if (command.includes("--rdb")) {
          length = (await outputOf(nodeProcesses, command, { input: `${host.redis.password}\n` })).length;
        }
        return nodeProcesses.start(command, options);
      },
    };
    await captured(vault, configOf(host), recording);
    expect(length).toBeGreaterThan(50_000);
    const end = length - 40;
    for (const bytes of [0, 1, 8, 9, 47, 49, 170, 1000, Math.floor(length / 2), end - 9, end - 8, end - 1]) {
      const error = await failureOf(transferThrough(`"$@" | head -c ${bytes}`));
      expect(error?.code, `cut at byte ${bytes} of ${length}: ${error?.message}`).toBe("DUMP_TRUNCATED");
    }
    // What is missing here is not of the file, but of the transfer.
    expect(await failureOf(transferThrough(`"$@" | head -c ${length - 5}`))).toMatchObject({ code: "DUMP_TRUNCATED" });
  });

  test("changes a single byte gives no snapshot", async () => {
    for (const change of ["s/key1999/key1998/", "s/redis-ver/redis-veR/", "s/^REDIS/rEDIS/"]) {
      const error = await failureOf(transferThrough(`"$@" | LC_ALL=C sed '${change}'`));
      expect(error, change).toMatchObject({ code: "DUMP_TRUNCATED" });
    }
  });

  test("sends nothing for too long is ended, together with what waits for it", async () => {
    const marker = `sleep ${800 + (process.pid % 97)}`;
    const error = await failureOf(transferThrough(`exec ${marker}`), { stallSeconds: 0.5 });
    expect(error).toMatchObject({ code: "PROGRAM_STALLED", retryable: true });
    const half = await failureOf(transferThrough(`"$@" | head -c 5000; exec ${marker}`), { stallSeconds: 0.5 });
    expect(half).toMatchObject({ code: "PROGRAM_STALLED" });
    const left = await outputOf(nodeProcesses, ["sh", "-c", `sleep 0.2; ps -eo args | grep -c '^${marker}' || true`]);
    expect(left.toString().trim()).toBe("0");
  });

  test("is interrupted leaves no snapshot", async () => {
    const controller = new AbortController();
    const before = await manifestsIn(vault);
    const processes = transferThrough('"$@" | head -c 5000; exec sleep 700');
    const running = vault.backup([redisComponent(configOf(host))], { processes, signal: controller.signal });
    setTimeout(() => controller.abort(), 500);
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    expect(await manifestsIn(vault)).toEqual(before);
  });
});

describe("a server that", () => {
  test("can not write its file gives no snapshot", async () => {
    await host.redis.command("CONFIG", "SET", "repl-diskless-sync", "no");
    chmodSync(host.redis.datadir, 0o555);
    try {
      expect(await failureOf(nodeProcesses)).toMatchObject({ code: "DUMP_FAILED" });
      chmodSync(host.redis.datadir, 0o755);
      expect((await captured(vault, configOf(host))).manifest.warnings).toEqual([]);
    } finally {
      chmodSync(host.redis.datadir, 0o755);
      await host.redis.command("CONFIG", "SET", "repl-diskless-sync", "yes");
    }
  });

  test("hangs is given up", async () => {
    process.kill(host.redis.pid!, "SIGSTOP");
    try {
      expect(await failureOf(nodeProcesses, { stallSeconds: 0.5 })).toMatchObject({ code: "PROGRAM_STALLED" });
    } finally {
      process.kill(host.redis.pid!, "SIGCONT");
    }
  });

  test("is a node of a cluster is refused", async () => {
    const error = await failureOf({
      start: (command, options) =>
        command.at(-1) === "INFO"
          ? nodeProcesses.start(
              ["bash", "-c", '"$@" | sed s/cluster_enabled:0/cluster_enabled:1/', "x", ...command],
              options,
            )
          : nodeProcesses.start(command, options),
    });
    expect(error).toMatchObject({ code: "CAPTURE_FAILED", message: expect.stringContaining("cluster") });
  });

  test("wants another password says so, and names none", async () => {
    const wrong = join(vault.directory, "wrong");
    writeFileSync(wrong, "not the password\n", { mode: 0o600 });
    const error = await failureOf(nodeProcesses, { passwordFile: wrong });
    expect(error).toMatchObject({ code: "PROGRAM_FAILED", message: "the server refuses the password" });
    expect(JSON.stringify(error)).not.toContain("not the password");
    const { outcomes } = await vault.backup([redisComponent({ ...configOf(host), passwordFile: undefined })]);
    expect(outcomes[0]?.error).toMatchObject({ message: "the server refuses the password" });
    expect(await failureOf(nodeProcesses, { passwordFile: "/nowhere" })).toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("is down is named as that", async () => {
    const error = await failureOf(nodeProcesses, { socket: "/nowhere/redis.sock" });
    expect(error).toMatchObject({ message: "the server can not be reached" });
  });

  test("has its checksums off gives a snapshot that says so, and none where its end is missing", async () => {
    const quiet = await startHost({ services: ["redis"], settings: { redis: { rdbchecksum: "no" } } });
    try {
      await quiet.redis.commands(`EVAL "for i = 1, 500 do redis.call('SET', i, redis.sha1hex(i)) end" 0\n`);
      const { manifest } = await captured(vault, configOf(quiet));
      expect(manifest.warnings).toEqual([{ code: "CHECKSUM_OFF", count: 1 }]);
      const short = vault.backup([redisComponent(configOf(quiet))], {
        processes: transferThrough('"$@" | head -c 9000'),
      });
      expect((await short).outcomes[0]?.error).toMatchObject({ code: "DUMP_TRUNCATED" });
    } finally {
      await quiet.stop();
    }
  });
});

describe("the client program", () => {
  test("that is missing is named", async () => {
    const missing: Processes = {
      start: (command, options) =>
        nodeProcesses.start(command[0].endsWith("-cli") ? ["/nowhere/cli"] : command, options),
    };
    expect(await failureOf(missing)).toMatchObject({
      code: "PROGRAM_MISSING",
      message: expect.stringContaining("redis-cli"),
    });
  });

  test("never has the password on a command line, nor in the environment of what is around it", async () => {
    const seen: string[] = [];
    const watching: Processes = {
      start(command, options) {
        seen.push(JSON.stringify([command, options?.env]));
        return nodeProcesses.start(command, options);
      },
    };
    // As in a container: nothing of this process's environment is there.
    await captured(vault, configOf(host, { command: ["env", "-i", `PATH=${process.env.PATH}`] }), watching);
    expect(seen.length).toBeGreaterThan(4);
    expect(seen.join("\n")).not.toContain(host.redis.password);
  });
});

describe("an account", () => {
  test("with the rights that the guide names is enough; without a look at the users the snapshot is partial", async () => {
    const { readFileSync } = await import("node:fs");
    const guide = readFileSync(new URL("../../../../docs/guide.md", import.meta.url), "utf8");
    const rights = /account needs `(\+info [^`]*)` for a backup/.exec(guide)![1]!.split(" ");
    const passwordFile = join(vault.directory, "modest");
    writeFileSync(passwordFile, "m\n", { mode: 0o600 });
    const config = { ...configOf(host), user: "modest", passwordFile };
    await host.redis.command("ACL", "SETUSER", "modest", "on", ">m", ...rights);
    const whole = await captured(vault, config);
    expect(whole.manifest).toMatchObject({ completeness: "complete", warnings: [] });
    expect((await readFacts(whole)).users.toSorted()).toEqual(["default", "modest"]);
    await host.redis.command("ACL", "SETUSER", "modest", "-acl|list");
    expect((await captured(vault, config)).manifest).toMatchObject({
      completeness: "partial",
      warnings: [{ code: "ACCOUNTS_UNREADABLE", count: 1 }],
    });
    await host.redis.command("ACL", "DELUSER", "modest");
  });
});
