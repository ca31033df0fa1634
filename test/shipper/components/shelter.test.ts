import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import { processesIn } from "../../../sandbox/host/place.ts";
import type { World } from "../../../shipper/components/component.ts";
import { openShelter } from "../../../shipper/components/shelter.ts";
import { nodeProcesses, type Processes } from "../../../shipper/processes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

/** A directory that every account may pass through, as the parent of a shelter must be. */
function scratch(): string {
  const path = scratchDirectory();
  chmodSync(path, 0o711);
  return path;
}

const isRoot = process.getuid?.() === 0;
const signal = new AbortController().signal;
const world: World = {
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal,
  progress: () => {},
};

/** Says its process id in a file and stays, with a child of its own. */
const server = (file: string) => ["sh", "-c", 'sleep 1000 & echo "$$ $!" > "$1"; wait', "sh", file] as const;

const isAlive = (pid: number) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

async function eventually(holds: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (holds()) return true;
    await sleep(25);
  }
  return false;
}

describe("a shelter", () => {
  const left: ChildProcess[] = [];
  afterEach(() => {
    for (const child of left.splice(0)) child.kill("SIGKILL");
    vi.unstubAllEnvs();
  });

  test("is a private directory of the account that runs what is in it", async () => {
    const path = join(scratch(), "shelter");
    const shelter = await openShelter({ path, accounts: ["no-such-account", "nobody"] }, world);
    const { mode, uid } = statSync(path);
    expect(mode & 0o777).toBe(0o700);
    expect(uid).toBe(isRoot ? 65534 : process.getuid!());
    expect(Number(String(await shelter.run(["id", "-u"])))).toBe(uid);
    expect(String(await shelter.run(["pwd"])).trim()).toBe(path);
    await shelter.remove();
    expect(existsSync(path)).toBe(false);
  });

  test("takes a file, and hands a program its input", async () => {
    const shelter = await openShelter({ path: join(scratch(), "s"), accounts: ["nobody"] }, world);
    const content = async function* () {
      yield Buffer.from("one ");
      yield Buffer.from("two");
    };
    const file = await shelter.write("file with a blank", content());
    expect(String(await shelter.run(["cat", file]))).toBe("one two");
    expect(String(await shelter.run(["tr", "a-z", "A-Z"], "input"))).toBe("INPUT");
    await shelter.remove();
  });

  test("refuses a directory that holds something, and leaves it", async () => {
    const path = scratch();
    writeFileSync(join(path, "mine"), "");
    await expect(openShelter({ path, accounts: [] }, world)).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
    expect(existsSync(join(path, "mine"))).toBe(true);
  });

  test("says which program is missing, and with which words another failed", async () => {
    const shelter = await openShelter({ path: join(scratch(), "s"), accounts: ["nobody"] }, world);
    await expect(shelter.run(["no-such-program"])).rejects.toMatchObject({
      code: "PROGRAM_MISSING",
      message: "can not start no-such-program",
    });
    await expect(shelter.run(["ls", "no-such-file"])).rejects.toMatchObject({
      code: "PROGRAM_FAILED",
      message: "ls failed with exit status 2",
      detail: expect.stringContaining("no-such-file"),
    });
    await shelter.remove();
  });

  test("ends a server with its children, and is gone", async () => {
    const path = join(scratch(), "s");
    const shelter = await openShelter({ path, accounts: ["nobody"] }, world);
    const file = `${path}/pids`;
    await shelter.serve({ name: "sleeper", words: server(file) as never, ready: async () => existsSync(file) });
    const pids = readFileSync(file, "utf8").trim().split(" ").map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    await shelter.remove();
    expect(pids.map(isAlive)).toEqual([false, false]);
    expect(existsSync(path)).toBe(false);
  });

  test("says why a server does not come up", async () => {
    const shelter = await openShelter({ path: join(scratch(), "s"), accounts: ["nobody"] }, world);
    const plan = { name: "broken", ready: async () => false };
    await expect(
      shelter.serve({ ...plan, words: ["sh", "-c", "echo the disk is made of cheese; exit 3"] }),
    ).rejects.toMatchObject({ code: "PROGRAM_FAILED", detail: expect.stringContaining("made of cheese") });
    await expect(shelter.serve({ ...plan, words: ["no-such-server"] })).rejects.toMatchObject({
      code: "PROGRAM_MISSING",
    });
    await shelter.remove();
  });

  test.each(["KILL", "TERM"] as const)("ends a server by %s before it has a session of its own", async (endSignal) => {
    // What this process's death does at any moment: the input ends, here before the server was started.
    const cut: Processes = {
      async start(words, options) {
        const running = await nodeProcesses.start(words, options);
        if (words.includes("1000")) running.stdin.end();
        return running;
      },
    };
    const programs = scratch();
    writeFileSync(join(programs, "setsid"), 'sleep 0.2; exec /usr/bin/setsid "$@"', { mode: 0o755 });
    const path = join(scratch(), "s");
    const shelter = await openShelter({ path, accounts: ["nobody"] }, { ...world, processes: cut });
    const plan = { words: ["sleep", "1000"], endSignal, ready: async () => false } as const;
    const begin = (name: string) => expect(shelter.serve({ ...plan, name })).rejects.toThrow();
    await Promise.all(Array.from({ length: 12 }, (_, number) => begin(`in-time-${number}`)));
    vi.stubEnv("PATH", `${programs}:${process.env.PATH}`);
    await Promise.all(Array.from({ length: 3 }, (_, number) => begin(`late-${number}`)));
    await shelter.remove();
    expect(await eventually(() => processesIn(path).length === 0)).toBe(true);
  });

  test("waits a minute for a server, also for an answer that never comes", async () => {
    const path = join(scratch(), "s");
    const clock = { ...systemClock, sleep: async (time: number) => sleep(time >= 60_000 ? 100 : time) };
    const shelter = await openShelter({ path, accounts: ["nobody"] }, { ...world, clock });
    const plan = { name: "silent", words: ["sleep", "1000"], ready: () => new Promise<boolean>(() => {}) } as const;
    await expect(shelter.serve(plan)).rejects.toMatchObject({ message: expect.stringContaining("did not come up") });
    await shelter.remove();
    expect(processesIn(path)).toEqual([]);
  });

  test.each(["the process", "its whole group"])("leaves nothing when %s is killed", async (what) => {
    const parent = scratch();
    const path = join(parent, "s");
    const file = `${path}/pids`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program(path, file)], {
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
      cwd: new URL("../../..", import.meta.url).pathname,
    });
    left.push(child);
    await once(child.stdout!, "data");
    const pids = readFileSync(file, "utf8").trim().split(" ").map(Number);
    expect(pids.map(isAlive)).toEqual([true, true]);
    process.kill(what === "the process" ? child.pid! : -child.pid!, "SIGKILL");
    expect(await eventually(() => !existsSync(path))).toBe(true);
    expect(await eventually(() => !pids.some(isAlive))).toBe(true);
  });
});

const program = (path: string, file: string) => `
import { existsSync } from "node:fs";
import { systemClock } from "./core/ports/clock.ts";
import { nodeFiles } from "./core/ports/files.ts";
import { openShelter } from "./shipper/components/shelter.ts";
import { nodeProcesses, type Processes } from "./shipper/processes.ts";
const signal = new AbortController().signal;
const world = { files: nodeFiles, processes: nodeProcesses, clock: systemClock, signal, progress() {} };
const shelter = await openShelter({ path: ${JSON.stringify(path)}, accounts: ["nobody"] }, world);
const file = ${JSON.stringify(file)};
await shelter.serve({ name: "sleeper", words: ${JSON.stringify(server(file))}, ready: async () => existsSync(file) });
console.log("ready");
await new Promise(() => setInterval(() => {}, 1000));
`;
