import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { manifestKey } from "../../../core/keys.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import type { FileStore } from "../../../core/stores/file.ts";
import { changedErasers, changedStores } from "../../fixtures/changed-stores.ts";
import { type Circumstances, type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { datedStore } from "../../fixtures/dated-store.ts";
import { errnoError } from "../../fixtures/faults.ts";
import { makeFolder, treeOf, writeFile } from "../../fixtures/mailboxes.ts";
import { type PaperHost, paperHost, type Written } from "../../fixtures/paper-host.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";
import { type SetClock, setClock } from "../../fixtures/set-clock.ts";

const day = 24 * 3_600_000;

let machine: CommandLine;
let clock: SetClock;
let store: FileStore;
let host: PaperHost;
let written: Written[];
beforeEach(async () => {
  machine = commandLine(scratchDirectory());
  clock = setClock("2026-06-01T02:00:00.000Z");
  store = datedStore(machine.storeDirectory, clock);
  host = paperHost(store, clock);
  await host.enrol();
  written = [];
  for (let number = 0; number < 10; number += 1) {
    written.push(await host.run());
    clock.set(clock.now() + day);
  }
});

const prune = (words: readonly string[], circumstances: Circumstances = {}) =>
  machine.mailark(["prune", "--store", machine.store, ...words], { ports: { clock }, ...circumstances });
const ours = () => ["--fingerprint", host.trusted[0]!.fingerprint];
const contents = () => treeOf(machine.storeDirectory);
const left = async () => {
  const heads = await Promise.all(
    written.map(({ component, snapshotId }) => store.head(manifestKey({ hostId: host.hostId, component, snapshotId }))),
  );
  return heads.filter(Boolean).length;
};

test("says what would go and why, and touches nothing", async () => {
  const before = contents();
  const said = await prune(["--keep-last", "6", ...ours()]);
  expect(said.code).toBe(0);
  expect(said.stdout).toContain(`${written[9]!.snapshotId}  keep    last good snapshot of this component`);
  expect(said.stdout).toContain(`${written[0]!.snapshotId}  expire  no rule of the policy asks for it`);
  expect(said.stdout).toMatch(/4 snapshots, .*\n.*4 packs and closures of them/);
  expect(said.stdout).toContain("Nothing was erased: this was a dry run");
  expect(contents()).toEqual(before);
});

test("erases what it said, tells it as a document, and is done", async () => {
  const planned = (await prune(["--keep-last", "6", "--json", ...ours()])).json;
  const done = await prune(["--keep-last", "6", "--json", "--delete", ...ours()]);
  expect(done.code).toBe(0);
  expect(done.json).toEqual({ ...planned, deleted: true });
  expect(done.json.erasures).toHaveLength(12);
  expect(await left()).toBe(6);
  expect((await prune(["--keep-last", "6", ...ours()])).stdout).toContain("Nothing expires");
  const verified = await machine.mailark(["verify", "--store", machine.store, ...ours()]);
  expect(verified.code).toBe(0);
});

describe("erases nothing", () => {
  test.each<[string, string[], number, RegExp]>([
    ["without rules", ["--delete"], 2, /nothing says what to keep/],
    ["by rules that keep nothing", ["--delete", "--daily", "0"], 2, /keeps nothing/],
    ["by a rule that is no number", ["--delete", "--daily", "seven"], 2, /daily must be a whole number/],
    ["by a rule that is empty", ["--delete", "--daily", "", "--keep-last", "6"], 2, /daily must be a whole number/],
    ["by a rule below zero", ["--delete", "--keep-last", "-1"], 2, /keepLast must be a whole number/],
    [
      "by rules that contradict each other",
      ["--delete", "--keep-within-days", "9", "--maximum-age-days", "3"],
      2,
      /maximumAgeDays/,
    ],
    [
      "of more than half at once",
      ["--delete", "--keep-last", "1"],
      7,
      /more than the 50 % allowed at once.*--maximum-expire-share/,
    ],
    [
      "where a hold names nothing",
      ["--delete", "--keep-last", "6", "--hold", "20260601T020000.000Z-0000000000"],
      2,
      /no snapshot/,
    ],
    [
      "where what is given up is whole",
      ["--delete", "--keep-last", "6", "--drop", "20260601T020000.000Z-0000000000"],
      2,
      /no unusable snapshot/,
    ],
  ])("%s", async (_, words, code, message) => {
    const before = contents();
    const said = await prune([...words, ...ours()]);
    expect(said.code).toBe(code);
    expect(said.stdout + said.stderr).toMatch(message);
    expect(contents()).toEqual(before);
  });

  test("by its age while the host seems silent, as by a clock that is ahead, unless that is meant", async () => {
    const before = contents();
    clock.set(clock.now() + 60 * day);
    const rules = ["--keep-within-days", "30", "--maximum-expire-share", "1", ...ours()];
    const said = await prune(["--delete", ...rules]);
    expect(said.code).toBe(7);
    expect(said.stderr).toMatch(/stored nothing for 61 days\nTry: .*--trust-clock/);
    expect((await prune(rules)).stderr).toContain("stored nothing for 61 days");
    expect(contents()).toEqual(before);
    expect((await prune(["--delete", "--trust-clock", ...rules])).code).toBe(0);
    expect(await left()).toBe(1);
  });

  test("where nothing proves who wrote the store", async () => {
    const before = contents();
    const said = await prune(["--delete", "--keep-last", "6"]);
    expect(said.code).toBe(4);
    expect(said.stderr).toContain("--fingerprint");
    expect(contents()).toEqual(before);
  });

  test("while a manifest can not be believed, and says which and what to do", async () => {
    const { component, snapshotId } = written[4]!;
    const key = manifestKey({ hostId: host.hostId, component, snapshotId });
    writeFileSync(join(machine.storeDirectory, key), "{}\n");
    const before = contents();
    const said = await prune(["--delete", "--keep-last", "6", ...ours()]);
    expect(said.code).toBe(4);
    expect(said.stdout).toContain(`${component} ${snapshotId}: MANIFEST_INVALID`);
    expect(said.stdout).toContain("--drop");
    expect(contents()).toEqual(before);
    expect((await prune(["--delete", "--keep-last", "6", "--drop", snapshotId, ...ours()])).code).toBe(0);
    expect(await left()).toBe(6);
  });
});

describe("on the host itself", () => {
  beforeEach(async () => {
    machine = commandLine(scratchDirectory());
    makeFolder(`${machine.vmail}/example.com/alice/Maildir`);
    writeFile(`${machine.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
    await machine.init();
    machine.edit((text) =>
      text.replace(
        /^store: .*$/m,
        `stores:\n  - url: ${machine.store}\n    retention: { keep-last: 1, maximum-expire-share: 1 }`,
      ),
    );
    for (let number = 0; number < 3; number += 1) await machine.configured(["backup"]);
  });
  const later = (days: number): Circumstances => ({ ports: { clock: setClock(Date.now() + days * day) } });

  test("the rules are those of the configuration, and options go before them", async () => {
    const expired = async (words: readonly string[]) => {
      const { json } = await machine.configured(["prune", "--json", ...words], later(3));
      return json.erasures.filter(({ reason }: { reason: string }) => reason === "expired").length;
    };
    expect(await expired([])).toBe(2);
    expect(await expired(["--keep-last", "2"])).toBe(1);
    expect((await machine.configured(["prune", "--delete"], later(3))).code).toBe(0);
    expect((await machine.configured(["verify"])).stdout).toContain("Intact: 1 snapshot");
    expect((await machine.configured(["backup"])).code).toBe(0);
  });

  test("a wrong rule in the configuration is told with its line, and stops every command", async () => {
    machine.edit((text) => text.replace("keep-last: 1", "keep-lats: 1"));
    const said = await machine.configured(["prune", "--delete"], later(3));
    expect(said.code).toBe(2);
    expect(said.stderr).toContain("keep-lats");
  });

  test.each(["EACCES", "EIO"])("nothing is erased while its own key can not be read, and %s is told", async (code) => {
    const openSync = ((path: string, ...more: [string]) => {
      if (String(path).endsWith("signing.pem")) throw errnoError(code, "open");
      return nodeFiles.openSync(path, ...more);
    }) as typeof nodeFiles.openSync;
    const ports = { ...later(3).ports, files: { ...nodeFiles, openSync } };
    const said = await machine.configured(["prune", "--delete"], { ports });
    expect(said.code).not.toBe(0);
    expect(said.stderr).toContain(code);
    expect((await machine.configured(["verify"])).stdout).toContain("Intact: 3 snapshots");
    if (code === "EIO") expect((await machine.configured(["verify"], { ports })).stderr).toContain("EIO");
  });

  test("while it only looks, it takes no lock, and writes nothing", async () => {
    const before = treeOf(join(machine.directory, "state"));
    let during: unknown;
    const said = await machine.configured(["prune"], {
      ...later(3),
      ...changedStores((store) => ({
        list(prefix, how) {
          during = treeOf(join(machine.directory, "state"));
          return store.list(prefix, how);
        },
      })),
    });
    expect(said.code).toBe(0);
    const opened = { during, after: treeOf(join(machine.directory, "state")) };
    expect(opened).toEqual({ during: before, after: before });
  });

  test("a failure on the way is told with what is gone, and stands so in the audit file", async () => {
    const said = await machine.configured(["prune", "--delete"], {
      ...later(3),
      ...changedErasers(({ erase }) => ({
        async erase(key, options) {
          if (key.endsWith(".pack")) throw new MailarkError("STORE_FORBIDDEN", "the credentials are no longer valid");
          await erase(key, options);
        },
      })),
    });
    expect(said.code).toBe(6);
    expect(said.stdout).toMatch(
      /Erased, .*\n.*2 records of runs.*\n.*2 snapshots, .*\nLeft for the next pass: 4 objects\.\n/,
    );
    expect(said.stdout).toContain("Error: the credentials are no longer valid");
    const audit = readFileSync(join(machine.directory, "state/audit.jsonl"), "utf8").trim().split("\n").at(-1)!;
    const host = expect.any(String);
    expect(JSON.parse(audit)).toMatchObject({ event: "ended", exitCode: 6, error: "STORE_FORBIDDEN", hostId: host });
    expect(JSON.parse(audit).snapshots).toHaveLength(2);
  });

  test("it does not run at the same time as a backup", async () => {
    const held = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const holding = changedStores(({ put }) => ({
      async put(key, body, options) {
        began.resolve();
        await held.promise;
        return put(key, body, options);
      },
    }));
    const backup = machine.configured(["backup"], holding);
    await began.promise;
    const said = await machine.configured(["prune", "--delete"], later(3));
    held.resolve();
    expect(said.code).toBe(5);
    expect(said.stderr).toContain(`process ${process.pid}`);
    expect((await backup).code).toBe(0);
  });
});

test("an interruption leaves whole snapshots, and the same command goes on", async () => {
  const controller = new AbortController();
  let erased = 0;
  const said = await prune(["--keep-last", "6", "--delete", ...ours()], {
    signal: controller.signal,
    ...changedErasers(({ erase }) => ({
      async erase(key, options) {
        await erase(key, options);
        erased += 1;
        if (erased === 6) controller.abort(new MailarkError("INTERRUPTED", "interrupted by SIGINT"));
      },
    })),
  });
  expect(said.code).toBe(130);
  expect(erased).toBe(6);
  expect((await machine.mailark(["verify", "--store", machine.store, ...ours()])).code).toBe(0);
  expect((await prune(["--keep-last", "6", "--delete", ...ours()])).code).toBe(0);
  expect(await left()).toBe(6);
});
