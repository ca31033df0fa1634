import { chownSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountFor } from "../../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import type { QueueConfig } from "../../../../shipper/components/queue/config.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { failedBackup } from "../../../fixtures/failed-backup.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { put, queueFile } from "./queue-file.ts";
import { defer, programThrough, queueOf, scratchPath } from "./queue-host.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postfix"] }), createVault()]);
  await defer(host, ["one", "two", "three"]);
}, 60_000);
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

async function failureOf(processes: Processes, more: Partial<QueueConfig> = {}) {
  const error = await failedBackup(vault, queueOf(host, more), { processes });
  expect(error?.message).not.toMatch(/deferred\.test|\/tmp\//);
  return error;
}

describe.each(["postconf", "find", "tar"])("%s, where it", (program) => {
  test("fails after all its output, gives no snapshot", async () => {
    const error = await failureOf(programThrough(program, '"$@"; echo "No space left on device" >&2; exit 2'));
    expect(error).toMatchObject({
      code: "PROGRAM_FAILED",
      message: `${program} failed with exit status 2`,
      detail: expect.stringContaining("No space left on device"),
    });
  });

  test("is killed, gives no snapshot", async () => {
    const error = await failureOf(programThrough(program, '"$@" | head -c 40; kill -KILL $$'));
    expect(["PROGRAM_FAILED", "CAPTURE_FAILED"]).toContain(error?.code);
  });

  test("is cut off and yet ends well, gives no snapshot", async () => {
    for (const bytes of [0, 1, 60, 700]) {
      const script = program === "postconf" ? `"$@" | head -c ${bytes % 50}` : `"$@" | head -c ${bytes}`;
      const error = await failureOf(programThrough(program, script));
      expect(["PROGRAM_FAILED", "CAPTURE_FAILED"], `${bytes}`).toContain(error?.code);
    }
  });

  test("prints nothing for too long, is ended", async () => {
    const marker = `sleep ${500 + (process.pid % 97)}`;
    const error = await failureOf(programThrough(program, `exec ${marker}`), { stallSeconds: 0.5 });
    expect(error).toMatchObject({ code: "PROGRAM_STALLED", retryable: true });
    const left = await outputOf(nodeProcesses, ["sh", "-c", `ps -eo args | grep -c '^${marker}' || true`]);
    expect(left.toString().trim()).toBe("0");
  });

  test("is not there, is named", async () => {
    const missing: Processes = {
      start: (command, options) =>
        nodeProcesses.start(command[0] === program ? ["/nowhere/program"] : command, options),
    };
    expect(await failureOf(missing)).toMatchObject({ code: "PROGRAM_MISSING" });
  });
});

test("an archive that lacks what the walk has met gives no snapshot", async () => {
  const error = await failureOf(programThrough("tar", "exec tar --create --files-from=/dev/null"));
  expect(error).toMatchObject({ code: "CAPTURE_FAILED", message: expect.stringContaining("could not be caught") });
}, 60_000);

test("a walk that lacks its last lines gives no snapshot", async () => {
  for (const lines of [1, 2, 5]) {
    const error = await failureOf(programThrough("find", `"$@" | head -z -n -${lines}`));
    expect(error).toMatchObject({ code: "CAPTURE_FAILED", message: "find ended without its last line" });
  }
});

test("a directory that is no queue gives no snapshot", async () => {
  expect(await failureOf(nodeProcesses, { directory: vault.directory })).toMatchObject({
    code: "CAPTURE_FAILED",
    message: "the directory is not that of a Postfix queue",
  });
});

test("a queue that the configuration names is captured without Postfix's programs", async () => {
  const missing: Processes = {
    start: (command, options) =>
      nodeProcesses.start(command[0] === "postconf" ? ["/nowhere/program"] : command, options),
  };
  const component = queueOf(host, { directory: host.postfix.queueDirectory });
  const { exitCode } = await vault.backup([component], { processes: missing });
  expect(exitCode).toBe(0);
  expect((await vault.open("queue")).manifest.facts).toMatchObject({ messages: 3 });
});

describe("a scratch place", () => {
  const stage = async (processes: Processes) => {
    const { exitCode } = await vault.backup([queueOf(host)]);
    expect(exitCode).toBe(0);
    const place = scratchPath();
    const world = vault.world({ processes });
    try {
      const staged = await queueOf(host).stage(
        await vault.open("queue"),
        { kind: "scratch", path: place.path },
        {},
        world,
      );
      const checks = await queueOf(host).check(staged, world);
      await staged.remove();
      return checks;
    } finally {
      place.remove();
    }
  };

  test("without Postfix proves the contents, and says that nobody has read the messages", async () => {
    const missing: Processes = {
      start: (command, options) =>
        nodeProcesses.start(command[0]!.startsWith("post") ? ["/nowhere/program"] : command, options),
    };
    expect(await stage(missing)).toMatchObject([
      { name: "contents", outcome: "passed" },
      { name: "messages", outcome: "unproven" },
    ]);
  });

  test.each(["postsuper", "tar"])("leaves nothing where %s fails", async (program) => {
    await expect(
      stage(programThrough(program, 'cat > /dev/null; echo "No space left on device" >&2; exit 1')),
    ).rejects.toMatchObject({
      code: "PROGRAM_FAILED",
      message: `${program} failed with exit status 1`,
    });
  });

  test("tells a message that was damaged already, and does not fail for it", async () => {
    const id = "AAAAA00001";
    put(host.postfix.queueDirectory, `hold/${id}`, queueFile(id, { end: false }).subarray(0, 250));
    const { uid, gid } = accountFor("postfix");
    chownSync(join(host.postfix.queueDirectory, "hold", id), uid, gid);
    const checks = await stage(nodeProcesses);
    rmSync(join(host.postfix.queueDirectory, "hold", id));
    expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    expect(checks).toContainEqual({
      name: "envelopes",
      outcome: "unproven",
      detail: expect.stringContaining("1 messages were damaged"),
    });
  });

  test("shows a message that Postfix can not read", async () => {
    const blind = programThrough("postcat", '"$@" | head -n 3');
    expect(await stage(blind)).toContainEqual(expect.objectContaining({ name: "readable", outcome: "failed" }));
    const lost = programThrough("postqueue", '"$@" | head -n 2');
    const checks = await stage(lost);
    expect(checks).toContainEqual(expect.objectContaining({ name: "ids", outcome: "failed" }));
    expect(checks).toContainEqual(expect.objectContaining({ name: "envelopes", outcome: "failed" }));
    const another = programThrough("postqueue", '"$@" | sed s/one@/uno@/');
    expect(await stage(another)).toContainEqual(expect.objectContaining({ name: "envelopes", outcome: "failed" }));
    const loose = programThrough("postqueue", '"$@" | sed "1s/hold/active/"');
    expect(await stage(loose)).toContainEqual(expect.objectContaining({ name: "hold", outcome: "failed" }));
  });
});
