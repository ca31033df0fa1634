import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { feed, nodeProcesses, outputOf, streamOf, succeed } from "../../shipper/processes.ts";
import { readAll } from "../fixtures/read-all.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", note).on("uncaughtException", note);
});
afterEach(async () => {
  await pause(20);
  process.off("unhandledRejection", note).off("uncaughtException", note);
  expect(unhandled).toEqual([]);
});

const shell = (script: string): [string, ...string[]] => ["sh", "-c", script];
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};
async function* chunks(count: number, bytes = 65_536): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < count; sent += 1) {
    yield Buffer.alloc(bytes, "x");
    await new Promise(setImmediate);
  }
}

describe("a program", () => {
  test("that is missing is told, with what to install", async () => {
    await expect(nodeProcesses.start(["no-such-program", "--password=x"])).rejects.toMatchObject({
      code: "PROGRAM_MISSING",
      message: expect.stringContaining("no-such-program"),
      hint: expect.stringContaining("install"),
    });
  });

  test("that can not be executed, or whose directory is not there, is told", async () => {
    await expect(nodeProcesses.start(["/etc/passwd"])).rejects.toMatchObject({
      code: "PROGRAM_MISSING",
      message: expect.stringContaining("EACCES"),
      hint: expect.stringContaining("executed"),
    });
    await expect(nodeProcesses.start(["true"], { cwd: "/no/such/directory" })).rejects.toMatchObject({
      code: "PROGRAM_MISSING",
    });
  });

  test("gets its arguments as they are: no shell looks at them", async () => {
    const odd = ["a b", "$HOME", "`id`", "'", '"', "*", ";", "", "\\", "ä"];
    const printed = await outputOf(nodeProcesses, ["printf", "%s\\n", ...odd]);
    expect(printed.toString()).toBe(odd.map((each) => `${each}\n`).join(""));
  });

  test("is judged by its exit status, with its last words", async () => {
    const failing = outputOf(nodeProcesses, shell("echo all is well; echo no space left >&2; exit 3"));
    await expect(failing).rejects.toMatchObject({
      code: "PROGRAM_FAILED",
      message: "sh failed with exit status 3",
      detail: "no space left",
    });
  });

  test("that a signal ended has failed", async () => {
    const running = await nodeProcesses.start(shell("kill -KILL $$"));
    expect(await running.exited).toEqual({ signal: "SIGKILL" });
    await expect(succeed("sh", running)).rejects.toMatchObject({ message: "sh failed with signal SIGKILL" });
  });

  test("that complains at length is quoted from the end, in a few kilobytes", async () => {
    const failing = outputOf(nodeProcesses, shell("seq 1 200000 >&2; echo the reason >&2; exit 1"));
    const error = (await failing.catch((thrown) => thrown)) as MailarkError;
    expect(error.detail).toMatch(/200000\nthe reason$/);
    expect(error.detail!.length).toBeLessThanOrEqual(4096);
  });

  test("gets its secrets by environment and input, which no other user can see", async () => {
    const running = await nodeProcesses.start(shell("read word; sleep 5"), { env: { SECRET_WORD: "hunter2" } });
    const seen = readFileSync(`/proc/${running.pid}/cmdline`, "utf8");
    expect(seen).not.toContain("hunter2");
    running.kill();
    await running.exited;
    const printed = await outputOf(nodeProcesses, shell('read word; echo "$SECRET_WORD $word"'), {
      env: { SECRET_WORD: "hunter2" },
      input: "stdin-secret\n",
    });
    expect(printed.toString()).toBe("hunter2 stdin-secret\n");
  });

  test("that fails with a secret in its environment is told of without it", async () => {
    const failing = outputOf(nodeProcesses, shell("exit 1"), { env: { SECRET_WORD: "hunter2" } });
    const error = (await failing.catch((thrown) => thrown)) as MailarkError;
    expect(JSON.stringify([error, error.message, error.detail, error.stack, error.cause])).not.toContain("hunter2");
    const missing = await nodeProcesses
      .start(["no-such-program"], { env: { SECRET_WORD: "hunter2" } })
      .catch((thrown) => thrown);
    expect(JSON.stringify([missing, missing.cause])).not.toContain("hunter2");
  });

  test("that nobody listens to ends nevertheless", async () => {
    const running = await nodeProcesses.start(shell("head -c 5000000 /dev/zero; echo x >&2"));
    expect(await running.exited).toEqual({ code: 0 });
  });
});

