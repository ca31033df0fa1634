import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { nodeFiles } from "../../core/ports/files.ts";
import { appendLine } from "../../shipper/audit.ts";
import { type CommandLine, commandLine } from "../fixtures/command-line.ts";
import { errnoError, type Fault, faultPlan, sweep, withFaults } from "../fixtures/faults.ts";
import { makeFolder, writeFile } from "../fixtures/mailboxes.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const linesOf = (path: string) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

describe("the file", () => {
  const full = "x".repeat(300_000);

  test("is put aside when it is full, and the oldest goes: at most six of a mebibyte", () => {
    const directory = scratchDirectory();
    const path = join(directory, "audit.jsonl");
    for (let number = 0; number < 40; number += 1) appendLine(nodeFiles, path, { number, full });
    const names = readdirSync(directory).toSorted();
    expect(names).toEqual(["audit.jsonl", ...[1, 2, 3, 4, 5].map((number) => `audit.jsonl.${number}`)]);
    for (const name of names) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
      expect(statSync(join(directory, name)).size).toBeLessThan(1024 * 1024);
    }
    const oldestFirst = [5, 4, 3, 2, 1].map((number) => `${path}.${number}`).concat(path);
    const numbers = oldestFirst.flatMap(linesOf).map(({ number }) => number);
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => 40 - numbers.length + index));
  });

  test("put aside by two at once keeps every line of both", () => {
    const directory = scratchDirectory();
    const path = join(directory, "audit.jsonl");
    for (let number = 0; number < 3; number += 1) appendLine(nodeFiles, path, { number, full });
    const renameSync: typeof nodeFiles.renameSync = (from, to) => {
      if (from === path) appendLine(nodeFiles, path, { number: 3, full });
      nodeFiles.renameSync(from, to);
    };
    appendLine({ ...nodeFiles, renameSync }, path, { number: 4, full });
    const numbers = readdirSync(directory).flatMap((name) =>
      linesOf(join(directory, name)).map(({ number }) => number),
    );
    expect(numbers.toSorted()).toEqual([0, 1, 2, 3, 4]);
  });

  test("is never what a link leads to", () => {
    const path = join(scratchDirectory(), "audit.jsonl");
    writeFileSync(`${path}.victim`, "x");
    symlinkSync(`${path}.victim`, path);
    expect(() => appendLine(nodeFiles, path, {})).toThrow("ELOOP");
    expect(readFileSync(`${path}.victim`, "utf8")).toBe("x");
  });

  test.each<[string, (at: number) => Fault]>([
    ["before a call", (at) => ({ at, die: "before" })],
    ["after a call", (at) => ({ at, die: "after" })],
    ["in the middle of a write", (at) => ({ at, die: "torn" })],
  ])("killed %s of putting it aside, keeps every line but the oldest, and goes on", async (_, fault) => {
    let directory = "";
    const path = () => join(directory, "audit.jsonl");
    for await (const {
      fault: { at },
      call,
    } of sweep(fault, async (plan) => {
      directory = scratchDirectory();
      for (let number = 0; number < 9; number += 1) appendLine(nodeFiles, path(), { number, full });
      try {
        appendLine(withFaults(nodeFiles, plan, "files"), path(), { number: 9, full });
      } catch {
        // Looked at below.
      }
    })) {
      appendLine(nodeFiles, path(), { number: 10 });
      const texts = readdirSync(directory).map((name) => readFileSync(join(directory, name), "utf8"));
      const whole = texts
        .flatMap((text) => text.split("\n"))
        .flatMap((line) => (line.endsWith("}") ? [JSON.parse(line)] : []));
      const numbers = whole.map(({ number }) => number).toSorted((a, b) => a - b);
      expect(
        numbers.filter((number) => number !== 9),
        `${at} ${call}`,
      ).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
    }
  });
});

