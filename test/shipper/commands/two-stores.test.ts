import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
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
    expect(keysOf(second, /^keyring/)).toEqual(keysOf(host.storeDirectory, /^keyring/));
    expect((await host.configured(["backup"])).stdout).not.toContain("missed");
  });
});
