import { execFileSync } from "node:child_process";
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodeFiles } from "../../../../core/ports/files.ts";
import { configsComponent } from "../../../../shipper/components/configs/component.ts";
import { configsConfig } from "../../../../shipper/components/configs/config.ts";
import { switchPoints } from "../../../../shipper/components/tree/place-tree.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import { restore } from "../../../../shipper/restore/restore.ts";
import { faultPlan, withFaults } from "../../../fixtures/faults.ts";
import { treeOf } from "../../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { tarOf } from "../../../fixtures/tar-writer.ts";
import { createVault, type Ports, type Vault } from "../../../fixtures/vault.ts";
import { forged } from "./tree-content.ts";

let vault: Vault;
let host: string;
beforeEach(async () => {
  vault = await createVault();
  host = scratchDirectory();
  mkdirSync(`${host}/etc/postfix/maps`, { recursive: true });
  mkdirSync(`${host}/opt/api/src`, { recursive: true, mode: 0o750 });
  writeFileSync(`${host}/etc/postfix/master.cf`, "");
  writeFileSync(`${host}/etc/postfix/maps/relay`, "captured");
  writeFileSync(`${host}/etc/one.conf`, "captured");
  writeFileSync(`${host}/opt/api/.env`, "captured", { mode: 0o600 });
  symlinkSync("src", `${host}/opt/api/link`);
});
afterEach(() => vault.remove());

const paths = () => ["etc/postfix", "etc/one.conf", "opt/api"].map((path) => `${host}/${path}`);
const component = () => configsComponent(configsConfig.parse({ paths: paths() }));
const capture = async () => expect((await vault.backup([component()])).exitCode).toBe(0);
const bringBack = async (selection = {}, ports: Ports = {}) =>
  restore(component(), await vault.open("configs"), { kind: "service" }, selection, vault.world(ports));
const changeAll = () => {
  writeFileSync(`${host}/etc/postfix/maps/relay`, "live");
  writeFileSync(`${host}/etc/postfix/new`, "live");
  writeFileSync(`${host}/etc/one.conf`, "live");
  writeFileSync(`${host}/opt/api/.env`, "live");
};
/** What stands below the paths; names that mailark made are left out. */
const stateOf = () => treeOf(host, (path) => /mailark/.test(path));
const timeless = (tree: Record<string, string>) =>
  Object.fromEntries(Object.entries(tree).filter(([path]) => ![".", "etc", "opt"].includes(path)));

