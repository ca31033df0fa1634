import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatRow } from "../../core/rows.ts";
import { mailComponent } from "../../shipper/components/mail/component.ts";
import { mailConfig } from "../../shipper/components/mail/config.ts";
import { type FileRow, rowOf } from "../../shipper/components/mail/index-rows.ts";
import { addIncremental, sha256Of } from "../fixtures/incremental.ts";
import { leftOutOfSnapshots, makeFolder, makeOwnMaildirs, treeOf } from "../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../fixtures/vault.ts";

const awks = ["gawk", "mawk"];
const evil = Buffer.from("evil\n");
const sha256 = sha256Of(evil);
const contents = new Map([[sha256, evil]]);

let vault: Vault;
let root: string;
let flag: string;

beforeEach(async () => {
  vault = await createVault();
  root = `${vault.directory}/vmail`;
  flag = `${vault.directory}/flag`;
  makeFolder(`${root}/a.org/u/Maildir`);
  makeFolder(`${root}/b.org/u/Maildir`);
});
afterEach(() => vault.remove());

const backup = async () => {
  const result = await vault.backup([mailComponent(mailConfig.parse({ root }))]);
  expect(result.exitCode).toBe(0);
};

/** What a thief of the old host makes of its mailboxes: its keys sign and seal whatever they are given. */
async function forge(rows: Readonly<Record<string, (archive: number) => string>>): Promise<void> {
  await backup();
  const growth = Object.entries(rows).map(([path, make]) => {
    return [path, { contents, rows: (_: unknown, archive: number) => [make(archive)] }] as const;
  });
  await addIncremental(vault, Object.fromEntries(growth));
}

/** The script under one of the two awks. */
function restore(awk: string, component = "mail") {
  const bin = join(vault.directory, `bin-${awk}`);
  fs.mkdirSync(bin, { recursive: true });
  if (!fs.existsSync(join(bin, "awk"))) {
    fs.symlinkSync(execFileSync("which", [awk], { encoding: "utf8" }).trim(), join(bin, "awk"));
  }
  const script = new URL("../../shipper/break-glass/restore.sh", import.meta.url).pathname;
  const target = `${vault.directory}/glass-${awk}`;
  const args = [script, vault.storeDirectory, vault.hostId, component, "latest", vault.identityFile, target];
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  return { target, ...spawnSync("sh", args, { env, encoding: "utf8" }) };
}

/** Every awk refuses it with these words, writes nothing but below its target, and runs nothing. */
function expectRefused(words: RegExp, component = "mail"): void {
  const around = () => treeOf(vault.directory, (path) => /^(glass|bin)-/.test(path));
  const before = around();
  for (const awk of awks) {
    const { status, stderr } = restore(awk, component);
    expect(stderr, awk).toMatch(words);
    expect(status, awk).toBe(1);
    const { ".": _, ...after } = around();
    expect(after).toEqual(Object.fromEntries(Object.entries(before).filter(([path]) => path !== ".")));
  }
}

/** The manifest of the newest snapshot, changed; the script does not look at signatures. */
function changeManifest(change: (manifest: Record<string, unknown>, snapshot: string) => object): void {
  const folder = join(vault.storeDirectory, "hosts", vault.hostId, "mail");
  const snapshot = fs.readdirSync(folder).sort().at(-1)!;
  const path = join(folder, snapshot, "manifest.json");
  const manifest = JSON.parse(fs.readFileSync(path, "utf8").split("\n")[0]!);
  fs.writeFileSync(path, `${JSON.stringify({ ...manifest, ...change(manifest, snapshot) })}\n{}\n`);
}

/** Puts another mailbox table in place of the snapshot's. */
function forgeTable(table: string): void {
  changeManifest((_, snapshot) => {
    const frame = execFileSync("zstd", ["-cq"], { input: table });
    const sealed = execFileSync("age", ["-r", vault.recipient], { input: frame });
    fs.writeFileSync(join(vault.storeDirectory, "hosts", vault.hostId, "mail", snapshot, "0099.pack"), sealed);
    const extents = [{ pack: `${snapshot}/0099`, offset: 0, segments: [sealed.length] }];
    const digest = createHash("sha256").update(table).digest("hex");
    return { parts: [{ name: "mailboxes", sha256: digest, extents }] };
  });
}

const fileOf = (archive: number): FileRow => ({
  mode: 0o600,
  bytes: evil.length,
  modified: "1",
  sha256,
  archive,
});
const messageOf = (archive: number) => ({
  ...fileOf(archive),
  folder: "Maildir",
  state: "cur" as const,
  base: "1.evil",
  info: ":2,S",
});

