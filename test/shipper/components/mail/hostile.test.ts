import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatRow } from "../../../../core/rows.ts";
import type { SegmentReference } from "../../../../core/snapshot-reader.ts";
import { buildMailbox } from "../../../../shipper/components/mail/build-mailbox.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import { type FileRow, rowOf } from "../../../../shipper/components/mail/index-rows.ts";
import { readIndex, readTable } from "../../../../shipper/components/mail/read-table.ts";
import { addIncremental, type Growth, sha256Of } from "../../../fixtures/incremental.ts";
import { makeFolder, treeOf } from "../../../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
const evil = Buffer.from("evil\n");
const sha256 = sha256Of(evil);
const component = () => mailComponent(mailConfig.parse({ root: `${vault.directory}/vmail` }));

beforeEach(async () => {
  vault = await createVault();
  makeFolder(`${vault.directory}/vmail/a.org/u/Maildir`);
  expect((await vault.backup([component()])).exitCode).toBe(0);
});
afterEach(() => vault.remove());

/** A mailbox whose owner has everything that the host has: its keys sign and seal what a thief made up. */
const forge = (growth: Partial<Growth>) =>
  addIncremental(vault, { "a.org/u": { rows: () => [], contents: new Map([[sha256, evil]]), ...growth } });

/** Restores both ways into a directory of its own; what is around it must stay as it was. */
async function expectRefused(code: RegExp): Promise<void> {
  const around = (name: string) => treeOf(vault.directory, (path) => path.startsWith(`${name}/inner`));
  for (const [name, restore] of Object.entries({ own: byMailark, glass: byScript })) {
    execFileSync("mkdir", ["-p", `${vault.directory}/${name}`]);
    const before = around(name);
    await expect(restore(`${vault.directory}/${name}/inner`), name).rejects.toMatchObject(
      name === "own"
        ? { code: expect.stringMatching(code) }
        : { status: 1, stderr: expect.stringContaining("Error: ") },
    );
    expect(around(name)).toEqual(before);
  }
}

async function byMailark(path: string): Promise<void> {
  await component().stage(await vault.open("mail"), { kind: "directory", path }, {}, vault.world());
}

async function byScript(path: string): Promise<void> {
  const glass = join(vault.storeDirectory, "hosts", vault.hostId, "break-glass");
  const script = join(glass, readdirSync(glass)[0]!, "restore.sh");
  execFileSync("sh", [script, vault.storeDirectory, vault.hostId, "mail", "latest", vault.identityFile, path], {
    encoding: "utf8",
    stdio: "pipe",
  });
}

describe("an index that wants to write outside its mailbox is refused, and nothing is written there", () => {
  const file = (archive: number): FileRow => ({ mode: 0o600, bytes: evil.length, modified: "1", sha256, archive });
  const message = (archive: number) => ({
    state: "cur" as const,
    info: ":2,S",
    base: "1.evil",
    folder: "Maildir",
    ...file(archive),
  });
  const attacks: Record<string, (archive: number) => string> = {
    "a file above": (archive) => rowOf.file("../../../evil", file(archive)),
    "a file with an absolute path": (archive) => rowOf.file("/tmp/evil", file(archive)),
    "a file by an escaped slash": (archive) => formatRow("file", "..%2Fevil", "0600", 5, 1, sha256, archive),
    "a file in an empty element": (archive) => rowOf.file("Maildir//evil", file(archive)),
    "a folder above": () => rowOf.folder("../evil", 0o700),
    "a directory above": () => rowOf.directory("Maildir/../../evil", 0o700),
    "a link above": () => rowOf.link("../evil", "/etc"),
    "a message whose base name climbs": (archive) => rowOf.put({ ...message(archive), base: "../../../evil" }),
    "a message whose flags climb": (archive) => rowOf.put({ ...message(archive), info: ":2,/../../../../evil" }),
    "a message in a folder above": (archive) => rowOf.put({ ...message(archive), folder: "../.." }),
    "a file below a link": (archive) => rowOf.link("out", "../../..") + rowOf.file("out/evil", file(archive)),
    "a file in the directory above, which has a row": (archive) =>
      rowOf.directory("..", 0o700) + rowOf.file("../evil", file(archive)),
    "a mailbox above the mail root": () => rowOf.mailbox("../../evil", 0, 0) + rowOf.directory(".", 0o700),
  };
  test.each(Object.entries(attacks))("%s", async (_, attack) => {
    await forge({ rows: (_, archive) => [attack(archive)] });
    await expectRefused(/PATH_UNSAFE|OBJECT_CORRUPT/);
  });
});

