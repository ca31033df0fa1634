import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { generateSigningKey } from "../../../core/signed-document.ts";
import type { Composition, Store } from "../../../shipper/composition.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, treeOf, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: CommandLine;
let second: string;

beforeEach(async () => {
  host = commandLine(scratchDirectory());
  second = join(host.directory, "second");
  makeFolder(`${host.vmail}/example.com/alice/Maildir`);
  writeFile(`${host.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  await host.init();
  host.edit((text) => text.replace(`store: ${host.store}`, `stores:\n  - ${host.store}\n  - url: ${secondUrl()}`));
  expect(await host.configured(["enrol"])).toMatchObject({ code: 0 });
});

const secondUrl = () => `file://${second}`;
/** Key and SHA-256 of every object but the introductions, which are of their own time. */
const objects = (directory: string) =>
  Object.entries(treeOf(directory)).flatMap(([path, state]) =>
    /\.\w+$/.test(path) && !/^\.|\/enrol\//.test(path) ? [[path, state.split(" ").at(-1)!] as const] : [],
  );
const keysOf = (directory: string, pattern: RegExp) =>
  objects(directory).flatMap(([path]) => (pattern.test(path) ? [path] : []));
const manifests = (directory: string) => keysOf(directory, /manifest\.json$/);
const backlog = () => JSON.parse(readFileSync(join(host.directory, "state/backlog.json"), "utf8")).entries;

/** The second store, as it is while a run goes on. */
function failing(change: (store: Store) => Partial<Store>, url = secondUrl()) {
  const wrap = (composition: Composition): Composition => ({
    ...composition,
    openStore(opened) {
      const store = composition.openStore(opened);
      return opened === url ? { ...store, ...change(store) } : store;
    },
  });
  return { wrap };
}
const full = () => new MailarkError("FILE_FAILED", "write failed: ENOSPC", { hint: "free space on this file system" });
const down = () => new MailarkError("STORE_UNREACHABLE", "the store does not answer", { retryable: true });

async function expectWhole(url: string, snapshots: number): Promise<void> {
  const said = await host.configured(["verify", "--deep", "--identity", host.identity, "--store", url, "--json"]);
  expect(said.json).toMatchObject({ exitCode: 0, findings: [] });
  expect(said.json.snapshots).toHaveLength(snapshots);
}

/** Everything comes back from this store, with nothing but the recovery key. */
async function expectRestores(directory: string, name: string): Promise<void> {
  const alone = join(host.directory, `alone-${name}`);
  cpSync(directory, alone, { recursive: true });
  const to = join(host.directory, `restored-${name}`);
  const words = ["restore", "mail", "--store", `file://${alone}`, "--identity", host.identity, "--to", to];
  expect(await host.mailark(words)).toMatchObject({
    code: expect.not.toSatisfy((code: number) => ![0, 4].includes(code)),
  });
  expect(existsSync(join(to, "example.com/alice/Maildir/cur/1.a:2,S"))).toBe(true);
}

test("a run is captured once, and every store has the same objects, each enough for a restore", async () => {
  const said = await host.configured(["backup", "--json"]);
  expect(said.json).toMatchObject({
    exitCode: 0,
    stores: [
      { store: host.store, outcome: "complete" },
      { store: secondUrl(), outcome: "complete" },
    ],
  });
  expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
  expect(objects(second)).toEqual(objects(host.storeDirectory));
  expect(manifests(second)).toHaveLength(2);
  for (const [name, directory] of [
    ["first", host.storeDirectory],
    ["second", second],
  ] as const) {
    await expectWhole(`file://${directory}`, 2);
    await expectRestores(directory, name);
  }
  expect(backlog()).toEqual([]);
});

describe.each([
  ["is full", /\.pack$/, full],
  ["is full from the first object on", /./, full],
  ["does not answer when the manifest is due", /manifest\.json$/, down],
  ["can not take the run's record", /\/runs\//, down],
  ["can not take a key", /^keyring/, down],
])("a store that %s", (_, pattern, error) => {
  test("makes the run partial, is named, and gets what it missed from the next run", async () => {
    await host.configured(["backup"]);
    rmSync(join(host.directory, "state"), { recursive: true });
    const broken = failing((store) => ({
      put: async (key, body, options) => {
        if (pattern.test(key)) throw error();
        return store.put(key, body, options);
      },
    }));
    const said = await host.configured(["backup"], broken);
    expect(said.code).toBe(3);
    expect(said.stdout).toMatch(/^mail +complete/m);
    expect(said.stdout).toContain(`${secondUrl()}: Error: ${error().message}`);
    expect(said.stdout).toContain(`Stored at ${host.store};`);
    expect(said.stderr).toContain(`${secondUrl()} is left out of this run`);
    expect(manifests(host.storeDirectory)).toHaveLength(2);
    await expectWhole(secondUrl(), manifests(second).length);

    const keys = keysOf(host.storeDirectory, /^keyring/);
    const next = await host.configured(["backup"]);
    expect(next).toMatchObject({ code: 0, stderr: "" });
    expect(next.stdout).toContain(`${secondUrl()}: got what it had missed, `);
    expect(manifests(host.storeDirectory)).toHaveLength(3);
    expect(objects(second).filter(([path]) => /manifest|runs/.test(path))).toEqual(
      objects(host.storeDirectory).filter(([path]) => /manifest|runs/.test(path)),
    );
    await expectWhole(secondUrl(), 3);
    await expectRestores(second, "second");
    expect(backlog()).toEqual([]);
    // The keys came along: nothing was made anew.
    expect(keysOf(host.storeDirectory, /^keyring/)).toEqual(keys);
    expect(keysOf(second, /^keyring/)).toEqual(keys);
    expect((await host.configured(["backup"])).stdout).not.toContain("missed");
  });
});

describe("a store that is away", () => {
  test("is left out from the start, and is brought up to date when it is there again", async () => {
    await host.configured(["backup"]);
    renameSync(second, `${second}.away`);
    for (let night = 0; night < 2; night += 1) {
      const said = await host.configured(["backup", "--json"]);
      expect(said.json).toMatchObject({
        exitCode: 3,
        components: [{ outcome: "complete" }],
        stores: [{ outcome: "complete" }, { outcome: "failed", error: { code: "STORE_UNREACHABLE" } }],
      });
    }
    expect(existsSync(second)).toBe(false);
    const run = JSON.parse(
      readFileSync(join(host.storeDirectory, keysOf(host.storeDirectory, /runs/).at(-1)!), "utf8").split("\n")[0]!,
    );
    expect(run.stores).toMatchObject([
      { store: 1, outcome: "complete" },
      { store: 2, outcome: "failed", error: { code: "STORE_UNREACHABLE" } },
    ]);
    expect(JSON.stringify(run)).not.toContain(host.directory);

    renameSync(`${second}.away`, second);
    const said = await host.configured(["backup"]);
    expect(said).toMatchObject({ code: 0 });
    expect(said.stdout).toContain(`${secondUrl()}: got what it had missed, 2 snapshots and 2 records of runs`);
    expect(objects(second)).toEqual(objects(host.storeDirectory));
    await expectWhole(secondUrl(), 4);
  });

  test("is not taken for an empty place under its mount point", async () => {
    await host.configured(["backup"]);
    renameSync(second, `${second}.away`);
    mkdirSync(second);
    const said = await host.configured(["backup"]);
    expect(said.code).toBe(3);
    expect(said.stdout).toContain("the store does not know this host");
    expect(readdirSync(second)).toEqual([]);
  });

  test("as the first one is replaced by the second: keys and snapshots come from there", async () => {
    await host.configured(["backup"]);
    renameSync(host.storeDirectory, `${host.storeDirectory}.away`);
    makeFolder(`${host.vmail}/example.com/bob/Maildir`);
    expect(await host.configured(["backup"])).toMatchObject({ code: 3 });
    const said = await host.configured(["list"]);
    expect(said).toMatchObject({ code: 6, stderr: expect.stringContaining(`--store ${secondUrl()}`) });
    renameSync(`${host.storeDirectory}.away`, host.storeDirectory);
    expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
    expect(objects(host.storeDirectory)).toEqual(objects(second));
    await expectWhole(host.store, 3);
  });

  test("and the other one too: nothing is stored, and the exit status is that of the first", async () => {
    for (const directory of [second, host.storeDirectory]) renameSync(directory, `${directory}.away`);
    expect(await host.configured(["backup"])).toMatchObject({ code: 6, stdout: "" });
    expect(existsSync(second)).toBe(false);
  });
});

test("both are full: the component fails with the error of the first, and nobody has a snapshot", async () => {
  const noRoom = (store: Store): Partial<Store> => ({
    put: async (key, body, options) => {
      if (/\.pack$/.test(key)) throw full();
      return store.put(key, body, options);
    },
  });
  const wrap = (composition: Composition) =>
    failing(noRoom, host.store).wrap(failing(noRoom, secondUrl()).wrap(composition));
  const said = await host.configured(["backup"], { wrap });
  expect(said.code).toBe(1);
  expect(said.stdout).toContain("mail: Error: write failed: ENOSPC");
  expect(said.stdout).toContain("Nothing was stored.");
  expect([...manifests(second), ...manifests(host.storeDirectory)]).toEqual([]);
  expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
  expect(objects(second)).toEqual(objects(host.storeDirectory));
});

describe("what a store missed", () => {
  beforeEach(async () => {
    renameSync(second, `${second}.away`);
    await host.configured(["backup"]);
    renameSync(`${second}.away`, second);
  });
  const missed = (pattern: RegExp) => join(host.storeDirectory, keysOf(host.storeDirectory, pattern)[0]!);

  test("and expired in the other meanwhile is given up with a word, once", async () => {
    rmSync(missed(/manifest/));
    rmSync(missed(/runs/));
    const said = await host.configured(["backup"]);
    expect(said.code).toBe(0);
    expect(said.stdout).toContain(
      `${secondUrl()}: will not get 1 snapshot and 1 record of a run that it missed: no other store`,
    );
    expect((await host.configured(["backup"])).stdout).not.toContain("missed");
    expect(backlog()).toEqual([]);
    await expectWhole(secondUrl(), 2);
  });

  test.each([/\.pack$/, /manifest/, /^keyring/, /restore\.sh$/])(
    "and was damaged in the other (%s) is not handed on, nor the record of its run",
    async (pattern) => {
      writeFileSync(missed(pattern), "damaged");
      const said = await host.configured(["backup"]);
      expect(said.code).toBe(3);
      expect(said.stdout).toMatch(/second: will not get 1 snapshot that it missed: /);
      expect(manifests(second)).toHaveLength(1);
      if (pattern.source !== "restore\\.sh$" && pattern.source !== "^keyring") await expectWhole(secondUrl(), 1);
      expect(keysOf(second, /runs/)).toHaveLength(1);
      expect(backlog()).toEqual([]);
    },
  );

  test("stays owed, is named and makes the run partial while the other can not be read", async () => {
    let reads = 0;
    const unreadable = failing(
      () => ({
        get: async function* () {
          yield* [];
          reads += 1;
          throw down();
        },
      }),
      host.store,
    );
    renameSync(second, `${second}.away`);
    await host.configured(["backup"]);
    renameSync(`${second}.away`, second);
    const said = await host.configured(["backup", "--json"], unreadable);
    expect(said.json).toMatchObject({
      exitCode: 3,
      components: [{ outcome: "complete" }],
      stores: [{ owed: [] }, { outcome: "complete", owed: Array(4).fill({ error: { code: "STORE_UNREACHABLE" } }) }],
    });
    expect(reads).toBe(1);
    expect((await host.configured(["backup"], unreadable)).stdout).toContain(
      `${secondUrl()}: lacks 2 snapshots and 2 records of runs still: the store does not answer\n`,
    );
    expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
    await expectWhole(secondUrl(), 5);
  });

  test("and was signed with a key that this host had before is copied", async () => {
    writeFileSync(join(host.directory, "etc/signing.pem"), generateSigningKey(), { mode: 0o600 });
    expect(await host.configured(["enrol"])).toMatchObject({ code: 0 });
    const said = await host.configured(["backup"]);
    expect(said).toMatchObject({ code: 0, stdout: expect.stringContaining("got what it had missed, 1 snapshot") });
    expect(objects(second)).toEqual(objects(host.storeDirectory));
  });

  test("and was signed by nobody who is introduced there stays owed", async () => {
    const introduced = join(second, Object.keys(treeOf(second)).find((path) => /\/enrol\/.+json$/.test(path))!);
    writeFileSync(join(host.directory, "etc/signing.pem"), generateSigningKey(), { mode: 0o600 });
    await host.configured(["enrol"]);
    const before = readFileSync(introduced);
    rmSync(introduced);
    for (let night = 0; night < 2; night += 1) {
      const said = await host.configured(["backup"]);
      expect(said.code).toBe(3);
      expect(said.stdout).toContain(`${secondUrl()}: lacks 1 snapshot and 1 record of a run still: `);
    }
    writeFileSync(introduced, before);
    expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
    expect(objects(second)).toEqual(objects(host.storeDirectory));
  });

  test("and where something else stands under one of its keys is not believed to be there", async () => {
    const pack = keysOf(host.storeDirectory, /\.pack$/)[0]!;
    mkdirSync(join(second, pack, ".."), { recursive: true });
    writeFileSync(join(second, pack), "other");
    const said = await host.configured(["backup"]);
    expect(said.stdout).toContain("the store has another object in the place of one that it lacks");
    expect(readFileSync(join(second, pack), "utf8")).toBe("other");
    await expectWhole(secondUrl(), 1);
  });

  test("goes on to it where a copy of it was interrupted before", async () => {
    const pack = keysOf(host.storeDirectory, /\.pack$/)[0]!;
    cpSync(join(host.storeDirectory, pack), join(second, pack), { recursive: true });
    expect((await host.configured(["backup"])).stdout).toContain("got what it had missed");
    await expectWhole(secondUrl(), 2);
  });

  test("waits where the store that has it is away", async () => {
    renameSync(host.storeDirectory, `${host.storeDirectory}.away`);
    expect(await host.configured(["backup"])).toMatchObject({ code: 3 });
    await expectWhole(secondUrl(), 1);
    renameSync(`${host.storeDirectory}.away`, host.storeDirectory);
    expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
    expect(objects(second)).toEqual(objects(host.storeDirectory));
    await expectWhole(secondUrl(), 3);
  });
});

describe("a store in which this host may only create", () => {
  const forbidden = () => new MailarkError("STORE_FORBIDDEN", "the store refuses to be read");
  const createOnly = (url: string) =>
    failing(
      () => ({
        head: async () => {
          throw forbidden();
        },
        get: async function* () {
          yield* [];
          throw forbidden();
        },
        list: async function* () {
          yield* [];
          throw forbidden();
        },
      }),
      url,
    );

  test("is written to, and caught up, without being asked anything", async () => {
    renameSync(second, `${second}.away`);
    await host.configured(["backup"]);
    renameSync(`${second}.away`, second);
    const said = await host.configured(["backup"], createOnly(secondUrl()));
    expect(said).toMatchObject({ code: 0 });
    expect(said.stdout).toContain("got what it had missed, 1 snapshot and 1 record of a run");
    expect(objects(second)).toEqual(objects(host.storeDirectory));
    expect((await host.configured(["enrol"], createOnly(secondUrl()))).stdout).toContain("knew this host already");
  });

  test("can hand nothing on: what the other missed is given up, and sealed with new keys from then on", async () => {
    await host.configured(["backup"]);
    renameSync(host.storeDirectory, `${host.storeDirectory}.away`);
    makeFolder(`${host.vmail}/example.com/bob/Maildir`);
    writeFile(`${host.vmail}/example.com/bob/Maildir/cur/1.b:2,S`, "Subject: two\r\n\r\ntwo");
    await host.configured(["backup"]);
    renameSync(`${host.storeDirectory}.away`, host.storeDirectory);
    const said = await host.configured(["backup"], createOnly(secondUrl()));
    expect(said.code).toBe(0);
    expect(said.stdout).toContain(`${host.store}: will not get 1 snapshot and 1 record of a run that it missed`);
    await expectWhole(host.store, 2);
    await expectWhole(secondUrl(), 3);
  });

  test("can hand nothing on: what no newer snapshot stands in for stays owed, until its component is configured no more", async () => {
    const files = join(host.directory, "files");
    mkdirSync(files);
    const configs = `  configs:\n    paths: [${files}]\n`;
    host.edit((text) => text.replace("components:\n", `components:\n${configs}`));
    renameSync(host.storeDirectory, `${host.storeDirectory}.away`);
    await host.configured(["backup"]);
    renameSync(`${host.storeDirectory}.away`, host.storeDirectory);
    const mail = await host.configured(["backup", "mail"], createOnly(secondUrl()));
    expect(mail.code).toBe(3);
    expect(mail.stdout).toContain(`${host.store}: will not get 1 snapshot that it missed`);
    expect(mail.stdout).toContain(`${host.store}: lacks 1 snapshot and 1 record of a run still: no other store`);
    expect(mail.stdout).toContain("this run stored no newer one");
    host.edit((text) => text.replace(configs, ""));
    const without = await host.configured(["backup"], createOnly(secondUrl()));
    expect(without.code).toBe(3);
    expect(without.stdout).toContain("its component is not configured any more");
    expect(await host.configured(["backup"], createOnly(secondUrl()))).toMatchObject({ code: 0 });
    expect(backlog()).toEqual([]);
  });
});

test("an interrupted run with two stores leaves no manifest in either, and the next one goes through", async () => {
  const controller = new AbortController();
  const interrupting = failing((store) => ({
    put: (key, body, options) => {
      if (/\.pack$/.test(key)) controller.abort(new MailarkError("INTERRUPTED", "interrupted by SIGINT"));
      return store.put(key, body, options);
    },
  }));
  expect(await host.configured(["backup"], { ...interrupting, signal: controller.signal })).toMatchObject({
    code: 130,
  });
  expect([...manifests(second), ...manifests(host.storeDirectory)]).toEqual([]);
  expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
  await expectWhole(secondUrl(), 1);
});

test("an introduction that fails in one store goes on to the other, and is said", async () => {
  const away = failing(() => ({
    put: async () => {
      throw down();
    },
  }));
  const said = await host.configured(["enrol"], away);
  expect(said.code).toBe(3);
  expect(said.stdout).toContain(`${host.store} knew this host already`);
  expect(said.stdout).toContain(`${secondUrl()}: Error: the store does not answer`);
});

test("init takes several stores: it introduces the host to each, and both are in configuration and sheet", async () => {
  const fresh = commandLine(join(host.directory, "fresh"));
  makeFolder(`${fresh.vmail}/example.com/alice/Maildir`);
  const said = await fresh.init(["--store", secondUrl(), "--component", "mail"]);
  expect(said.code).toBe(0);
  expect(said.stdout).toMatch(new RegExp(`^store +${fresh.store}\nstore +${secondUrl()}$`, "m"));
  expect(readFileSync(fresh.configPath, "utf8")).toContain(`\nstores:\n  - ${fresh.store}\n  - ${secondUrl()}\n`);
  expect(await fresh.configured(["backup"])).toMatchObject({ code: 0 });
  expect(manifests(second)).toHaveLength(1);
  const missing = await fresh.mailark([
    "init",
    "--config",
    join(fresh.directory, "other.yaml"),
    "--store",
    "nowhere",
    "--yes",
  ]);
  expect(missing.code).toBe(2);
});