describe("no field of an index becomes a command", () => {
  const commands = () => [
    `0600 .; touch ${flag} #`,
    `0600'; touch ${flag}; '`,
    `$(touch ${flag})`,
    `\`touch ${flag}\``,
  ];
  const file = (field: string, at: number, n: number) =>
    formatRow(...["file", "evil", "0600", 5, 1, sha256, n].with(at, field));
  const put = (field: string, at: number, n: number) =>
    formatRow(...["put", "Maildir", "cur", ":2,S", "1.evil", "0600", 5, 1, sha256, n].with(at, field));
  const fields: Record<string, (field: string, archive: number) => string> = {
    "the mode of a file": (field, n) => file(field, 2, n),
    "the time of a file": (field, n) => file(field, 4, n),
    "the hash of a file": (field, n) => file(field, 5, n),
    "the state of a message": (field, n) => put(field, 2, n),
    "the mode of a message": (field, n) => put(field, 5, n),
    "the time of a message": (field, n) => put(field, 7, n),
    "the hash of a message": (field, n) => put(field, 8, n),
    "the mode of a folder": (field) => formatRow("folder", "Maildir", field),
    "the mode of a directory": (field) => formatRow("directory", ".", field),
    "the user": (field) => formatRow("mailbox", "a.org/u", field, 0) + rowOf.directory(".", 0o700),
    "the group": (field) => formatRow("mailbox", "a.org/u", 0, field) + rowOf.directory(".", 0o700),
    "a name that is not escaped": (field, n) => rowOf.file("x", fileOf(n)).replace("x", field),
    "a target that is not escaped": (field) => `link\tlink\t${field} \x01\n`,
  };
  test.each(Object.entries(fields))("%s", async (_, row) => {
    await forge({
      "a.org/u": (archive) =>
        commands()
          .map((command) => row(command, archive))
          .join(""),
    });
    expectRefused(/Error: an index of [a-z2-7]{26} is unsafe/);
  });

  test("a part whose name would leave the target is refused, as is one that is a pattern", async () => {
    await backup();
    const folder = join(vault.storeDirectory, "hosts", vault.hostId);
    for (const name of ["../escaped", "/escaped", "*", "-x", "facts\n../escaped", "facts\0", ".", ""]) {
      changeManifest((manifest) => {
        return { parts: (manifest.parts as object[]).slice(0, 1).map((part) => ({ ...part, name })) };
      });
      fs.rmSync(join(folder, "configs"), { recursive: true, force: true });
      fs.cpSync(join(folder, "mail"), join(folder, "configs"), { recursive: true });
      for (const awk of awks) fs.rmSync(`${vault.directory}/glass-${awk}`, { recursive: true, force: true });
      expectRefused(/Error: (the name of a part is unsafe|part facts is damaged)/, "configs");
    }
  });
});

describe("no reference leads out of the store, and no number out of the workshop", () => {
  const reference = "20261121T020000.000Z-k3m9x2qa7b/0001";
  const references: Record<string, [string, string, string]> = {
    "a pack above": ["../../../../../elsewhere/0001", "0", "10"],
    "a pack of words": [`${reference} 0 10 x`, "0", "10"],
    "an offset of a command": [reference, `a[$(touch flag)]`, "10"],
    "an offset below zero": [reference, "-9", "10"],
    "an offset in octal": [reference, "010", "10"],
    "an offset beyond numbers": [reference, "99999999999999999999", "10"],
    "a length below zero": [reference, "0", "-10"],
    "a length of words": [reference, "0", "10 --verbose"],
  };
  test.each(Object.entries(references))("%s", async (_, [pack, offset, bytes]) => {
    const key = "0".repeat(32);
    await forge({ "a.org/u": () => formatRow("archive", 99, key, pack, offset, bytes) });
    expectRefused(/Error: a reference of [a-z2-7]{26} to a pack is unsafe/);

    for (const awk of awks) fs.rmSync(`${vault.directory}/glass-${awk}`, { recursive: true });
    const owner = "a".repeat(26);
    forgeTable(formatRow("mailbox", owner) + formatRow("index", owner, key, pack, offset, bytes));
    expectRefused(/Error: a reference of a{26} to a pack is unsafe/);

    for (const awk of awks) fs.rmSync(`${vault.directory}/glass-${awk}`, { recursive: true });
    changeManifest(() => ({ parts: [{ name: "mailboxes", extents: [{ pack, offset: 0, segments: [bytes] }] }] }));
    if (pack !== reference) expectRefused(/Error: a reference of host to a pack is unsafe/);
  });

  test.each(["../../../evil", "1 2", "$(touch flag)", "01", "-1", "", "*"])("an archive %s", async (number) => {
    await forge({ "a.org/u": () => formatRow("archive", number, "0".repeat(32), reference, 0, 10) });
    expectRefused(/Error: an index of [a-z2-7]{26} is unsafe/);
  });

  test.each(["../../../evil", "host", "", "a", "*", `${"a".repeat(25)} `, "a".repeat(27), "A".repeat(26)])(
    "an owner %s",
    async (owner) => {
      await backup();
      forgeTable(formatRow("mailbox", owner) + formatRow("index", owner, "0".repeat(32), reference, 0, 10));
      expectRefused(/Error: the table of mailboxes is unsafe/);
    },
  );
});

