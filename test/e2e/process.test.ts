import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../sandbox/host/host.ts";
import { fillAgency } from "../fixtures/agency.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const program = new URL("../../shipper/mailark.ts", import.meta.url).pathname;

let host: SandboxHost;
let directory: string;
let config: string;
let identity: string;

beforeAll(async () => {
  host = await startHost({ services: ["mariadb"] });
  await fillAgency(host, { mailboxes: 5, messages: 40 });
});
afterAll(() => host.stop());

beforeEach(async () => {
  directory = scratchDirectory();
  config = join(directory, "config.yaml");
  identity = join(directory, "recovery.key");
  const words = [
    "--json",
    "init",
    "--yes",
    "--store",
    `file://${directory}/store`,
    "--state",
    join(directory, "state"),
  ];
  const found = [
    "--component",
    "mail",
    "mysql",
    "--mail-root",
    host.vmail,
    "--mysql-defaults-file",
    host.mariadb.defaultsFile,
  ];
  const { stdout, exitCode } = await mailark([...words, ...found]);
  expect(exitCode).toBe(0);
  writeFileSync(identity, stdout.match(/AGE-SECRET-KEY-1[A-Z0-9]+/)![0], { mode: 0o600 });
});

const mailark = (words: readonly string[], env: Record<string, string> = {}) =>
  execa(process.execPath, [program, "--config", config, ...words], { reject: false, env });

const manifests = () =>
  readdirSync(join(directory, "store"), { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith("manifest.json"),
  );

test("a process group that is killed at any moment leaves whole snapshots, and the next run needs no help", async () => {
  const startedAt = performance.now();
  expect((await mailark(["backup"])).exitCode).toBe(0);
  /** Of a run that ended before its kill it is known that it lasts less. */
  let lasts = performance.now() - startedAt;
  const kills = 8;
  let early = 0;
  for (let kill = 1; kill <= kills; kill += 1) {
    const running = spawn(process.execPath, [program, "--config", config, "backup"], {
      detached: true,
      stdio: "ignore",
    });
    const ended = once(running, "exit");
    await new Promise((resolve) => setTimeout(resolve, (lasts * kill) / (kills + 4)));
    try {
      process.kill(-running.pid!, "SIGKILL");
    } catch {
      // It was faster than usual and had ended.
    }
    const [, signal] = await ended;
    if (signal === "SIGKILL") early += 1;
    else lasts /= 2;
    const { exitCode, stdout } = await mailark(["verify", "--deep", "--identity", identity]);
    expect(exitCode, stdout).toBe(0);
  }
  expect(early).toBeGreaterThan(2);
  const before = manifests().length;
  expect((await mailark(["backup"])).exitCode).toBe(0);
  expect(manifests().length).toBe(before + 2);
});

describe("a dump tool that fails takes its own component with it, and no other", () => {
  const tools = {
    "exits with an error after its last byte": "exec_real; exit 3",
    "is killed after some bytes": "exec_real | head -c 20000; kill -9 $$",
    "ends early and reports success": "exec_real | head -c 20000",
    "prints all but its completion mark": "exec_real | head -n -1",
    "prints nothing at all": "exit 0",
  };
  test.each(Object.entries(tools))("when it %s", async (_, script) => {
    const bin = join(directory, "bin");
    mkdirSync(bin);
    const real = (await execa("which", ["mariadb-dump"])).stdout;
    const wrapper = script.replace("exec_real", `"${real}" "$@"`);
    for (const name of ["mariadb-dump", "mysqldump"]) {
      // What the tool says of itself is no dump.
      writeFileSync(join(bin, name), `#!/bin/sh\ncase "$*" in *--version*) exec "${real}" "$@" ;; esac\n${wrapper}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    const { exitCode, stdout, stderr } = await mailark(["backup"], { PATH: `${bin}${delimiter}${process.env.PATH}` });
    expect(exitCode, stdout + stderr).toBe(3);
    expect(`${stdout}${stderr}`).toMatch(/Error: /);
    expect(manifests().map((path) => path.split("/").at(-3))).toEqual(["mail"]);
    const [run = ""] = readdirSync(join(directory, "store"), { recursive: true, encoding: "utf8" }).filter((path) =>
      /runs\/.+json$/.test(path),
    );
    const record = JSON.parse(readFileSync(join(directory, "store", run), "utf8").split("\n")[0]!);
    expect(record.components).toMatchObject([
      { component: "mysql", outcome: "failed", error: { code: expect.stringMatching(/DUMP_|PROGRAM_/) } },
      { component: "mail", outcome: "complete" },
    ]);
    expect((await mailark(["backup"])).exitCode).toBe(0);
  });
});

test("no secret stands on a command line, in the output, in the state or in the store, while backup and restore run", async () => {
  const secrets = [host.mariadb.password, readFileSync(identity, "utf8").trim()];
  const seen = new Set<string>();
  let watching = true;
  const watch = (async () => {
    while (watching) {
      for (const pid of readdirSync("/proc")) {
        if (!/^\d+$/.test(pid)) continue;
        try {
          seen.add(readFileSync(`/proc/${pid}/cmdline`, "latin1"));
        } catch {
          // It ended meanwhile.
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  const said = [await mailark(["--debug", "backup"]), await mailark(["verify", "--deep", "--identity", identity])];
  said.push(await mailark(["restore", "mysql", "--to", join(directory, "sql"), "--identity", identity]));
  said.push(await mailark(["restore", "mail", "--to", join(directory, "mail"), "--identity", identity]));
  watching = false;
  await watch;
  expect(said.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);
  expect([...seen].some((line) => line.includes("mariadb-dump"))).toBe(true);
  const printed = said.map(({ stdout, stderr }) => stdout + stderr);
  const stored = ["store", "state"].flatMap((place) =>
    readdirSync(join(directory, place), { recursive: true, withFileTypes: true, encoding: "utf8" })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1")),
  );
  for (const secret of secrets) {
    for (const text of [...seen, ...printed, ...stored]) expect(text.includes(secret)).toBe(false);
  }
});