describe("an archive with anything but contents named by their hashes is refused", () => {
  const attacks: Record<string, ReadonlyMap<string, Buffer>> = {
    "a member above": new Map([
      [sha256, evil],
      ["../../evil", evil],
    ]),
    "a content under the name of another": new Map([[sha256, Buffer.from("LIVE\n")]]),
    "a content that is not there": new Map(),
  };
  test.each(Object.entries(attacks))("%s", async (_, contents) => {
    const file = { mode: 0o600, bytes: evil.length, modified: "1", sha256 };
    await forge({ contents, rows: (_, archive) => [rowOf.file("evil", { ...file, archive })] });
    await expectRefused(/OBJECT_CORRUPT/);
  });

  test.each(Object.entries(attacks))("deep verification finds %s", async (_, contents) => {
    const file = { mode: 0o600, bytes: evil.length, modified: "1", sha256 };
    await forge({ contents, rows: (_, archive) => [rowOf.file("evil", { ...file, archive })] });
    await expect(component().examine!(await vault.open("mail"), vault.world())).rejects.toMatchObject({
      code: "OBJECT_CORRUPT",
    });
  });
});

describe("an index that lies about what it restores is refused, and nothing is left", () => {
  const file = { mode: 0o600, bytes: evil.length, modified: "1", sha256 };
  const expectNothing = async (code?: string) => {
    const target = `${vault.directory}/out`;
    await expect(byMailark(target)).rejects.toMatchObject({ code: expect.stringMatching(code ?? ".") });
    expect(Object.keys(treeOf(target)).filter((path) => path !== ".")).toEqual([]);
  };

  test("a content that has another size", async () => {
    await forge({ rows: (_, archive) => [rowOf.file("evil", { ...file, bytes: evil.length + 1, archive })] });
    await expectNothing("OBJECT_CORRUPT");
    await expect(component().examine!(await vault.open("mail"), vault.world())).rejects.toMatchObject({
      code: "OBJECT_CORRUPT",
    });
  });

  test.each([
    ["contents of their own", Buffer.from("other\n")],
    ["one content", evil],
  ])("two messages that would be one file, with %s", async (_, other) => {
    const message = { folder: "Maildir", state: "cur" as const, mode: 0o600, modified: "1" };
    await forge({
      contents: new Map([
        [sha256, evil],
        [sha256Of(other), other],
      ]),
      rows: (_, archive) => [
        rowOf.put({ ...message, base: "1.a", info: ":2,S", bytes: evil.length, sha256, archive }),
        rowOf.put({ ...message, base: "1.a:2,S", info: "", bytes: other.length, sha256: sha256Of(other), archive }),
      ],
    });
    await expectNothing();
  });

  test("a file below a link, should it ever get past the reading of the index", async () => {
    await forge({});
    const snapshot = await vault.open("mail");
    const [[ownerId, chain]] = [...(await readTable(snapshot))] as [[string, readonly SegmentReference[]]];
    const index = await readIndex(snapshot, chain);
    const outside = `${vault.directory}/outside`;
    makeFolder(outside);
    const before = treeOf(outside);
    index.links.set("out", outside);
    index.files.set("out/evil", { ...file, archive: Math.max(...index.archives.keys()) });
    const { files, signal } = vault.world();
    await expect(
      buildMailbox(`${vault.directory}/built`, { ownerId, index }, snapshot, { files, signal }),
    ).rejects.toThrow();
    expect(treeOf(outside)).toEqual(before);
  });
});