describe("an abort", () => {
  test("comes before the program: it is not started", async () => {
    const file = join(scratchDirectory(), "made");
    const start = nodeProcesses.start(["touch", file], { signal: AbortSignal.abort(new Error("stop")) });
    await expect(start).rejects.toThrow("stop");
    await pause(50);
    expect(() => readFileSync(file)).toThrow("ENOENT");
  });

  test.each(["outputOf", "streamOf", "feed"])("ends a program of %s, and is what is thrown", async (how) => {
    const abort = new AbortController();
    const options = { signal: abort.signal };
    const command = shell("cat > /dev/null & exec sleep 60");
    const work = {
      outputOf: () => outputOf(nodeProcesses, command, options),
      streamOf: () => readAll(streamOf(nodeProcesses, command, options)),
      feed: () => feed(nodeProcesses, ["sleep", "60"], chunks(1), options),
    }[how]!();
    setTimeout(() => abort.abort(new MailarkError("INTERRUPTED", "interrupted")), 100);
    await expect(work).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  test("does not blame what the program had done before", async () => {
    const abort = new AbortController();
    const printed = await outputOf(nodeProcesses, ["echo", "done"], { signal: abort.signal });
    abort.abort();
    expect(printed.toString()).toBe("done\n");
  });

  test("kills what does not listen to TERM", async () => {
    const running = await nodeProcesses.start(shell("trap '' TERM; echo ready; while :; do sleep 0.1; done"));
    for await (const _ of running.stdout) break;
    running.kill();
    expect(await running.exited).toEqual({ signal: "SIGKILL" });
  }, 15_000);
});

describe("a stream from a program", () => {
  test("gives everything, however much it is, without reading ahead of its consumer", async () => {
    const done = join(scratchDirectory(), "done");
    let bytes = 0;
    for await (const chunk of streamOf(nodeProcesses, shell(`head -c 60000000 /dev/zero; touch ${done}`))) {
      if (bytes === 0) await pause(300);
      if (bytes < 30_000_000) expect(existsSync(done)).toBe(false);
      bytes += chunk.length;
    }
    expect(bytes).toBe(60_000_000);
    expect(existsSync(done)).toBe(true);
  });

  test("throws after the last byte when the program failed", async () => {
    const seen: string[] = [];
    const reading = async () => {
      for await (const chunk of streamOf(nodeProcesses, shell("echo half a dump; exit 2"))) seen.push(chunk.toString());
    };
    await expect(reading()).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
    expect(seen.join("")).toBe("half a dump\n");
  });

  test("ends the program when no more is wanted, and waits for that", async () => {
    let pid = 0;
    const processes: typeof nodeProcesses = {
      async start(...args) {
        const running = await nodeProcesses.start(...args);
        pid = running.pid;
        return running;
      },
    };
    const silent = ["sh", "-c", "echo once; exec sleep 300"] as const;
    for (const command of [["yes"], silent] as const) {
      pid = 0;
      for await (const _ of streamOf(processes, command)) break;
      expect(pid).toBeGreaterThan(0);
      expect(isAlive(pid)).toBe(false);
    }
  });
});

describe("feeding a program", () => {
  test("gives it everything and returns what it printed, both of any size", async () => {
    const printed = await feed(nodeProcesses, ["cat"], chunks(300));
    expect(printed).toHaveLength(300 * 65_536);
    expect((await feed(nodeProcesses, ["wc", "-c"], chunks(0))).toString().trim()).toBe("0");
  });

  test("does not run ahead of the program", async () => {
    let sent = 0;
    const source = async function* () {
      for (; sent < 200; sent += 1) yield Buffer.alloc(65_536);
    };
    const feeding = feed(nodeProcesses, shell("sleep 0.4; wc -c"), source());
    await pause(200);
    expect(sent).toBeLessThan(10);
    expect((await feeding).toString().trim()).toBe(String(200 * 65_536));
  });

  test("fails when the program stops reading, though its exit status is 0", async () => {
    await expect(feed(nodeProcesses, ["head", "-c", "10"], chunks(200))).rejects.toMatchObject({
      code: "PROGRAM_FAILED",
      message: expect.stringContaining("did not read all"),
    });
    await expect(feed(nodeProcesses, ["true"], chunks(200))).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
  });

  test("fails with the program's own words, and not with a broken pipe", async () => {
    const failing = feed(nodeProcesses, shell("exec <&-; echo syntax error >&2; sleep 0.2; exit 4"), chunks(200));
    await expect(failing).rejects.toMatchObject({
      code: "PROGRAM_FAILED",
      message: "sh failed with exit status 4",
      detail: "syntax error",
    });
  });

  test("fails with the source's own error, and ends the program", async () => {
    let pid = 0;
    const processes: typeof nodeProcesses = {
      async start(...args) {
        const running = await nodeProcesses.start(...args);
        pid = running.pid;
        return running;
      },
    };
    const source = async function* () {
      yield Buffer.from("half");
      throw new MailarkError("OBJECT_CORRUPT", "made up");
    };
    await expect(feed(processes, ["cat"], source())).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
    expect(isAlive(pid)).toBe(false);
  });
});