describe("nothing is written through a link", () => {
  const links = () => rowOf.link("out", vault.directory);
  const attacks: Record<string, (archive: number) => string> = {
    "a link below a link": () =>
      links() + ["a", "b", "c", "d", "e", "f", "g"].map((name) => rowOf.link(`out/${name}`, "/etc")).join(""),
    "a file below a link": (archive) => links() + rowOf.file("out/evil", fileOf(archive)),
    "a directory below a link": () => links() + rowOf.directory("out/evil", 0o700),
    "a link that is a directory too": () => links() + rowOf.directory("out", 0o777),
    "a link in place of the mailbox": () => rowOf.link(".", "/etc"),
    "a link in place of a folder's own directory": () => rowOf.link("Maildir/cur", vault.directory),
    "a file in a folder's own directory": (archive) => rowOf.file("Maildir/cur/evil", fileOf(archive)),
    "a message whose folder is not there": (archive) => rowOf.put({ ...messageOf(archive), folder: "Other" }),
    "two messages that would be one file": (archive) =>
      rowOf.put(messageOf(archive)) + rowOf.put({ ...messageOf(archive), base: "1.evil:2,S", info: "" }),
    "a name with a zero byte": (archive) => formatRow("file", "a%00b", "0600", 5, 1, sha256, archive),
    "one name in two ways": (archive) => formatRow("file", "%41", "0600", 5, 1, sha256, archive),
  };
  test.each(Object.entries(attacks))("%s", async (_, attack) => {
    await forge({ "a.org/u": attack });
    expectRefused(/Error: an index of [a-z2-7]{26} is unsafe/);
  });

  const mailbox = (path: string) => rowOf.mailbox(path, 0, 0) + rowOf.directory(".", 0o700);
  /** Each is tried in both orders. */
  const pairs: Record<string, [string, string]> = {
    "a mailbox behind the link of another": ["d/a", "d/a/out/x"],
    "a mailbox in another": ["d/a", "d/a/x"],
    "a mailbox in place of another's link": ["d/a", "d/a/out"],
    "a mailbox in place of another": ["d/a", "d/a"],
    "a mailbox at the top": ["d/a", "."],
  };
  test.each(Object.entries(pairs))("%s", async (_, [first, second]) => {
    const one = () => mailbox(first) + links();
    const other = () => mailbox(second);
    await forge({ "a.org/u": one, "b.org/u": other });
    expectRefused(/Error: an index of [a-z2-7]{26} is unsafe/);
    for (const awk of awks) fs.rmSync(`${vault.directory}/glass-${awk}`, { recursive: true });
    await addIncremental(vault, {
      [first]: { contents, rows: () => [first === second ? one() : other()] },
      ...(first !== second && { [second]: { contents, rows: () => [one()] } }),
    });
    expectRefused(/Error: an index of [a-z2-7]{26} is unsafe/);
  });

  test("mailboxes whose names only begin alike are not in each other", async () => {
    await forge({ "a.org/u": () => mailbox("d/a"), "b.org/u": () => mailbox("d/a.b") });
    for (const awk of awks) expect(restore(awk)).toMatchObject({ status: 0, stderr: "" });
  });
});

test("a mailbox that is itself a Maildir comes back, and links to names that look like options", async () => {
  makeOwnMaildirs(root);
  await backup();
  const below = (top: string) =>
    Object.fromEntries(Object.entries(treeOf(top, leftOutOfSnapshots)).filter(([path]) => path.split("/").length > 1));
  for (const awk of awks) {
    const { target, status, stderr } = restore(awk);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(below(target)).toEqual(below(root));
  }
});

test("that a snapshot is partial is said, with what is known of it, and only then", async () => {
  await backup();
  for (const awk of awks) expect(restore(awk).stderr).toBe("");
  changeManifest(() => ({ completeness: "partial", warnings: [{ code: "MAILBOX_FAILED", count: 3 }] }));
  for (const awk of awks) {
    fs.rmSync(`${vault.directory}/glass-${awk}`, { recursive: true });
    const { status, stderr } = restore(awk);
    expect(stderr).toMatch(/^Warning: the snapshot is partial.*"MAILBOX_FAILED","count":3.*\n$/);
    expect(status).toBe(0);
  }
});
