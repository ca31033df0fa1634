import { chmodSync, chownSync, lstatSync, mkdirSync, renameSync, symlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { keyringKey } from "../../../../core/keys.ts";
import { nodeFiles } from "../../../../core/ports/files.ts";
import { formatRow } from "../../../../core/rows.ts";
import type { Place, Selection } from "../../../../shipper/components/component.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import { rowOf } from "../../../../shipper/components/mail/index-rows.ts";
import { restore } from "../../../../shipper/restore/restore.ts";
import { addIncremental, sha256Of } from "../../../fixtures/incremental.ts";
import { makeFolder, treeOf, writeFile } from "../../../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let out: string;
let warnings: string[];
const component = (more = {}) => mailComponent(mailConfig.parse({ root: `${vault.directory}/vmail`, ...more }));

beforeEach(async () => {
  vault = await createVault();
  out = `${vault.directory}/out`;
  warnings = [];
  for (const user of ["a", "b", "c"]) {
    const mailbox = `${vault.directory}/vmail/d/${user}`;
    makeFolder(mailbox);
    writeFile(`${mailbox}/cur/1.${user}:2,S`, `to ${user}`);
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  vault.remove();
});

const backUp = async () => expect((await vault.backup([component()])).exitCode).toBe(0);
const world = (more = {}) => ({
  ...vault.world(),
  warn: (...said: (string | undefined)[]) => warnings.push(said.join(": ")),
  ...more,
});
async function bringBack(selection: Selection = {}, { place, more = {}, config = {} }: Circumstances = {}) {
  const to = place ?? ({ kind: "directory", path: out } as const);
  return restore(component(config), await vault.open("mail"), to, selection, world(more));
}
interface Circumstances {
  readonly place?: Place;
  readonly more?: object;
  readonly config?: object;
}
const restored = () => Object.keys(treeOf(out)).filter((path) => /^d\/[^/]+$/.test(path));
/** Adds rows to the indexes of mailboxes, by user. */
const forge = (rows: Record<string, string[]>) =>
  addIncremental(
    vault,
    Object.fromEntries(
      Object.entries(rows).map(([user, added]) => [`d/${user}`, { rows: () => added, contents: new Map() }]),
    ),
  );
const movedTo = (path: string) => [rowOf.mailbox(path, 0, 0), rowOf.directory(".", 0o700), rowOf.directory("x", 0o700)];
async function eraseKeyOf(user: string) {
  const { manifest, keyring } = await vault.open("mail");
  for (const { ownerId, keyId } of manifest.keys) {
    if ((await keyring.key(ownerId, keyId)).mailbox !== `d/${user}`) continue;
    await vault.store.erase(keyringKey(vault.hostId, ownerId, keyId));
    return ownerId;
  }
  throw new Error("no such key");
}

describe("a mailbox that lies where it must not is left out, and the others come back", () => {
  const attacks: Record<string, { rows: Record<string, string[]>; left: string[] }> = {
    "below a link of another": {
      rows: { a: [rowOf.link("link", "../../../outside")], b: movedTo("d/a/link/.ssh") },
      left: ["d/a", "d/c"],
    },
    "in a folder of another": { rows: { b: movedTo("d/a/cur/x") }, left: ["d/a", "d/c"] },
    "at the place of another": { rows: { b: movedTo("d/a") }, left: ["d/a", "d/c"] },
    "above another": { rows: { b: movedTo("d") }, left: ["d/a", "d/c"] },
    "at the root itself": { rows: { b: movedTo(".") }, left: ["d/a", "d/c"] },
    "where mailboxes are built": { rows: { b: movedTo(".mailark-partial/x") }, left: ["d/a", "d/c"] },
  };
  test.each(Object.entries(attacks))("%s", async (_, { rows, left }) => {
    await backUp();
    await forge(rows);
    const outside = `${vault.directory}/outside`;
    mkdirSync(outside);
    const { failed, checks } = await bringBack();
    expect(failed).toBe(true);
    expect(restored()).toEqual(left);
    expect(Object.keys(treeOf(outside))).toEqual(["."]);
    expect(Object.keys(treeOf(out)).filter((path) => path.includes("x") || path.startsWith("."))).toEqual(["."]);
    expect(checks[0]).toMatchObject({ name: "every mailbox came back", outcome: "failed" });
  });

  test("below a domain that became a link meanwhile", async () => {
    await backUp();
    const outside = `${vault.directory}/outside`;
    const progress = (doing: string) => {
      if (doing !== "mailbox 2") return;
      renameSync(`${out}/d`, outside);
      symlinkSync(outside, `${out}/d`);
    };
    // The one that is outside now can not be checked.
    const place = { kind: "directory", path: out } as const;
    const staged = await component().stage(await vault.open("mail"), place, {}, world({ progress }));
    expect(staged.failures.map(({ path, error }) => [path, error.code])).toEqual([
      ["d/b", "PATH_UNSAFE"],
      ["d/c", "PATH_UNSAFE"],
    ]);
    expect(Object.keys(treeOf(outside)).filter((path) => !path.includes("/"))).toEqual([".", "a"]);
  });
});

describe("a mailbox that can not be read", () => {
  const content = Buffer.from("not in any archive");
  const lost = { mode: 0o600, bytes: content.length, modified: "1", sha256: sha256Of(content), archive: 1 };
  const ways: Record<string, () => Promise<unknown>> = {
    "because its key was erased": () => eraseKeyOf("b"),
    "because its index is not one": () => forge({ b: [formatRow("folder", "x", "bad")] }),
    "because an archive lacks a content": () => forge({ b: [rowOf.file("lost", lost)] }),
    "because the disk can not hold a name": () => forge({ b: [rowOf.directory("x".repeat(300), 0o700)] }),
  };

  test.each(Object.entries(ways))("%s is named and fails the restore, and all others come back", async (_, harm) => {
    await backUp();
    const owner = await harm();
    const { failed, checks } = await bringBack();
    expect(failed).toBe(true);
    expect(restored()).toEqual(["d/a", "d/c"]);
    expect(Object.keys(treeOf(out))).not.toContain(".mailark-partial");
    const name = typeof owner === "string" ? owner : "d/b";
    expect(checks[0]).toMatchObject({ outcome: "failed", detail: expect.stringContaining(name) });
    expect(warnings).toEqual([expect.stringContaining(name)]);
  });

  test.each(Object.entries(ways))("%s is an error when it alone is wanted, and nothing is left", async (_, harm) => {
    await backUp();
    await harm();
    await expect(bringBack({ mailboxes: ["b@d"] })).rejects.toThrow();
    expect(Object.keys(treeOf(out))).toEqual(["."]);
  });

  test("does not stand in the way of another that is wanted", async () => {
    await backUp();
    await eraseKeyOf("b");
    const { failed } = await bringBack({ mailboxes: ["c@d"] });
    expect(failed).toBe(false);
    expect(restored()).toEqual(["d/c"]);
  });

  test("is listed in a plan, and is an error when it alone is wanted", async () => {
    await backUp();
    const owner = await eraseKeyOf("b");
    const snapshot = await vault.open("mail");
    const items = await component().plan(snapshot, {});
    expect(items.map(({ what }) => what)).toEqual([
      "d/a: 1 message in 1 folder",
      "d/c: 1 message in 1 folder",
      expect.stringMatching(`${owner}: unreadable`),
    ]);
    await expect(component().plan(snapshot, { mailboxes: ["b@d"] })).rejects.toMatchObject({ code: "OBJECT_MISSING" });
  });

  test("is not what a full disk is taken for: that ends the restore, and nothing is left", async () => {
    await backUp();
    const full = Object.assign(new Error("ENOSPC"), { code: "ENOSPC", syscall: "rename" });
    const renameSyncOnce: typeof renameSync = (from, to) => {
      if (String(to).endsWith("d/b")) throw full;
      renameSync(from, to);
    };
    const files = { ...nodeFiles, renameSync: renameSyncOnce };
    await expect(bringBack({}, { more: { files } })).rejects.toMatchObject({ code: "ENOSPC" });
    expect(Object.keys(treeOf(out))).toEqual(["."]);
  });
});

test("a file with the rights of its owner comes back without them, a folder keeps its group", async () => {
  writeFile(`${vault.directory}/vmail/d/a/program`, "#!", { mode: 0o6755 });
  chmodSync(`${vault.directory}/vmail/d/a`, 0o2770);
  await backUp();
  await bringBack();
  expect(lstatSync(`${out}/d/a/program`).mode & 0o7777).toBe(0o755);
  expect(lstatSync(`${out}/d/a`).mode & 0o7777).toBe(0o2770);
});

describe("a domain's directory lets its users through", () => {
  const domain = (name: string) => {
    const { mode, uid, gid } = lstatSync(`${out}/${name}`);
    return [(mode & 0o7777).toString(8), uid, gid];
  };
  beforeEach(async () => {
    for (const [user, uid] of Object.entries({ a: 5001, b: 5002, c: 5001 })) {
      chownSync(`${vault.directory}/vmail/d/${user}`, uid, 5000);
    }
    await backUp();
  });

  test("and is root's where they are several", async () => {
    await bringBack();
    expect(domain("d")).toEqual(["711", 0, 0]);
  });

  test("and is theirs where they are one", async () => {
    await bringBack({ mailboxes: ["a@d", "c@d"] });
    expect(domain("d")).toEqual(["711", 5001, 5000]);
  });

  test("and is the configured owner's", async () => {
    await bringBack({}, { config: { owner: { uid: 8, gid: 9 } } });
    expect(domain("d")).toEqual(["711", 8, 9]);
  });
});

describe("without the rights of root", () => {
  beforeEach(async () => {
    await backUp();
    vi.spyOn(process, "getuid").mockReturnValue(1234);
  });

  test("a restore says once that owners are not set", async () => {
    expect((await bringBack()).failed).toBe(false);
    expect(warnings).toEqual([expect.stringContaining("only root can give them")]);
    expect(warnings[0]).toContain("d/a belongs to 0:0, and this runs as 1234:0");
  });

  test("a service is refused, and nothing is left", async () => {
    const root = `${vault.directory}/service`;
    const circumstances = { place: { kind: "service" }, config: { root } } as const;
    await expect(bringBack({}, circumstances)).rejects.toMatchObject({ code: "RESTORE_FAILED" });
    expect(Object.keys(treeOf(root))).toEqual(["."]);
  });

  test("a service whose mailboxes are all one's own is restored without a word", async () => {
    const config = { root: `${vault.directory}/service`, owner: { uid: 1234, gid: 0 } };
    expect((await bringBack({}, { place: { kind: "service" }, config })).failed).toBe(false);
    expect(warnings).toEqual([]);
  });
});

describe("the lost+found of a new volume", () => {
  beforeEach(async () => {
    await backUp();
    mkdirSync(`${out}/lost+found`, { recursive: true, mode: 0o700 });
  });

  test("is not in the way, and stays", async () => {
    expect((await bringBack()).failed).toBe(false);
    expect(Object.keys(treeOf(out))).toContain("lost+found");
  });

  test("is in the way when something is in it", async () => {
    writeFile(`${out}/lost+found/#12`, "found");
    await expect(bringBack()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  });

  test("is in the way when it is not root's", async () => {
    chownSync(`${out}/lost+found`, 1234, 1234);
    await expect(bringBack()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  });
});

describe("what a restore that was ended left in the service", () => {
  const filling = () => component().filling!;
  const root = () => `${vault.directory}/vmail`;
  const takeBack = async () => filling().takeBack(await vault.open("mail"), world());
  beforeEach(backUp);

  test("is taken back, whatever flags its messages got, and wherever they were moved", async () => {
    renameSync(`${root()}/d/a/cur/1.a:2,S`, `${root()}/d/a/cur/1.a:2,RS`);
    makeFolder(`${root()}/d/a/.Moved`);
    renameSync(`${root()}/d/a/cur/1.a:2,RS`, `${root()}/d/a/.Moved/cur/1.a:2,RS`);
    mkdirSync(`${root()}/.mailark-partial`);
    await takeBack();
    expect(Object.keys(treeOf(root()))).toEqual(["."]);
  });

  test.each(["d/b/new/2.new", "d/b/cur/2.new:2,S", "d/b/.Later/cur/2.new:2,", "d/b/tmp/2.new"])(
    "stays as it is when a message has arrived since: %s",
    async (path) => {
      if (path.includes("Later")) makeFolder(`${root()}/d/b/.Later`);
      writeFile(`${root()}/${path}`, "just arrived");
      const before = treeOf(root());
      await expect(takeBack()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", detail: path });
      expect(treeOf(root())).toEqual(before);
    },
  );

  test("stays as it is when anything else is there", async () => {
    makeFolder(`${root()}/d/z`);
    const before = treeOf(root());
    await expect(takeBack()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", detail: "d/z" });
    expect(treeOf(root())).toEqual(before);
  });

  test("stays as it is when there is something in lost+found", async () => {
    mkdirSync(`${root()}/lost+found`);
    writeFile(`${root()}/lost+found/#1`, "");
    const before = treeOf(root());
    await expect(takeBack()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", detail: "lost+found" });
    expect(treeOf(root())).toEqual(before);
  });
});
