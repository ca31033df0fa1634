import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Component } from "../../../../shipper/components/component.ts";
import { configsComponent } from "../../../../shipper/components/configs/component.ts";
import { captureTree, treeParts } from "../../../../shipper/components/tree/capture-tree.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { failedBackup } from "../../../fixtures/failed-backup.ts";
import { ownDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { extract, treeComponent } from "./tree-content.ts";

let vault: Vault;
let live: ReturnType<typeof ownDirectory>;
beforeAll(async () => {
  vault = await createVault();
  live = ownDirectory();
  for (const name of ["a", "b", "c"]) writeFileSync(`${live.path}/${name}`, name.repeat(3000));
});
afterAll(() => {
  vault.remove();
  live.remove();
});

/** Real tar, in a script that is told how it fails; `$@` is the command that reads a path. Counts how often it was asked for an archive. */
function tarThrough(script: string, doing = "--create", asked: { times: number } = { times: 0 }): Processes {
  return {
    start(command, options) {
      const isOfParents = command.includes("--no-recursion");
      if (!command.includes(doing) || isOfParents) return nodeProcesses.start(command, options);
      asked.times += 1;
      return nodeProcesses.start(["sh", "-c", script, "sh", ...command], options);
    },
  };
}

const component = (more: { stallSeconds?: number; paths?: string[] } = {}) =>
  treeComponent({ paths: [live.path], ...more });
const backup = (processes: Processes, more: Parameters<typeof component>[0] = {}) =>
  vault.backup([component(more)], { processes });
const failureOf = (processes: Processes, more: Parameters<typeof component>[0] = {}) =>
  failedBackup(vault, component(more), { processes });

describe("a tar that", () => {
  test("fails at its end, after all its output, gives no snapshot", async () => {
    expect(await failureOf(tarThrough('"$@"; echo "tar: something is wrong" >&2; exit 2'))).toMatchObject({
      code: "PROGRAM_FAILED",
      message: "tar failed with exit status 2",
      detail: "tar: something is wrong",
    });
  });

  test("can not go on gives no snapshot, though files could not be opened either", async () => {
    const script =
      '"$@"; printf "tar: x: Cannot open: Permission denied\\ntar: Error is not recoverable: exiting now\\n" >&2; exit 2';
    expect(await failureOf(tarThrough(script))).toMatchObject({ code: "PROGRAM_FAILED" });
  });

  test("could not read all of a file gives no snapshot: zeros stand in its place", async () => {
    const said = "tar: x: Read error at byte 0, while reading 512 bytes: Input/output error";
    const script = `"$@"; printf '${said}\\ntar: Exiting with failure status due to previous errors\\n' >&2; exit 2`;
    expect(await failureOf(tarThrough(script))).toMatchObject({ code: "PROGRAM_FAILED" });
  });

  test("is killed gives no snapshot", async () => {
    const error = await failureOf(tarThrough('"$@" | head -c 3000; kill -KILL $$'));
    expect(error).toMatchObject({ code: "PROGRAM_FAILED", message: expect.stringContaining("SIGKILL") });
  });

  test("is cut off at any block, and yet ends well, gives no snapshot", async () => {
    const whole = await archiveOf(live.path);
    const end = whole.indexOf(Buffer.alloc(1024), whole.length - 10_240) || whole.length;
    for (const bytes of [0, 1, 511, 512, 3000, Math.floor(end / 2), end - 1, end, end + 512, end + 1023]) {
      const error = await failureOf(tarThrough(`"$@" | head -c ${bytes}`));
      expect(error?.code, `cut at byte ${bytes} of ${end}: ${error?.message}`).toBe("DUMP_TRUNCATED");
    }
  });

  test("prints what is no archive gives no snapshot", async () => {
    expect(await failureOf(tarThrough("head -c 4096 /dev/urandom"))).toMatchObject({ code: "DUMP_TRUNCATED" });
  });

  test("hangs is ended", async () => {
    const error = await failureOf(tarThrough('"$@" | head -c 1024; exec sleep 600'), { stallSeconds: 0.3 });
    expect(error).toMatchObject({ code: "PROGRAM_STALLED", retryable: true });
  });

  test("hangs after its last byte is ended", async () => {
    const error = await failureOf(tarThrough('"$@"; exec >&-; exec sleep 600'), { stallSeconds: 0.3 });
    expect(error).toMatchObject({ code: "PROGRAM_STALLED" });
  });

  test("is not GNU's is told", async () => {
    const error = await failureOf(tarThrough('echo "tar: unrecognized option: xattrs" >&2; exit 1', "--create"));
    expect(error?.code).toMatch(/PROGRAM_FAILED|DUMP_TRUNCATED/);
  });

  test("is not there is told", async () => {
    const processes: Processes = {
      start: (command, options) => nodeProcesses.start(command.includes("tar") ? ["/nowhere/tar"] : command, options),
    };
    expect(await failureOf(processes)).toMatchObject({ code: "PROGRAM_MISSING" });
  });
});

const archiveOf = (path: string) =>
  outputOf(nodeProcesses, ["tar", "--create", "--format=pax", "--directory=/", path.slice(1)]);

describe("files that", () => {
  test("are replaced while they are read are in the snapshot as one whole version", async () => {
    const busy = ownDirectory();
    const versions = `${busy.path}/versions`;
    mkdirSync(versions);
    // Replaces one file atomically and appends to another, as fast as it can.
    const script = `n=0; while :; do n=$((n + 1)); head -c 300000 /dev/zero | tr '\\0' "$((n % 10))" > new; mv new whole; echo line >> log; done`;
    const writer = spawn("sh", ["-c", script], { cwd: versions });
    try {
      while (!existsSync(`${versions}/log`)) await sleep(10);
      for (let round = 0; round < 4; round += 1) {
        const { exitCode } = await backup(nodeProcesses, { paths: [versions] });
        expect([0, 3]).toContain(exitCode);
        const root = `${busy.path}/root-${round}`;
        await extract(vault, root);
        const content = readFileSync(`${root}${versions}/whole`, "latin1");
        expect(content).toBe(content[0]!.repeat(300_000));
        expect(readFileSync(`${root}${versions}/log`, "utf8")).toMatch(/^(line\n)+$/);
      }
    } finally {
      writer.kill("SIGKILL");
      await once(writer, "exit");
      busy.remove();
    }
  });

  test("move to where they are read again are no hard links to what was read before", async () => {
    const moved = ownDirectory();
    const root = ownDirectory();
    for (const [name, content] of Object.entries({ "1/a": "first", "2/m": randomBytes(3_000_000), "3/b": "other" })) {
      mkdirSync(`${moved.path}/${name[0]}`);
      writeFileSync(`${moved.path}/${name}`, content);
    }
    // Meanwhile tar is done with the first directory, waits with what is in the second, and has not seen the third.
    const script = `"$@" | (sleep 0.3; cd ${moved.path} && test -e 1/a && mv 1/a 3/z; cat)`;
    try {
      const { exitCode } = await backup(tarThrough(script), { paths: [live.path, moved.path] });
      expect(exitCode).toBe(0);
      await extract(vault, `${root.path}/it`);
      expect(readFileSync(`${root.path}/it${moved.path}/3/z`, "utf8")).toBe("first");
      expect(lstatSync(`${root.path}/it${moved.path}/3/z`).nlink).toBe(1);
    } finally {
      moved.remove();
      root.remove();
    }
  });

  test("change at every attempt make the snapshot partial, after three", async () => {
    const asked = { times: 0 };
    const { outcomes, exitCode } = await backup(
      tarThrough('"$@"; echo "tar: x: file changed as we read it" >&2; exit 1', "--create", asked),
    );
    expect(asked.times).toBe(3);
    expect(exitCode).toBe(3);
    expect(outcomes[0]?.manifest).toMatchObject({
      completeness: "partial",
      warnings: [{ code: "FILES_CHANGED", count: 1 }],
    });
  });

  test("change at the first attempt only are read again, and the snapshot is complete and whole", async () => {
    const mark = `${ownDirectory().path}/mark`;
    const script = `"$@"; if [ ! -e ${mark} ]; then touch ${mark}; echo "tar: x: file changed as we read it" >&2; exit 1; fi`;
    const asked = { times: 0 };
    const { outcomes, exitCode } = await backup(tarThrough(script, "--create", asked));
    expect([asked.times, exitCode, outcomes[0]?.manifest?.warnings]).toEqual([2, 0, []]);
    const root = `${ownDirectory().path}/root`;
    await extract(vault, root);
    expect(readFileSync(`${root}${live.path}/c`, "utf8")).toBe("c".repeat(3000));
  });

  test("can not be opened make the snapshot partial, and the others are in it", async () => {
    const said = "tar: x: Cannot open: Permission denied\\ntar: Exiting with failure status due to previous errors\\n";
    const { outcomes, exitCode } = await backup(tarThrough(`"$@"; printf '${said}' >&2; exit 2`));
    expect(exitCode).toBe(3);
    expect(outcomes[0]?.manifest?.warnings).toEqual([{ code: "FILE_UNREADABLE", count: 1 }]);
  });

  test("are not there make the snapshot partial, or none where nothing is", async () => {
    const missing = `${live.path}/not-there`;
    const { outcomes, exitCode } = await backup(nodeProcesses, { paths: [live.path, "/nowhere/at/all"] });
    expect([exitCode, outcomes[0]?.manifest?.warnings]).toEqual([3, [{ code: "PATH_MISSING", count: 1 }]]);
    expect(await failureOf(nodeProcesses, { paths: [missing] })).toMatchObject({
      code: "CAPTURE_FAILED",
      detail: missing,
    });
  });
});

describe("an extraction whose", () => {
  const stage = async (processes: Processes, path: string) =>
    configsComponent().stage(await vault.open("configs"), { kind: "scratch", path }, {}, vault.world({ processes }));

  test.each([
    ["tar fails at its end", '"$@"; echo "tar: No space left on device" >&2; exit 2'],
    ["tar is killed", "head -c 2000 > /dev/null; kill -KILL $$"],
  ])("%s leaves nothing", async (_, script) => {
    expect((await backup(nodeProcesses)).exitCode).toBe(0);
    const parent = ownDirectory();
    const staging = stage(tarThrough(script, "--extract"), `${parent.path}/scratch`);
    await expect(staging).rejects.toMatchObject({ code: "RESTORE_FAILED" });
    expect(() => readFileSync(`${parent.path}/scratch`)).toThrow("ENOENT");
    parent.remove();
  });

  test("tar writes nothing and yet ends well is found out by the check", async () => {
    expect((await backup(nodeProcesses)).exitCode).toBe(0);
    const parent = ownDirectory();
    const staged = await stage(tarThrough("cat > /dev/null", "--extract"), `${parent.path}/scratch`);
    const checks = await configsComponent().check(staged, vault.world());
    expect(checks.find(({ name }) => name === "files")?.outcome).toBe("failed");
    parent.remove();
  });

  test("disk has no room for a file gives the others, and says so", async () => {
    writeFileSync(`${live.path}/large`, Buffer.alloc(3_000_000, "x"));
    expect((await backup(nodeProcesses)).exitCode).toBe(0);
    const parent = ownDirectory();
    mkdirSync(`${parent.path}/disk`);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", `${parent.path}/disk`]);
    try {
      const component = configsComponent();
      const staged = await component.stage(
        await vault.open("configs"),
        { kind: "scratch", path: `${parent.path}/disk/s` },
        {},
        vault.world(),
      );
      const checks = await component.check(staged, vault.world());
      expect(checks.find(({ name }) => name === "archive")).toMatchObject({
        outcome: "failed",
        detail: expect.stringContaining("room"),
      });
      await staged.remove();
    } finally {
      execFileSync("umount", [`${parent.path}/disk`]);
      parent.remove();
    }
  });
});

test("a tree of more entries than a restore is made for is captured, and told", async () => {
  const source = { paths: [live.path], command: [], stallSeconds: 60 };
  const component: Component = {
    ...treeComponent(source),
    capture: (context) => captureTree(source, context, treeParts, 4),
  };
  const { outcomes, exitCode } = await vault.backup([component]);
  expect(exitCode).toBe(0);
  expect(outcomes[0]?.manifest?.warnings).toEqual([{ code: "MANY_FILES", count: expect.any(Number) }]);
});