describe("a command", () => {
  let host: CommandLine;
  beforeEach(async () => {
    host = commandLine(scratchDirectory());
    makeFolder(`${host.vmail}/example.com/alice/Maildir`);
    writeFile(`${host.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
    await host.init();
  });
  const path = () => join(host.directory, "state/audit.jsonl");
  const lines = () => (existsSync(path()) ? linesOf(path()) : []);

  test("says who ran what, and how it ended", async () => {
    await host.configured(["backup"], { env: { SUDO_USER: "operator" } });
    const [began, ended] = lines();
    expect(began).toMatchObject({
      event: "began",
      command: "backup",
      words: ["--config", host.configPath, "backup"],
      by: { uid: process.getuid!(), sudoUser: "operator" },
      pid: process.pid,
    });
    expect(ended).toMatchObject({ id: began.id, event: "ended", command: "backup", exitCode: 0 });
    expect(ended.snapshots).toEqual([{ component: "mail", snapshotId: expect.stringMatching(/^\d{8}T/) }]);
    expect(ended.milliseconds).toBeGreaterThanOrEqual(0);

    const to = ["--to", join(host.directory, "out")];
    await host.configured(["restore", "mail", "--mailbox", "alice@example.com", "--identity", host.identity, ...to]);
    const [, , asked, restored] = lines();
    expect(asked.words).toContain("alice@example.com");
    expect(restored).toMatchObject({ command: "restore", exitCode: 0, snapshots: ended.snapshots });
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  test("that fails or is refused is there with its error, and what only looks is not", async () => {
    await host.configured(["restore", "mail", "--to", "/nowhere", "--identity", "/no/such/key"]);
    expect(lines().at(-1)).toMatchObject({ event: "ended", exitCode: 2, error: expect.stringMatching(/^[A-Z_]+$/) });
    const { length } = lines();
    for (const words of [["list"], ["verify"], ["backup", "--dry-run"], ["prune", "--daily", "3"]]) {
      await host.configured(words);
    }
    expect(lines()).toHaveLength(length);
  });

  test("whose result can not be told is there with what it did", async () => {
    expect((await host.configured(["backup"], { fullDisk: true })).code).not.toBe(0);
    const ended = lines().filter(({ event }) => event === "ended");
    expect(ended).toHaveLength(1);
    expect(ended[0]).toMatchObject({ hostId: expect.any(String), snapshots: [{ component: "mail" }] });
  });

  test("leaves no secret there", async () => {
    await host.configured([
      "restore",
      "mail",
      "--to",
      "/nowhere",
      "--identity",
      "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQ",
    ]);
    await host.configured(["restore", "mail", "--to", "/nowhere", "--store", "https://me:secret@example.com/"]);
    expect(readFileSync(path(), "utf8")).not.toMatch(/QQQQ|secret@/);
  });

  test("writes where the configuration or MAILARK_AUDIT say", async () => {
    const other = join(host.directory, "log/audit.jsonl");
    host.edit((text) => `${text}\naudit: ${other}\n`);
    await host.configured(["backup"]);
    await host.configured(["backup"], { env: { MAILARK_AUDIT: "named.jsonl" } });
    expect([lines(), linesOf(other), linesOf(join(host.directory, "named.jsonl"))].map(({ length }) => length)).toEqual(
      [0, 2, 2],
    );
  });

  test("is not made to fail by a file that can not be written, and says so once", async () => {
    writeFileSync(join(host.directory, "taken"), "");
    host.edit((text) => `${text}\naudit: ${host.directory}/taken/audit.jsonl\n`);
    const said = await host.configured(["backup"]);
    expect(said.code).toBe(0);
    expect(said.stderr.match(/not in the audit file/g)).toHaveLength(1);
  });

  test("is not made to fail where the system does not say who logged in", async () => {
    const openSync = ((path: string, ...more: [string]) => {
      if (path === "/proc/self/loginuid") throw errnoError("EPERM", "open");
      return nodeFiles.openSync(path, ...more);
    }) as typeof nodeFiles.openSync;
    const said = await host.configured(["backup"], { ports: { files: { ...nodeFiles, openSync } } });
    expect(said.code).toBe(0);
    expect(said.stderr.match(/not in the audit file/g)).toHaveLength(1);
  });

  test("that fails for want of room is not kept from telling by the audit", async () => {
    const plan = faultPlan({ at: 1, throw: errnoError("ENOSPC"), always: true });
    const said = await host.configured(["backup"], {
      ports: { files: { ...nodeFiles, fsyncSync: withFaults(nodeFiles, plan).fsyncSync } },
    });
    expect(said.code).not.toBe(0);
    expect(said.stderr).toMatch(/Warning: what is done is not in the audit file: .*ENOSPC/);
    expect(said.stderr).toMatch(/Error: .*ENOSPC/);
  });
});