describe("into the service", () => {
  test("each path is exchanged, and what was there is kept beside it", async () => {
    const captured = timeless(stateOf());
    await capture();
    changeAll();
    const { checks, failed } = await bringBack();
    expect(failed).toBe(false);
    expect(timeless(stateOf())).toEqual(captured);
    const kept = readdirSync(`${host}/etc`).filter((name) => name.includes("mailark"));
    expect(kept).toHaveLength(2);
    expect(kept[0]).toMatch(/^one\.conf\.before-mailark-\d{8}T/);
    expect(readFileSync(`${host}/etc/${kept[1]}/maps/relay`, "utf8")).toBe("live");
    expect(checks.find(({ name }) => name === "switched")?.detail).toContain(`${host}/etc/${kept[0]}`);
  });

  test("a machine that has nothing of it gets all of it, and the directories above as they were", async () => {
    execFileSync("chmod", ["2751", `${host}/opt`]);
    const captured = stateOf();
    await capture();
    rmSync(`${host}/opt`, { recursive: true });
    rmSync(`${host}/etc`, { recursive: true });
    const { checks } = await bringBack();
    expect({ ...stateOf(), ".": "" }).toEqual({ ...captured, ".": "" });
    expect(readdirSync(host).sort()).toEqual(["etc", "opt"]);
    expect(checks.find(({ name }) => name === "switched")?.detail).toContain("nothing was there");
  });

  test("what its own service refuses comes back all the same, and is told", async () => {
    writeFileSync(`${host}/etc/postfix/main.cf`, "myhostname = mx\n");
    writeFileSync(`${host}/etc/postfix/master.cf`, "smtp inet\n");
    await capture();
    changeAll();
    const { checks, failed } = await bringBack();
    expect(failed).toBe(true);
    expect(checks.filter(({ outcome }) => outcome === "failed").map(({ name }) => name.split(" ")[0])).toEqual([
      "postfix",
    ]);
    expect(readFileSync(`${host}/etc/postfix/maps/relay`, "utf8")).toBe("captured");
    expect(checks.find(({ name }) => name === "switched")).toBeDefined();
  });

  test("a file system that holds no attributes and lists gets the rest, and that is told", async () => {
    execFileSync("setfattr", ["-n", "user.note", "-v", "captured", `${host}/etc/one.conf`]);
    execFileSync("setfacl", ["-m", "u:105:r", `${host}/opt/api/.env`]);
    await capture();
    changeAll();
    const bare: Processes = {
      start: ([program, ...args], options) => {
        const isDropped = (word: string) => args.includes("--extract") && /^--(xattrs|acls)/.test(word);
        return nodeProcesses.start([program, ...args.filter((word) => !isDropped(word))], options);
      },
    };
    const { checks, failed } = await bringBack({}, { processes: bare });
    expect(failed).toBe(false);
    const files = checks.find(({ name }) => name === "files");
    expect(files).toMatchObject({ outcome: "unproven", detail: expect.stringContaining("one.conf") });
    expect(files?.detail).toContain("opt/api/.env");
    expect(readFileSync(`${host}/etc/one.conf`, "utf8")).toBe("captured");
  });

  test("a hard link between two paths comes back at both, and with either alone", async () => {
    for (const name of ["two", "three"]) linkSync(`${host}/etc/one.conf`, `${host}/opt/api/${name}`);
    await capture();
    const whole = timeless(stateOf());
    for (const selection of [{}, { paths: [`${host}/opt/api`] }]) {
      changeAll();
      rmSync(`${host}/opt/api`, { recursive: true });
      const { checks } = await bringBack(selection);
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      expect(readFileSync(`${host}/opt/api/three`, "utf8")).toBe("captured");
      expect(lstatSync(`${host}/opt/api/two`).ino).toBe(lstatSync(`${host}/opt/api/three`).ino);
    }
    const place = { kind: "directory", path: `${scratchDirectory()}/to` } as const;
    const paths = [`${host}/opt/api/three`];
    const { failed } = await restore(component(), await vault.open("configs"), place, { paths }, vault.world());
    expect(failed).toBe(false);
    expect(readFileSync(`${place.path}${host}/opt/api/three`, "utf8")).toBe("captured");
    expect(readdirSync(place.path)).toEqual([host.split("/")[1]]);
    await bringBack();
    expect(Object.keys(timeless(stateOf()))).toEqual(Object.keys(whole));
  });

  test("a part that is named comes back alone", async () => {
    await capture();
    changeAll();
    await bringBack({ paths: [`${host}/etc/postfix/maps/relay`] });
    expect(readFileSync(`${host}/etc/postfix/maps/relay`, "utf8")).toBe("captured");
    expect(readFileSync(`${host}/etc/postfix/new`, "utf8")).toBe("live");
    expect(readFileSync(`${host}/etc/one.conf`, "utf8")).toBe("live");
    await expect(bringBack({ paths: [`${host}/etc/none`] })).rejects.toMatchObject({ code: "ARGUMENT_INVALID" });
  });

  test("twice, both old ones are kept", async () => {
    await capture();
    for (const text of ["live one", "live two"]) {
      writeFileSync(`${host}/etc/one.conf`, text);
      await bringBack({ paths: [`${host}/etc/one.conf`] });
    }
    const kept = readdirSync(`${host}/etc`).filter((name) => name.startsWith("one.conf.before"));
    expect(kept.map((name) => readFileSync(`${host}/etc/${name}`, "utf8")).sort()).toEqual(["live one", "live two"]);
  });

  test("nothing is touched where something in the archive is unsafe", async () => {
    const root = `${host}/etc`.slice(1);
    const archive = tarOf([
      { name: `${root}/`, flag: "5", mode: 0o755 },
      { name: `${root}/evil`, flag: "3" },
    ]);
    const before = treeOf(host);
    const snapshot = await forged(archive, archive, [root]);
    const restoring = restore(configsComponent(), snapshot, { kind: "service" }, {}, vault.world());
    await expect(restoring).rejects.toMatchObject({
      code: "CHECK_FAILED",
      exitCode: 4,
      detail: expect.stringContaining("evil"),
    });
    expect(treeOf(host)).toEqual(before);
  });

  test("a path that the configuration does not name is refused", async () => {
    const other = `${host}/other`;
    mkdirSync(other);
    writeFileSync(`${other}/file`, "live");
    // A directory of this test's own: where the refusal is missing, this archive does take its place.
    const root = other.slice(1);
    const archive = tarOf([
      { name: `${root}/`, flag: "5", mode: 0o755 },
      { name: `${root}/file`, content: "evil" },
    ]);
    const snapshot = await forged(archive, archive, [root]);
    const restoring = restore(component(), snapshot, { kind: "service" }, {}, vault.world());
    await expect(restoring).rejects.toMatchObject({ code: "RESTORE_FAILED", detail: other });
    expect(readFileSync(`${other}/file`, "utf8")).toBe("live");
  });

  test("a directory of the system itself is refused", () => {
    expect(() => switchPoints(nodeFiles, ["etc"], "20261121T020000.000Z-k3m9x2qa7b")).toThrow(
      expect.objectContaining({ code: "RESTORE_FAILED", detail: "/etc" }),
    );
  });

  test("files of another place are refused", async () => {
    await capture();
    const elsewhere = configsComponent(configsConfig.parse({ paths: paths(), command: ["env"] }));
    const restoring = restore(elsewhere, await vault.open("configs"), { kind: "service" }, {}, vault.world());
    await expect(restoring).rejects.toMatchObject({ code: "RESTORE_FAILED" });
  });

  test("a mount point is refused before anything is touched", async () => {
    await capture();
    changeAll();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", `${host}/opt/api`]);
    try {
      const before = treeOf(host);
      await expect(bringBack()).rejects.toMatchObject({
        code: "RESTORE_FAILED",
        message: expect.stringContaining("mount point"),
      });
      expect(treeOf(host)).toEqual(before);
    } finally {
      execFileSync("umount", [`${host}/opt/api`]);
    }
  });
});

