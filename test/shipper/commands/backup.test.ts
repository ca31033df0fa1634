import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { changedStores } from "../../fixtures/changed-stores.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, treeOf, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: CommandLine;
beforeEach(async () => {
  host = commandLine(scratchDirectory());
  makeFolder(`${host.vmail}/example.com/alice/Maildir`);
  writeFile(`${host.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  await host.init();
});
const manifests = () => Object.keys(treeOf(host.storeDirectory)).filter((path) => path.endsWith("manifest.json"));
const stateFolder = () => join(host.directory, "state");

/** Interrupts the program when it stores an object whose key matches. */
function interruptAt(key: RegExp) {
  const controller = new AbortController();
  const interrupting = changedStores(({ put }) => ({
    put: (name, body, options) => {
      if (key.test(name)) controller.abort(new MailarkError("INTERRUPTED", "interrupted by SIGINT"));
      return put(name, body, options);
    },
  }));
  return { ...interrupting, signal: controller.signal };
}

test.each([/\.pack$/, /keyring/, /manifest\.json$/, /restore\.sh$/])(
  "a backup that is interrupted at %s leaves no manifest and exit status 130, and the next one goes through",
  async (key) => {
    const said = await host.configured(["backup"], interruptAt(key));
    expect(said).toMatchObject({ code: 130, stdout: "" });
    expect(said.stderr).toMatch(/^Error: interrupted/);
    expect(manifests()).toEqual([]);
    expect((await host.configured(["backup"])).code).toBe(0);
    expect((await host.configured(["verify"])).code).toBe(0);
    expect(manifests()).toHaveLength(1);
  },
);

test("a backup whose record alone is refused says what was stored, and exits with 3", async () => {
  const refusing = changedStores(({ put }) => ({
    put: async (key, ...given) => {
      if (key.includes("/runs/")) throw new MailarkError("STORE_FORBIDDEN", "the store refuses");
      return put(key, ...given);
    },
  }));
  const said = await host.configured(["backup"], refusing);
  expect(said).toMatchObject({ code: 3, stdout: expect.stringMatching(/^mail +complete/m) });
  expect(said.stdout).toContain("the record of this run is in no store: Error: the store refuses\n");
  expect((await host.configured(["backup", "--json"], refusing)).json).toMatchObject({
    exitCode: 3,
    components: [{ outcome: "complete" }],
    recordError: { code: "STORE_FORBIDDEN" },
  });
});

describe("a backup of what is configured, of those that are named,", () => {
  test("captures what this host has", async () => {
    const { code, json } = await host.configured(["backup", "--configured", "mysql", "mail", "--json"]);
    expect({ code, components: json.components }).toMatchObject({ code: 0, components: [{ component: "mail" }] });
    expect(json.components).toHaveLength(1);
  });

  test("does nothing, and says so, where this host has none of them", async () => {
    const before = treeOf(host.storeDirectory);
    const said = await host.configured(["backup", "--configured", "mysql", "redis"]);
    expect(said).toMatchObject({
      code: 0,
      stdout: "This host has none of mysql, redis configured: nothing was captured.\n",
    });
    expect(treeOf(host.storeDirectory)).toEqual(before);
  });

  test("still refuses what is no component", async () => {
    expect((await host.configured(["backup", "--configured", "mail", "exchange"])).code).toBe(2);
  });
});

describe("a backup that a controller asks for", () => {
  const base = "20261121T020000.000Z-k3m9x2qa7b";
  const env = { MAILARK_REQUEST: "by-hand-1", MAILARK_BASE: `mail=${base} redis=${base}` };

  test("says so, and that it captured in full in spite of its base", async () => {
    const said = await host.configured(["backup"], { env });
    expect(said).toMatchObject({ code: 0, stdout: expect.stringContaining("\nAsked for as by-hand-1.\n") });
    expect(said.stdout).toContain("\nCaptured in full, not built on what is known to be intact: mail.\n");
    const { json } = await host.configured(["backup", "--json"], { env });
    expect(json).toMatchObject({ requestId: "by-hand-1", components: [{ kind: "full", offered: base }] });
    expect((await host.configured(["verify"])).code).toBe(0);
  });

  test.each([["backup"], ["backup", "--dry-run"]])(
    "is refused before anything is done where its base can not be read: %s %s",
    async (...words) => {
      const before = treeOf(host.storeDirectory);
      const said = await host.configured(words, { env: { MAILARK_BASE: "mail=latest" } });
      expect(said).toMatchObject({ code: 2, stdout: "" });
      expect(said.stderr).toContain("Error: MAILARK_BASE is no list of bases\n");
      expect(treeOf(host.storeDirectory)).toEqual(before);
    },
  );
});

describe("a restore script that the store damaged on its way", () => {
  const script = () =>
    join(host.storeDirectory, Object.keys(treeOf(host.storeDirectory)).find((path) => path.endsWith("restore.sh"))!);
  const damaging = changedStores(({ put }) => ({
    put: (key, body, options) => put(key, key.endsWith("restore.sh") ? [Buffer.from("damaged")] : body, options),
  }));

  test("is told when the store says so, and by each later backup until it is erased", async () => {
    const first = await host.configured(["backup"], damaging);
    expect(first).toMatchObject({ code: 6, stderr: expect.stringContaining("Try: a name that is taken is never") });
    for (let night = 0; night < 2; night += 1) {
      const said = await host.configured(["backup"]);
      expect(said).toMatchObject({ code: 3, stdout: expect.stringMatching(/^mail +complete/m) });
      expect(said.stdout).toContain(
        `${host.store}, restore script and format description: Error: the restore script or`,
      );
    }
    expect((await host.configured(["backup", "--json"])).json).toMatchObject({
      exitCode: 3,
      breakGlass: [{ store: host.store, error: { code: "OBJECT_CORRUPT" } }],
    });
    expect((await host.configured(["verify"])).code).toBe(4);
    rmSync(script());
    expect((await host.configured(["backup", "--json"])).json).toMatchObject({ exitCode: 0, breakGlass: [] });
    expect((await host.configured(["verify"])).code).toBe(0);
  });

  test("is not known where this host may not read", async () => {
    await host.configured(["backup"], damaging);
    const forbidden = () => new MailarkError("STORE_FORBIDDEN", "made up");
    const createOnly = changedStores(() => ({
      head: async () => {
        throw forbidden();
      },
      get: async function* () {
        yield* [];
        throw forbidden();
      },
    }));
    expect(await host.configured(["backup"], createOnly)).toMatchObject({ code: 0 });
  });
});

describe("a second backup", () => {
  test("is refused while the first runs, with its process", async () => {
    await host.configured(["backup"]);
    const stat = readFileSync("/proc/self/stat", "utf8");
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    writeFileSync(join(stateFolder(), "lock"), `${process.pid}-${start} x\n`);
    const said = await host.configured(["backup"]);
    expect(said.code).toBe(5);
    expect(said.stderr).toContain(`process ${process.pid}`);
    expect(manifests()).toHaveLength(1);
  });

  test.each([
    ["whose process is gone", "4194999-123 x\n"],
    ["whose process number was used again", `${process.pid}-1 x\n`],
    ["that is rubbish", "rubbish"],
  ])("takes over a lock %s", async (_, content) => {
    await host.configured(["backup"]);
    const folder = stateFolder();
    writeFileSync(join(folder, "lock"), content);
    expect((await host.configured(["backup"])).code).toBe(0);
    expect(existsSync(join(folder, "lock"))).toBe(false);
  });

  test("and the first give each other the lock in turn", async () => {
    const both = await Promise.all([host.configured(["backup"]), host.configured(["backup"])]);
    expect(both.map(({ code }) => code).sort()).toEqual([0, 5]);
    expect((await host.configured(["backup"])).code).toBe(0);
  });
});

test("one component that fails does not stop the others, and the exit status says that it is done in part", async () => {
  host.edit((text) => `${text}  mysql:\n    command: ["/nowhere/docker", exec]\n`);
  const said = await host.configured(["backup"]);
  expect(said.code).toBe(3);
  expect(said.stdout).toMatch(/^mysql +failed +none/m);
  expect(said.stdout).toMatch(/^mail +complete/m);
  expect(said.stdout).toMatch(/mysql: Error: .*\n[\s\S]*Try: /);
  const { json } = await host.configured(["backup", "--json"]);
  expect(json.components).toMatchObject([
    { component: "mysql", outcome: "failed", error: { code: "PROGRAM_MISSING" } },
    { component: "mail", outcome: "complete" },
  ]);
  const alone = await host.configured(["backup", "mysql"]);
  expect(alone.code).toBe(1);
  expect(alone.stdout).toContain("Nothing was stored.");
  const dry = await host.configured(["backup", "--dry-run"]);
  expect(dry.code).toBe(3);
  expect(dry.stdout).toMatch(/mysql: Error: /);
});

test("what is named is captured and nothing else", async () => {
  expect((await host.configured(["backup", "mail", "mail"])).stdout.match(/^mail /gm)).toHaveLength(1);
  const unknown = await host.configured(["backup", "mial"]);
  expect(unknown).toMatchObject({ code: 2, stdout: "" });
  expect(unknown.stderr).toContain("did you mean mail?");
  expect((await host.configured(["backup", "mysql"])).stderr).toContain("mysql is not configured on this host");
});

test("a mail root that is gone fails, and nothing is stored in its place", async () => {
  host.edit((text) => text.replaceAll(host.vmail, join(host.directory, "gone")));
  const said = await host.configured(["backup"]);
  expect(said.code).toBe(1);
  expect(said.stdout).toContain("ENOENT");
  expect(manifests()).toEqual([]);
});

test("an empty place under a mount point is not taken for the store", async () => {
  const mount = join(host.directory, "mnt");
  mkdirSync(mount);
  host.edit((text) => text.replace(host.store, `file://${mount}`));
  expect((await host.configured(["backup"])).code).toBe(6);
  expect(readdirSync(mount)).toEqual([]);
  expect(readdirSync(join(host.directory, "state"))).toEqual(["audit.jsonl"]);
});

test("a person is shown one live line, which is gone at the end; a pipe only the result", async () => {
  const seen = await host.configured(["backup"], { terminal: true, columns: 60 });
  expect(seen.stderr).toContain("mail");
  expect(seen.stderr.endsWith("\r\x1b[2K")).toBe(true);
  expect(seen.stdout).not.toContain("\x1b");
  expect((await host.configured(["backup"])).stderr).toBe("");
});

test("a program is told on standard error in JSON lines, and the result in one document", async () => {
  const said = await host.configured(["backup", "--json"], { terminal: true });
  expect(said.json).toMatchObject({
    command: "backup",
    exitCode: 0,
    components: [{ component: "mail", facts: { messages: 1 } }],
  });
  const events = said.stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events[0]).toMatchObject({ event: "begin", label: "mail", time: expect.any(String) });
  expect(events.at(-1)).toMatchObject({ event: "end", label: "mail" });
});
