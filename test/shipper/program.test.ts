import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeEach, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { componentNamed, momentOf } from "../../shipper/commands/arguments.ts";
import { type CommandLine, commandLine } from "../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../fixtures/mailboxes.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const project = fileURLToPath(new URL("../..", import.meta.url));
const main = join(project, "shipper/mailark.ts");
const verbs = ["init", "backup", "list", "show", "verify", "restore", "enrol"];

let host: CommandLine;
beforeEach(() => {
  host = commandLine(scratchDirectory());
  makeFolder(`${host.vmail}/example.com/alice`);
  writeFile(`${host.vmail}/example.com/alice/cur/1.a:2,S`, "message");
});

describe("words", () => {
  test("--version and --help answer on standard output, and end well", async () => {
    expect(await host.mailark(["--version"])).toEqual(
      expect.objectContaining({ code: 0, stdout: `${manifest.version}\n`, stderr: "" }),
    );
    const help = await host.mailark(["--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    for (const verb of verbs) expect(help.stdout).toContain(`  ${verb}`);
    expect(help.stdout).toContain("Exit status:");
  });

  test.each(verbs)("%s --help has an example", async (verb) => {
    const help = await host.mailark([verb, "--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toMatch(new RegExp(`Example:\n  mailark ${verb}`));
  });

  test.each([
    [[], "no command was given"],
    [["bakup"], "did you mean backup?"],
    [["backup", "--dryrun"], "did you mean --dry-run?"],
    [["show"], "mailark show --help"],
    [["restore", "mail", "--to"], "mailark restore --help"],
    [["show", "a", "mail", "b"], "too many arguments"],
  ])("%j is refused with the way on", async (words, message) => {
    const said = await host.mailark(words);
    expect(said).toMatchObject({ code: 2, stdout: "" });
    expect(said.stderr).toContain(message);
    expect(said.stderr).toMatch(/^Error: .*\nTry: .*\n$/);
  });

  test("without a configuration every command says how to get one", async () => {
    for (const words of [["backup"], ["list"], ["show", "latest"], ["verify"], ["enrol"]]) {
      const said = await host.configured(words);
      expect(said).toMatchObject({ code: 2, stdout: "" });
      expect(said.stderr).toMatch(/no configuration file[\s\S]*mailark init/);
    }
  });

  test("the configuration can be named by the environment, and the command line wins over that", async () => {
    await host.init();
    expect((await host.mailark(["backup"], { env: { MAILARK_CONFIG: host.configPath } })).code).toBe(0);
    expect((await host.mailark(["backup"], { env: { MAILARK_CONFIG: "etc/config.yaml" } })).code).toBe(0);
    expect((await host.configured(["backup"], { env: { MAILARK_CONFIG: "/nowhere" } })).code).toBe(0);
  });

  test("options for all commands may stand before or after the command", async () => {
    await host.init();
    for (const words of [
      ["list", "--config", host.configPath, "--json"],
      ["--json", "--config", host.configPath, "list"],
    ]) {
      expect((await host.mailark(words)).json).toMatchObject({ command: "list", snapshots: [] });
    }
  });

  test("a broken configuration is told with its lines", async () => {
    await host.init();
    host.edit((text) => text.replace("store:", "stroe:"));
    const said = await host.configured(["backup"]);
    expect(said).toMatchObject({ code: 2, stdout: "" });
    expect(said.stderr).toMatch(/config\.yaml:\d+:1: stroe is not a setting: did you mean store\?/);
  });

  test("a rescue from a named store does not wait for the configuration, unless that was named too", async () => {
    await host.init();
    await host.configured(["backup"]);
    const words = ["list", "--store", host.store];
    expect((await host.mailark(words)).code).toBe(0);
    host.edit(() => "broken: [");
    expect((await host.mailark([...words, "--config", host.configPath])).code).toBe(2);
  });
});

describe("JSON", () => {
  test("every command gives one document, and so does every error", async () => {
    await host.init();
    const identity = ["--identity", host.identity];
    for (const words of [
      ["backup"],
      ["backup", "--dry-run"],
      ["list"],
      ["list", "--hosts"],
      ["show", "latest"],
      ["show", "latest", ...identity],
      ["verify"],
      ["verify", "--deep", ...identity],
      ["restore", "mail", "--to", "out", "--dry-run", ...identity],
      ["restore", "mail", "--to", "out", ...identity],
      ["enrol"],
    ]) {
      const said = await host.configured([...words, "--json"]);
      expect(said.json).toMatchObject({ command: words[0], exitCode: 0 });
      expect(said.stdout.split("\n")).toHaveLength(2);
      for (const line of said.stderr.split("\n").filter(Boolean)) expect(JSON.parse(line)).toHaveProperty("event");
    }
    const failed = await host.configured(["restore", "mail", "--to", "out", ...identity, "--json"]);
    expect(failed).toMatchObject({ code: 7, json: { exitCode: 7, error: { code: "TARGET_NOT_EMPTY" } } });
    expect((await host.mailark(["bakup", "--json"])).json).toMatchObject({ error: { code: "ARGUMENT_INVALID" } });
  });
});

test("no private key stands in any output but the one sheet, not even with --debug", async () => {
  await host.init();
  const key = readFileSync(host.identity, "utf8").trim();
  const signing = readFileSync(join(host.directory, "etc/signing.pem"), "utf8").split("\n")[1]!;
  const identity = ["--identity", host.identity];
  for (const words of [
    ["backup"],
    ["show", "latest", ...identity],
    ["verify", "--deep", ...identity],
    ["restore", "mail", "--to", "out", ...identity],
    ["restore", "mail", "--to", "out", ...identity],
    ["restore", "mail", "--to", "out2", "--identity", key],
    ["restore", "mail", key],
    ["list", key],
    ["show", key],
    ["list", `--host=${key}`],
    ["list", `--${key}`],
    ["list", "--store", key],
    ["list", "--fingerprint", key],
    [key],
  ]) {
    for (const more of [[], ["--json"]]) {
      const said = await host.configured(["--debug", ...words, ...more], { terminal: true });
      expect(said.stdout + said.stderr, words[0]).not.toContain(key);
      expect(said.stdout + said.stderr).not.toContain(signing);
    }
  }
});

test("a result that could not be written is a failure", async () => {
  await host.init();
  const said = await host.configured(["list"], { fullDisk: true });
  expect(said.code).toBe(1);
  expect(said.stderr).toContain("could not be written");
});

test("--debug shows where an error came from, and without it nobody is bothered", async () => {
  const words = ["list", "--store", "file:///nowhere"];
  expect((await host.mailark(words)).stderr).not.toContain("    at ");
  expect((await host.mailark([...words, "--debug"])).stderr).toMatch(/MailarkError: there is no store[\s\S]* at /);
});

describe("a moment", () => {
  test.each([
    ["latest", "latest"],
    ["20261121T020000.000Z-k3m9x2qa7b", { snapshotId: "20261121T020000.000Z-k3m9x2qa7b" }],
    ["2026-11-21T02:00:00Z", { notAfter: Date.UTC(2026, 10, 21, 2) }],
    ["2026-11-21T02:00:00.5+01:00", { notAfter: Date.UTC(2026, 10, 21, 1, 0, 0, 500) }],
    ["2026-11-21 02:00:30", { notAfter: Date.UTC(2026, 10, 21, 2, 0, 30) }],
    ["2026-11-21 02:00", { notAfter: Date.UTC(2026, 10, 21, 2, 0, 59, 999) }],
    ["2026-11-21", { notAfter: Date.UTC(2026, 10, 21, 23, 59, 59, 999) }],
  ])("can be written as %s", (text, moment) => {
    expect(momentOf(text)).toEqual(moment);
  });

  test.each([
    "",
    "now",
    "2026-13-01",
    "2026-02-30",
    "2026-11-21T2:00",
    "2026-11-21T24:30:00Z",
    "11/21/2026",
    "20261121",
  ])("can not be written as %j", (text) =>
    expect(() => momentOf(text)).toThrow(expect.objectContaining({ code: "ARGUMENT_INVALID" })),
  );

  test("nor can a component be anything", () => {
    expect(() => componentNamed("constructor")).toThrow(expect.objectContaining({ code: "COMPONENT_UNKNOWN" }));
  });
});

describe("as a process", () => {
  const execute = promisify(execFile);

  test("npm run mailark answers with its version", async () => {
    const { stdout } = await execute("npm", ["run", "-s", "mailark", "--", "--version"], { cwd: project });
    expect(stdout).toBe(`${manifest.version}\n`);
  });

  test("a usage error has its exit status and its words on standard error", async () => {
    const failing = execute(process.execPath, [main, "bakup"]);
    await expect(failing).rejects.toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("did you mean backup?"),
    });
  });

  test("a reader that stops early ends it quietly", async () => {
    await host.init();
    const { stderr } = await execute("sh", ["-c", `"$0" "$1" --help | head -n 1`, process.execPath, main]);
    expect(stderr).toBe("");
  });

  /** Begins a backup that waits for its database's client; the number of that process. */
  async function waitingBackup(before: readonly string[] = [], settings = "") {
    await host.init();
    const started = join(host.directory, "started");
    host.edit(
      (text) => `${settings}${text}  mysql:\n    command: ["sh", "-c", "echo $$ > ${started}; exec sleep 60"]\n`,
    );
    const [command = "", ...words] = [...before, process.execPath, main, "backup", "--config", host.configPath];
    const child = spawn(command, words, { detached: before.length > 0 });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        said += chunk;
      });
    }
    while (!existsSync(started) || readFileSync(started, "utf8") === "") await pause(20);
    return { child, said: () => said, tool: Number(readFileSync(started, "utf8")) };
  }
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const stored = () => {
    const hostId = readdirSync(join(host.storeDirectory, "hosts"))[0]!;
    return readdirSync(join(host.storeDirectory, "hosts", hostId)).sort();
  };
  const parentOf = (pid: number) => Number(/PPid:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);

  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s ends a backup with 130, its tools too, and leaves no manifest",
    async (signal) => {
      const { child, said, tool } = await waitingBackup();
      child.kill(signal);
      expect(await once(child, "exit")).toEqual([130, null]);
      expect(said()).toMatch(new RegExp(`^Error: interrupted by ${signal}\nTry: run the same command again`));
      expect(() => process.kill(tool, 0)).toThrow("ESRCH");
      expect(stored()).toEqual(["break-glass", "enrol", "runs"]);
    },
  );

  test("a terminal that hangs up ends a backup like an interruption", async () => {
    const { child, said, tool } = await waitingBackup([
      "sh",
      "-c",
      `exec script -qec "$(printf "'%s' " "$@")" /dev/null`,
      "sh",
    ]);
    process.kill(parentOf(tool), "SIGHUP");
    expect(await once(child, "exit")).toEqual([130, null]);
    expect(said()).toContain("Error: interrupted by SIGHUP");
    expect(stored()).toEqual(["break-glass", "enrol", "runs"]);
  });

  test("a backup that nobody watches, as under nohup, goes on when a terminal hangs up", async () => {
    const { child, said } = await waitingBackup(["nohup"]);
    child.kill("SIGHUP");
    await pause(300);
    expect(child.exitCode ?? child.signalCode).toBeNull();
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([130, null]);
    expect(said()).toContain("interrupted by SIGTERM");
  });

  const niceOf = (path: string) => {
    const stat = readFileSync(`${path}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  };
  const diskOf = async (pid: number) => (await execute("ionice", ["-p", String(pid)])).stdout.trim();

  test.each([
    ["gives way to what serves, with all its threads", [], "", 10, "best-effort: prio 7"],
    ["does not come forward from where it was put", ["nice", "-n", "15", "ionice", "-c", "3"], "", 15, "idle"],
    ["gives way as far as the configuration says", [], "{ nice: 19, disk: idle }", 19, "idle"],
    [
      "stays where it was put, where the configuration says so",
      ["nice", "-n", "5"],
      "{ nice: 0, disk: normal }",
      5,
      "none",
    ],
  ] as const)("a backup %s", async (_, before, background, nice, disk) => {
    const { child, tool } = await waitingBackup(before, background === "" ? "" : `background: ${background}\n`);
    const mailark = `/proc/${parentOf(tool)}`;
    const threads = readdirSync(`${mailark}/task`).map((thread) => `${mailark}/task/${thread}`);
    expect(threads.length).toBeGreaterThan(4);
    for (const path of [`/proc/${tool}`, mailark, ...threads]) expect(niceOf(path)).toBe(nice);
    for (const pid of [tool, ...threads.map((path) => Number(path.split("/").at(-1)))]) {
      expect((await diskOf(pid)).slice(0, disk.length)).toBe(disk);
    }
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([130, null]);
  });

  test("a restore does not give way", async () => {
    await host.init();
    const child = spawn(
      process.execPath,
      [main, "restore", "mail", "--identity", "-", "--to", "out", "--config", host.configPath],
      {
        cwd: host.directory,
      },
    );
    const listens = () => readFileSync(`/proc/${child.pid}/status`, "utf8").match(/SigCgt:\s*(\w+)/)![1]!;
    while ((BigInt(`0x${listens()}`) & 1n) === 0n) await pause(20);
    await pause(300);
    expect(niceOf(`/proc/${child.pid}`)).toBe(0);
    child.kill("SIGINT");
    await once(child, "exit");
  });

  test("a backup that may not raise its priority goes on where it is", async () => {
    await host.init();
    const script = `const os = require("node:os"); os.setPriority = () => { throw new Error("EACCES"); }; require("node:module").syncBuiltinESMExports();`;
    const preload = join(host.directory, "preload.cjs");
    writeFileSync(preload, script);
    const { stdout } = await execute(process.execPath, [
      "--require",
      preload,
      main,
      "backup",
      "--config",
      host.configPath,
    ]);
    expect(stdout).toContain("complete");
  });

  test("an interruption does not wait for a key that is never typed", async () => {
    await host.init();
    await host.configured(["backup"]);
    const child = spawn(process.execPath, [
      main,
      "restore",
      "mail",
      "--identity",
      "-",
      "--to",
      join(host.directory, "out"),
      "--config",
      host.configPath,
    ]);
    // Node itself never catches SIGHUP, so it is caught from the moment that the program listens.
    const listens = () =>
      BigInt(`0x${/SigCgt:\s*(\w+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))![1]}`) & 1n;
    while (!listens()) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([130, null]);
  });
});