/** Whole, either as captured or as it was live: of each path by itself. */
function expectOldOrNew(captured: Record<string, string>, live: Record<string, string>, when: string): void {
  const now = stateOf();
  for (const top of ["etc/postfix", "etc/one.conf", "opt/api"]) {
    const of = (tree: Record<string, string>) =>
      JSON.stringify(
        Object.entries(tree)
          .filter(([path]) => path === top || path.startsWith(`${top}/`))
          .sort(),
      );
    expect([of(captured), of(live)], `${top}, ${when}`).toContain(of(now));
  }
}

/** Flushing all of a busy disk takes longer than the rest, and proves nothing here. */
const unflushed: Processes = {
  start: ([program, ...args], options) =>
    nodeProcesses.start(program === "sync" ? ["true"] : [program, ...args], options),
};

describe("where the switch", () => {
  const two = () => ({ paths: [`${host}/etc/postfix`, `${host}/opt/api`] });

  test("fails at any step, everything is as it was before", async () => {
    await capture();
    changeAll();
    const live = stateOf();
    for (let at = 1; at < 40; at += 1) {
      let count = 0;
      const fail = () => {
        count += 1;
        if (count === at) throw Object.assign(new Error("EIO: disk"), { code: "EIO", syscall: "rename" });
      };
      const renameSync: typeof nodeFiles.renameSync = (from, to) => {
        fail();
        nodeFiles.renameSync(from, to);
      };
      const processes: Processes = {
        start: async (command, options) => {
          if (command.includes("perl")) fail();
          return unflushed.start(command, options);
        },
      };
      const done = await bringBack(two(), { files: { ...nodeFiles, renameSync }, processes }).then(
        () => true,
        () => false,
      );
      if (done) {
        expect(at).toBe(7);
        return;
      }
      expect({ ...stateOf(), etc: "", opt: "" }, `step ${at}`).toEqual({ ...live, etc: "", opt: "" });
      expect(
        readdirSync(`${host}/etc`).filter((name) => name.includes("mailark")),
        `step ${at}`,
      ).toEqual([]);
    }
  });

  test("is interrupted when two paths were exchanged just now, everything is as it was before", async () => {
    await capture();
    changeAll();
    const live = stateOf();
    const controller = new AbortController();
    const processes: Processes = {
      async start(command, options) {
        const running = await unflushed.start(command, options);
        if (!command.includes("perl") || controller.signal.aborted) return running;
        running.stdin.end();
        running.stdout.resume();
        const exit = await running.exited;
        controller.abort();
        // Whoever can be reached by the signal may be killed by it after the step was done.
        const reached = options?.signal !== undefined || command[0] !== "setsid";
        const exited = Promise.resolve(reached ? { signal: "SIGTERM" } : exit);
        return { ...running, stdout: Readable.from([]), exited };
      },
    };
    const interrupted = bringBack(two(), { processes, signal: controller.signal });
    await expect(interrupted).rejects.toMatchObject({ name: "AbortError" });
    expect({ ...stateOf(), etc: "", opt: "" }).toEqual({ ...live, etc: "", opt: "" });
    expect(readdirSync(`${host}/etc`).filter((name) => name.includes("mailark"))).toEqual([]);
  });

  test("can not be taken back at one path, the others are, and nothing is lost", async () => {
    await capture();
    changeAll();
    let exchanges = 0;
    const renameSync: typeof nodeFiles.renameSync = (from, to) => {
      if (String(to).includes(".before-mailark-")) throw new Error("EIO: disk");
      nodeFiles.renameSync(from, to);
    };
    const processes: Processes = {
      start: async (command, options) => {
        if (command.includes("perl")) exchanges += 1;
        // The first of those that take one back.
        if (command.includes("perl") && exchanges === 3) throw new Error("EIO: exchange");
        return unflushed.start(command, options);
      },
    };
    await expect(bringBack(two(), { files: { ...nodeFiles, renameSync }, processes })).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining("could not be taken back"),
    });
    expect(readFileSync(`${host}/etc/postfix/maps/relay`, "utf8")).toBe("live");
    expect(readFileSync(`${host}/opt/api/.env`, "utf8")).toBe("captured");
    const [left = ""] = readdirSync(`${host}/opt`).filter((name) => name.startsWith(".mailark-switch-"));
    expect(readFileSync(`${host}/opt/${left}${host}/opt/api/.env`, "utf8")).toBe("live");
  });

  test("is done, what was there is told also where an empty directory stays", async () => {
    await capture();
    changeAll();
    const rmdirSync: typeof nodeFiles.rmdirSync = (path) => {
      if (String(path).includes(".mailark-switch-")) throw new Error("EIO: disk");
      nodeFiles.rmdirSync(path);
    };
    const { checks, failed } = await bringBack(two(), { files: { ...nodeFiles, rmdirSync }, processes: unflushed });
    expect(failed).toBe(false);
    expect(checks.find(({ name }) => name === "switched")?.detail).toContain("is kept as");
    expect(readFileSync(`${host}/opt/api/.env`, "utf8")).toBe("captured");
  });

  test("dies at any step, each path is the old one or the new one, and running it again completes it", async () => {
    const captured = stateOf();
    await capture();
    changeAll();
    const live = stateOf();
    const pristine = `${scratchDirectory()}/pristine`;
    execFileSync("cp", ["-a", host, pristine]);
    const run = async (plan: ReturnType<typeof faultPlan>) => {
      execFileSync("sh", ["-c", 'rm -rf "$2"/* && cp -a "$1/." "$2"', "sh", pristine, host]);
      const ports = {
        files: withFaults(nodeFiles, plan, "files"),
        processes: withFaults(unflushed, plan, "processes"),
      };
      await bringBack(two(), ports).catch(() => {});
    };
    const whole = faultPlan();
    await run(whole);
    const first = whole.calls.indexOf("files.renameSync");
    const steps = [...whole.calls.entries()].filter(
      ([index, call]) => index >= first && /rename|start|rmdir/.test(call),
    );
    let kept = 0;
    for (const [index, call] of steps) {
      const when = `${call}, call ${index + 1}`;
      const plan = faultPlan({ at: index + 1, die: "before" });
      await run(plan);
      expect(plan.struck, when).toBe(true);
      expectOldOrNew(captured, live, when);
      await bringBack(two(), { processes: unflushed });
      expect(
        readdirSync(`${host}/etc`).filter((name) => name.startsWith(".")),
        when,
      ).toEqual([]);
      // Where it was killed in the middle, what was live before is not lost: it is what the second restore found, or in what the first left.
      const left = readdirSync(`${host}/etc`).filter((name) => name.endsWith(".before-mailark-killed"));
      kept += left.length;
    }
    expect(kept).toBeGreaterThan(2);
  });

  test("was never begun, what was staged for it is swept away by the next one", async () => {
    await capture();
    changeAll();
    mkdirSync(`${host}/etc/.mailark-restore-20261121T020000.000Z-k3m9x2qa7b-1/etc`, { recursive: true });
    await bringBack(two());
    expect(readdirSync(`${host}/etc`).filter((name) => name.startsWith("."))).toEqual([]);
  });
});
