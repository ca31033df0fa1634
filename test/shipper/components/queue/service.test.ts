import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { SnapshotReader } from "../../../../core/snapshot-reader.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { makeQueue } from "../../../../sandbox/host/postfix.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { defer, filesOf, programThrough, queueOf, shownOf } from "./queue-host.ts";

let host: SandboxHost;
let vault: Vault;
let snapshot: SnapshotReader;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postfix"] }), createVault()]);
  await defer(host, ["one", "two", "three"]);
  const { exitCode } = await vault.backup([queueOf(host)]);
  expect(exitCode).toBe(0);
  snapshot = await vault.open("queue");
}, 60_000);
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

const stage = (processes: Processes = nodeProcesses) =>
  queueOf(host).stage(snapshot, { kind: "service" }, {}, vault.world({ processes }));
const queued = () => filesOf(host.postfix.queueDirectory).filter((path) => !path.startsWith("pid/"));
/** What Postfix would deliver when it is started. */
const loose = () => queued().filter((path) => /^(incoming|active|deferred|maildrop)\//.test(path));

describe("a service", () => {
  test("that runs, or holds messages, is left as it is", async () => {
    const before = queued();
    await expect(stage()).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringMatching(/^Postfix is running/),
    });
    await host.postfix.stop();
    await expect(stage()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", message: "the queue holds 3 messages" });
    expect(queued()).toEqual(before);
  });

  test("is filled by root only", async () => {
    const nobody = programThrough("id", "echo 1000");
    await expect(stage(nobody)).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("root"),
    });
  });
});

describe("a service that is stopped and empty", () => {
  beforeEach(() => {
    rmSync(host.postfix.queueDirectory, { recursive: true, force: true });
    makeQueue(host.postfix.queueDirectory);
  });

  /** Whatever happened before: another attempt succeeds, or finds everything there and on hold. */
  async function tryAgain(): Promise<void> {
    expect(loose()).toEqual([]);
    try {
      await stage();
    } catch (error) {
      expect(error).toMatchObject({ code: "TARGET_NOT_EMPTY" });
    }
    expect(loose()).toEqual([]);
    const shown = await shownOf(host);
    expect(shown.map(({ queue_name }) => queue_name)).toEqual(["hold", "hold", "hold"]);
  }

  test("never has anything to deliver, wherever the restore is killed", async () => {
    let calls = 0;
    const counting: Processes = {
      start: (...args) => {
        calls += 1;
        return nodeProcesses.start(...args);
      },
    };
    await stage(counting);
    expect(calls).toBeGreaterThan(8);
    for (let at = 6; at <= calls; at += 1) {
      rmSync(host.postfix.queueDirectory, { recursive: true });
      makeQueue(host.postfix.queueDirectory);
      let call = 0;
      const dying: Processes = {
        start: (...args) => {
          call += 1;
          if (call >= at) throw new Error("killed");
          return nodeProcesses.start(...args);
        },
      };
      await expect(stage(dying)).rejects.toThrow("killed");
      await tryAgain();
    }
  }, 60_000);

  test("never has anything to deliver, wherever the renames break off", async () => {
    for (let at = 1; at <= 7; at += 2) {
      rmSync(host.postfix.queueDirectory, { recursive: true });
      makeQueue(host.postfix.queueDirectory);
      await expect(stage(movesFailFrom(at))).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
      await tryAgain();
    }
  }, 60_000);

  test("that can not be told to be stopped is left alone", async () => {
    const broken: Processes = {
      start: ([program, ...args], options) =>
        nodeProcesses.start(
          program.endsWith("/master") ? ["sh", "-c", "echo fatal: no configuration >&2; exit 1"] : [program, ...args],
          options,
        ),
    };
    await expect(stage(broken)).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("could not be found out"),
      detail: "fatal: no configuration",
    });
  });

  test("gets rid of what a restore that failed had staged, and says what to do of one that broke off", async () => {
    await expect(stage(programThrough("postsuper", "exit 1"))).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
    expect(existsSync(join(host.postfix.queueDirectory, ".mailark-restore"))).toBe(false);
    await expect(stage(movesFailFrom(7))).rejects.toMatchObject({ hint: expect.stringContaining("run it again") });
    await tryAgain();
  });

  test("that is started meanwhile is left alone, and nothing is delivered", async () => {
    let asked = 0;
    const master: Processes = {
      start: (command, options) => {
        if (!command[0].endsWith("/master")) return nodeProcesses.start(command, options);
        asked += 1;
        return nodeProcesses.start([asked === 1 ? "true" : "false"], options);
      },
    };
    await expect(stage(master)).rejects.toMatchObject({ code: "RESTORE_FAILED" });
    await tryAgain();
  });

  test("that an earlier restore filled is emptied again, unless there is anything else in it", async () => {
    const { filling } = queueOf(host);
    await stage();
    await expect(filling!.refuseUnlessEmpty(vault.world())).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    writeFileSync(join(host.postfix.queueDirectory, "hold", "ABCDEF123456"), "somebody's message");
    const before = queued();
    await expect(filling!.takeBack(snapshot, vault.world())).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect(queued()).toEqual(before);
    rmSync(join(host.postfix.queueDirectory, "hold", "ABCDEF123456"));
    await filling!.takeBack(snapshot, vault.world());
    expect(queued()).toEqual([]);
    await stage();
    expect(await shownOf(host)).toHaveLength(3);
  });

  test("keeps the logs that were there, and needs none of its directories", async () => {
    mkdirSync(join(host.postfix.queueDirectory, "defer", "A"));
    writeFileSync(join(host.postfix.queueDirectory, "defer", "A", "ABCDEF123456"), "of a message long gone");
    for (const name of ["hold", "trace", "bounce"]) {
      rmSync(join(host.postfix.queueDirectory, name), { recursive: true, force: true });
    }
    await stage();
    expect(queued().filter((path) => /^defer\.before-restore-\d+\/A\/ABCDEF123456$/.test(path))).toHaveLength(1);
    expect(queued().filter((path) => path.startsWith("defer/"))).toHaveLength(3);
    expect(existsSync(join(host.postfix.queueDirectory, ".mailark-restore"))).toBe(false);
    expect(existsSync(join(host.postfix.queueDirectory, "maildrop.held"))).toBe(false);
    expect(await shownOf(host)).toHaveLength(3);
  });

  test("is asked and filled through the words that are put before every program", async () => {
    const unprefixed: string[] = [];
    const watching: Processes = {
      start: (command, options) => {
        if (command[0] !== "nice") unprefixed.push(command.join(" "));
        return nodeProcesses.start(command, options);
      },
    };
    const component = queueOf(host, { command: ["nice", "-n", "1"] });
    const world = vault.world({ processes: watching });
    const staged = await component.stage(snapshot, { kind: "service" }, {}, world);
    const checks = await component.check(staged, world);
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(checks.find(({ name }) => name === "hold")!.detail).toContain("postsuper -H ALL");
    expect(unprefixed).toEqual([]);
  });
});

/** `mv` works so many times, then never again, as if the script had been killed. */
function movesFailFrom(at: number): Processes {
  const directory = scratchDirectory();
  const script = `#!/bin/sh\necho x >> ${directory}/count\n[ "$(wc -l < ${directory}/count)" -lt ${at} ] || exit 1\nexec /bin/mv "$@"\n`;
  writeFileSync(join(directory, "mv"), script);
  chmodSync(join(directory, "mv"), 0o755);
  return {
    start: (command, options) =>
      nodeProcesses.start(command, { ...options, env: { ...options?.env, PATH: `${directory}:${process.env.PATH}` } }),
  };
}
