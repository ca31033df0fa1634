import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { generateIdentity } from "../../../core/age/age.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import type { Composition } from "../../../shipper/composition.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { leftOutOfSnapshots, makeFolder, makeOddMailboxes, treeOf, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: CommandLine;
const restoreTo = (name: string, ...words: string[]) =>
  host.configured(["restore", "mail", "--identity", host.identity, "--to", join(host.directory, name), ...words]);
/** What must come back: all but what is left out on purpose, and the one of two messages with one name that gets another. */
const comparable = (tree: Record<string, string>) =>
  Object.fromEntries(Object.entries(tree).filter(([path]) => path.includes("/") && !path.includes("9.same")));

beforeEach(() => {
  host = commandLine(scratchDirectory());
  makeOddMailboxes(host.vmail);
});

test("init, backup, list, show, verify and restore bring every byte, name, mode, time and link back", async () => {
  const before = treeOf(host.vmail);
  expect(await host.init()).toMatchObject({ code: 0, stderr: "" });

  const backup = await host.configured(["backup"]);
  expect(backup).toMatchObject({ code: 0, stderr: "" });
  expect(backup.stdout).toMatch(/^mail\s+complete\s+\d{8}T.* 67 messages in 4 mailboxes$/m);
  const snapshotId = /\d{8}T\d{6}\.\d{3}Z-[0-9a-z]{10}/.exec(backup.stdout)![0];

  const list = await host.configured(["list"]);
  expect(list).toMatchObject({ code: 0, stderr: "" });
  expect(list.stdout).toMatch(new RegExp(`mail +${snapshotId} +full +complete +.*67 messages in 4 mailboxes`));

  const show = await host.configured(["show", "latest", "mail"]);
  expect(show.code).toBe(0);
  expect(show.stdout).toContain(snapshotId);
  expect(show.stdout).not.toContain("alice");
  const named = await host.configured(["show", snapshotId, "--identity", host.identity]);
  expect(named).toMatchObject({ code: 0 });
  expect(named.stdout).toMatch(/example\.com\/alice: 65 messages in 5 folders/);

  expect(await host.configured(["verify"])).toMatchObject({ code: 0, stderr: "" });
  const deep = await host.configured(["verify", "--deep", "--identity", host.identity]);
  expect(deep).toMatchObject({ code: 0, stderr: "" });
  expect(deep.stdout).toContain("Everything was decrypted");

  const restored = await restoreTo("out");
  expect(restored).toMatchObject({ code: 0, stderr: "" });
  expect(restored.stdout).toMatch(/messages read back as they were captured +passed/);
  expect(comparable(treeOf(join(host.directory, "out")))).toEqual(comparable(treeOf(host.vmail, leftOutOfSnapshots)));
  expect(treeOf(host.vmail)).toEqual(before);
});

test("a machine without any configuration restores from the store alone", async () => {
  await host.init();
  await host.configured(["backup"]);
  const elsewhere = commandLine(scratchDirectory());
  const words = ["--store", host.store, "--identity", host.identity, "--to", "out"];
  const restored = await elsewhere.mailark(["restore", "mail", ...words], { env: { MAILARK_CONFIG: "" } });
  expect(restored.code).toBe(0);
  expect(restored.stderr).toContain("--fingerprint");
  expect(comparable(treeOf(join(elsewhere.directory, "out")))).toEqual(
    comparable(treeOf(host.vmail, leftOutOfSnapshots)),
  );
});

test("the commands on the recovery sheet are those that restore", async () => {
  const { stdout } = await host.init();
  const commandFor = (what: string) => new RegExp(`mailark (restore ${what} .*)$`, "m").exec(stdout)![1]!.split(" ");
  // The services of the machine that runs this are not the test's.
  host.edit((text) => text.replace(/^services:[\s\S]*/m, ""));
  await host.configured(["backup"]);
  const before = comparable(treeOf(host.vmail, leftOutOfSnapshots));
  expect(await host.mailark(commandFor("mail"))).toMatchObject({ code: 0, stderr: "" });
  expect(comparable(treeOf(join(host.directory, "mail")))).toEqual(before);

  rmSync(host.vmail, { recursive: true });
  mkdirSync(host.vmail);
  const env = { MAILARK_CONFIG: host.configPath };
  const restored = await host.mailark(commandFor("--all"), { env });
  expect(restored).toMatchObject({ code: 0, stderr: "" });
  expect(comparable(treeOf(host.vmail))).toEqual(before);
});

/** Everything of the store decrypts, and comes back as it is. */
async function expectWhole(name: string) {
  expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
  expect(await host.configured(["verify", "--deep", "--identity", host.identity])).toMatchObject({
    code: 0,
    stderr: "",
  });
  expect(await restoreTo(name)).toMatchObject({ code: 0, stderr: "" });
  expect(comparable(treeOf(join(host.directory, name)))).toEqual(comparable(treeOf(host.vmail, leftOutOfSnapshots)));
}

test("a disk that was changed for a new one at the same place gets a keyring of its own", async () => {
  await host.init();
  await expectWhole("first");
  const states = readdirSync(join(host.directory, "state"));
  renameSync(host.storeDirectory, join(host.directory, "old-disk"));
  // The host's introduction alone was copied to it, as `enrol` on another machine would have made it.
  const [hostId] = readdirSync(join(host.directory, "old-disk/hosts"));
  const introduction = `hosts/${hostId}/enrol`;
  cpSync(join(host.directory, "old-disk", introduction), join(host.storeDirectory, introduction), { recursive: true });
  await expectWhole("second");
  expect(readdirSync(join(host.directory, "state"))).toEqual(states);

  // And back again: the keys of the state are the other disk's now.
  renameSync(host.storeDirectory, join(host.directory, "new-disk"));
  renameSync(join(host.directory, "old-disk"), host.storeDirectory);
  await expectWhole("third");
});

test("a new disk that the host was introduced to has all that a restore needs", async () => {
  await host.init();
  await expectWhole("first");
  renameSync(host.storeDirectory, join(host.directory, "old-disk"));
  expect(await host.configured(["enrol"])).toMatchObject({ code: 0 });
  await expectWhole("second");
});

test("a host that was prepared anew with the same recovery key has a keyring of its own", async () => {
  await host.init();
  await expectWhole("first");
  const recipient = /recovery: *(age1[0-9a-z]+)/.exec(readFileSync(host.configPath, "utf8"))![1]!;
  rmSync(host.configPath);
  expect(await host.init(["--recovery-recipient", recipient])).toMatchObject({ code: 0 });
  await expectWhole("second");
});

test("a later run is restored by its time, an earlier one by its own", async () => {
  await host.init();
  const first = (await host.configured(["backup", "--json"])).json.components[0];
  writeFile(`${host.vmail}/example.com/alice/Maildir/new/99.later`, "later");
  await host.configured(["backup"]);
  expect((await restoreTo("early", "--at", first.finishedAt)).code).toBe(0);
  expect((await restoreTo("late")).code).toBe(0);
  const later = "example.com/alice/Maildir/new/99.later";
  expect(treeOf(join(host.directory, "early"))).not.toHaveProperty([later]);
  expect(treeOf(join(host.directory, "late"))).toHaveProperty([later]);
});

describe("a dry run", () => {
  const everything = () => treeOf(host.directory);

  test("of a backup tells sizes and changes nothing", async () => {
    await host.init();
    const before = everything();
    const { code, stdout } = await host.configured(["backup", "--dry-run"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/mail +\d+.* example\.com\/alice: \d+ messages in 5 folders/);
    expect(everything()).toEqual(before);
  });

  test("of a restore tells sizes and free space and changes nothing", async () => {
    await host.init();
    await host.configured(["backup"]);
    const before = everything();
    const { code, stdout } = await restoreTo("out", "--dry-run", "--mailbox", "alice@example.com");
    expect(code).toBe(0);
    expect(stdout).toMatch(/are free there/);
    expect(stdout).toContain("example.com/alice");
    expect(stdout).not.toContain("example.com/empty");
    expect(everything()).toEqual(before);
  });
});

describe("a restore refuses", () => {
  beforeEach(async () => {
    await host.init();
    await host.configured(["backup"]);
  });
  const refusal = async (words: string[], circumstances = {}) => {
    // That it was refused is in the audit file, which is all that was written.
    const untouched = () => ({ ...treeOf(host.directory), "state/audit.jsonl": "" });
    const before = untouched();
    const said = await host.configured(["restore", ...words], circumstances);
    expect(untouched()).toEqual(before);
    expect(said.stdout).toBe("");
    return said;
  };

  test("a target that holds something, and touches nothing", async () => {
    writeFile(`${host.directory}/out/mine`, "mine");
    const said = await refusal(["mail", "--identity", host.identity, "--to", "out"]);
    expect(said.code).toBe(7);
    expect(said.stderr).toContain("holds something already");
    // Before the store is read: whether the key opens anything is not known yet.
    const stranger = join(scratchDirectory(), "key");
    writeFileSync(stranger, `${generateIdentity().identity}\n`, { mode: 0o600 });
    expect((await refusal(["mail", "--identity", stranger, "--to", "out"])).code).toBe(7);
  });

  test("a live mail root, also as a service", async () => {
    const said = await refusal(["mail", "--identity", host.identity, "--into-service"]);
    expect(said).toMatchObject({ code: 7 });
  });

  test("without an identity, with a wrong one, and with a key on the command line", async () => {
    expect(await refusal(["mail", "--to", "out"])).toMatchObject({ code: 2 });
    expect((await refusal(["mail", "--to", "out", "--identity", "nowhere"])).stderr).toContain("no such identity file");
    const key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQS56V93C";
    const typed = await refusal(["mail", "--to", "out", "--identity", key]);
    expect(typed).toMatchObject({ code: 2, stderr: expect.stringContaining("given on the command line") });
    expect(typed.stderr).not.toContain(key);
    const stranger = commandLine(scratchDirectory());
    makeFolder(`${stranger.vmail}/a/b`);
    await stranger.init();
    const other = await refusal(["mail", "--to", "out", "--identity", stranger.identity]);
    expect(other.code).toBe(4);
    expect(other.stderr).toMatch(/identity does not open[\s\S]*recovery sheet/);
    expect(await refusal(["mail", "--to", "out", "--identity", "-"], { stdin: "rubbish\n" })).toMatchObject({
      code: 2,
    });
  });

  test("what is not a time, not a component, or no place", async () => {
    const identity = ["--identity", host.identity];
    for (const time of ["yesterday", "2026-02-31", "2026-11-21 25:00", "21.11.2026"]) {
      const said = await refusal(["mail", "--to", "out", "--at", time, ...identity]);
      expect(said.code).toBe(2);
      expect(said.stderr).toContain(time);
      expect(said.stderr).toContain("Try: give latest");
    }
    expect((await refusal(["mial", "--to", "out", ...identity])).stderr).toContain("did you mean mail?");
    expect((await refusal(["mail", ...identity])).code).toBe(2);
    expect((await refusal(["mail", ...identity, "--to", "out", "--into-service"])).code).toBe(2);
    expect((await refusal(["mail", ...identity, "--to", "out", "--database", "x"])).code).toBe(2);
    expect((await refusal(["mail", ...identity, "--to", "out", "--at", "2001-01-01"])).stderr).toContain("no snapshot");
    expect((await refusal(["mail", ...identity, "--to", "out", "--mailbox", "no@where"])).stderr).toContain("no@where");
    expect((await refusal(["mail", ...identity, "--to", "out", "--fingerprint", "12"])).code).toBe(2);
    expect((await refusal(["mail", ...identity, "--to", "out", "--fingerprint", "0".repeat(64)])).code).toBe(4);
  });

  test("a target without room", async () => {
    const said = await refusal(["mail", "--to", "out", "--identity", host.identity], {
      wrap: (composition: Composition) => ({
        ...composition,
        files: { ...composition.files, statfsSync: (() => ({ bavail: 1, bsize: 512 })) as never },
      }),
    });
    expect(said.code).toBe(1);
    expect(said.stderr).toMatch(/are needed for mail, and 512 B are free\n {2}.*\/out\nTry: /);
  });

  test("a service without room", async () => {
    const away = join(host.directory, "away");
    renameSync(host.vmail, away);
    const full = { ports: { files: { ...nodeFiles, statfsSync: (() => ({ bavail: 1, bsize: 512 })) as never } } };
    const said = await refusal(["mail", "--into-service", "--identity", host.identity], full);
    expect(said.code).toBe(1);
    expect(said.stderr).toMatch(/are needed for mail, and 512 B are free\n {2}.*\/vmail\nTry: /);
  });

  test("a store that is not there", async () => {
    const words = ["mail", "--to", "out", "--identity", host.identity, "--store", "file:///nowhere/at/all"];
    const said = await refusal(words);
    expect(said.code).toBe(6);
    expect(said.stderr).toContain("mount");
  });
});

test("a restore takes an older snapshot when the newest can not be believed, and says so", async () => {
  await host.init();
  const first = (await host.configured(["backup", "--json"])).json.components[0].snapshotId;
  const second = (await host.configured(["backup", "--json"])).json.components[0].snapshotId;
  const hostId = readdirSync(join(host.storeDirectory, "hosts"))[0]!;
  writeFileSync(join(host.storeDirectory, "hosts", hostId, "mail", second, "manifest.json"), "{}\n{}\n");
  const restored = await restoreTo("out");
  expect(restored.code).toBe(0);
  expect(restored.stderr).toContain(second);
  expect(restored.stdout).toContain(first);
  // The one that was asked for by its name is not exchanged for another.
  const byName = await restoreTo("named", "--at", second);
  expect(byName).toMatchObject({ code: 4, stdout: "" });
  expect(existsSync(join(host.directory, "named"))).toBe(false);
  expect(await host.configured(["list"])).toMatchObject({ code: 4, stdout: expect.stringContaining("unreadable") });
});

test("a restore that is not what was captured says so, and its exit status too", async () => {
  await host.init();
  await host.configured(["backup"]);
  const wrap = (composition: Composition): Composition => ({
    ...composition,
    component: (...named) => {
      const component = composition.component(...named);
      return {
        ...component,
        async stage(...place) {
          const staged = await component.stage(...place);
          rmSync(join(host.directory, "out/example.com/alice/Maildir/cur/4.mode:2,S"));
          return staged;
        },
      };
    },
  });
  const said = await host.configured(["restore", "mail", "--identity", host.identity, "--to", "out"], { wrap });
  expect(said.code).toBe(4);
  expect(said.stdout).toMatch(/^as many as were captured +FAILED +captured 67 messages .*found 66$/m);
  expect(said.stdout).toContain("What was restored is left in place");
});

test("an identity file that others can read is warned of, and one from standard input needs no file", async () => {
  await host.init();
  await host.configured(["backup"]);
  chmodSync(host.identity, 0o644);
  const restored = await restoreTo("out");
  expect(restored.stderr).toMatch(/Warning: other users can read the recovery key\n {2}chmod 600/);
  const stdin = readFileSync(host.identity, "utf8");
  rmSync(host.identity);
  const piped = await host.configured(["restore", "mail", "--identity", "-", "--to", "piped"], { stdin });
  expect(piped).toMatchObject({ code: 0, stderr: "" });
});

test("a partial snapshot is restored with a warning", async () => {
  await host.init();
  makeFolder(`${host.vmail}/example.org/broken`);
  writeFile(`${host.vmail}/example.org/broken/cur/1.x:2,S`, "x");
  const files = (await import("node:fs")).default;
  const failing = {
    ...files,
    openSync: ((path: Buffer, ...rest: [string]) => {
      if (String(path).includes("1.x"))
        throw Object.assign(new Error("EIO: broken/cur/1.x"), { code: "EIO", syscall: "open" });
      return files.openSync(path, ...rest);
    }) as never,
  };
  const backup = await host.configured(["backup"], { ports: { files: failing } });
  expect(backup.code).toBe(3);
  expect(backup.stderr).toContain("example.org/broken");
  expect(backup.stdout).toContain("1 × message not captured");
  const restored = await restoreTo("out");
  expect(restored.code).toBe(0);
  expect(restored.stderr).toMatch(/partial[\s\S]*1 × message not captured/);
});

test("a snapshot of a clock that was ahead is told wherever it is taken for the latest", async () => {
  await host.init();
  const ahead = { ports: { clock: { ...systemClock, now: () => Date.now() + 2 * 3600 * 1000 } } };
  const slightly = { ports: { clock: { ...systemClock, now: () => Date.now() + 50 * 60 * 1000 } } };
  expect(await host.configured(["backup"], slightly)).toMatchObject({ code: 0, stderr: "" });
  expect(await host.configured(["backup"])).toMatchObject({ code: 0, stderr: "" });
  expect(await host.configured(["list"])).toMatchObject({ code: 0, stderr: "" });
  const { snapshotId } = (await host.configured(["backup", "--json"], ahead)).json.components[0];
  for (const said of [await host.configured(["backup"]), await host.configured(["list"]), await restoreTo("out")]) {
    expect(said.code).toBe(0);
    expect(said.stderr).toContain("Warning: the newest snapshot of mail is of a time to come");
    expect(said.stderr).toContain(snapshotId);
  }
  expect((await host.configured(["list"], ahead)).stderr).toBe("");
});

test("a copy of the store is as good as the store", async () => {
  await host.init();
  await host.configured(["backup"]);
  const copy = join(host.directory, "copy");
  cpSync(host.storeDirectory, copy, { recursive: true });
  rmSync(host.storeDirectory, { recursive: true });
  const restored = await restoreTo("out", "--store", `file://${copy}`);
  expect(restored).toMatchObject({ code: 0, stderr: "" });
  expect(statSync(join(host.directory, "out")).mode & 0o777).toBe(0o700);
});
