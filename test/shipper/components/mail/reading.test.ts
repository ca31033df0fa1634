import { linkSync, renameSync, rmdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Files, nodeFiles } from "../../../../core/ports/files.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import { makeFolder, treeOf, writeFile } from "../../../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let maildir: string;
const component = () => mailComponent(mailConfig.parse({ root: `${vault.directory}/vmail` }));

beforeEach(async () => {
  vault = await createVault();
  maildir = `${vault.directory}/vmail/a.org/u/Maildir`;
  makeFolder(maildir);
  makeFolder(`${maildir}/.A`);
  writeFile(`${maildir}/cur/1.a:2,`, "message");
});
afterEach(() => vault.remove());

/** The disk, on which something happens just before the message is opened for the first time. */
function opening(happens: () => void): Files {
  let happened = false;
  const openSync = (path: Buffer | string, ...rest: [number]) => {
    if (!happened && path.toString().replace("/./", "/") === `${maildir}/cur/1.a:2,`) {
      happened = true;
      happens();
    }
    return nodeFiles.openSync(path, ...rest);
  };
  return { ...nodeFiles, openSync: openSync as Files["openSync"] };
}

/** The disk, whose directories are listed in the order of their names, but for one name that comes first. */
function inOrder(files: Files, first = ""): Files {
  const readdirSync = (...args: Parameters<Files["readdirSync"]>) => {
    const names = files.readdirSync(...args) as unknown as (string | { name: string })[];
    const rank = (entry: string | { name: string }) => {
      const name = typeof entry === "string" ? entry : entry.name;
      return first !== "" && name.startsWith(first) ? "" : name;
    };
    return names.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  };
  return { ...files, readdirSync: readdirSync as unknown as Files["readdirSync"] };
}

const notCaptured = { completeness: "partial", warnings: [{ code: "MESSAGE_NOT_CAPTURED", count: 1 }] };

async function capture(files: Files) {
  const { outcomes } = await vault.backup([component()], { files });
  return outcomes[0]!;
}

/** Messages as they come back, by path below the Maildir. */
async function restoredMessages(): Promise<string[]> {
  const path = `${vault.directory}/out`;
  await component().stage(await vault.open("mail"), { kind: "directory", path }, {}, vault.world());
  return Object.keys(treeOf(`${path}/a.org/u/Maildir`)).filter((name) => /(cur|new)\/./.test(name));
}

describe("a message", () => {
  test("that is moved to another folder after it was listed is in the snapshot", async () => {
    const from = `${maildir}/cur/1.a:2,`;
    expect((await capture(opening(() => renameSync(from, `${maildir}/.A/cur/1.a:2,S`)))).error).toBeUndefined();
    expect(await restoredMessages()).toEqual([".A/cur/1.a:2,S"]);
  });

  test("that is moved to a new folder after it was listed is in the snapshot", async () => {
    const moving = opening(() => {
      makeFolder(`${maildir}/.New`);
      renameSync(`${maildir}/cur/1.a:2,`, `${maildir}/.New/cur/1.a:2,`);
    });
    expect((await capture(moving)).error).toBeUndefined();
    expect(await restoredMessages()).toEqual([".New/cur/1.a:2,"]);
  });

  test("whose flags change after it was listed is in the snapshot under its new flags", async () => {
    await capture(opening(() => renameSync(`${maildir}/cur/1.a:2,`, `${maildir}/cur/1.a:2,S`)));
    expect(await restoredMessages()).toEqual(["cur/1.a:2,S"]);
  });

  test("that gets another name while it is read is in the snapshot", async () => {
    await capture(opening(() => renameSync(`${maildir}/cur/1.a:2,`, `${maildir}/.A/cur/2.new-name:2,S`)));
    expect(await restoredMessages()).toEqual([".A/cur/2.new-name:2,S"]);
  });

  test("that was read and then moves is not in two folders", async () => {
    writeFile(`${maildir}/cur/0.first:2,`, "read before");
    const files = opening(() => {
      renameSync(`${maildir}/cur/0.first:2,`, `${maildir}/.A/cur/0.first:2,S`);
      renameSync(`${maildir}/cur/1.a:2,`, `${maildir}/cur/1.a:2,S`);
    });
    const { manifest } = await capture(inOrder(files));
    expect(manifest?.facts.messages).toBe(2);
    expect(await restoredMessages()).toEqual([".A/cur/0.first:2,S", "cur/1.a:2,S"]);
  });

  test("that is always somewhere else when it is looked for makes the snapshot partial, and is not left out in silence", async () => {
    writeFile(`${vault.directory}/vmail/a.org/quiet/Maildir/cur/1.b:2,`, "keeps still");
    let where = `${maildir}/cur/1.a:2,`;
    const openSync = (path: Buffer | string, ...rest: [number]) => {
      if (path.toString().replace("/./", "/") === where) {
        const next = where.includes("/.A/") ? `${maildir}/cur/1.a:2,` : `${maildir}/.A/cur/1.a:2,`;
        renameSync(where, next);
        where = next;
      }
      return nodeFiles.openSync(path, ...rest);
    };
    const { manifest } = await capture({ ...nodeFiles, openSync: openSync as Files["openSync"] });
    expect(manifest).toMatchObject({
      completeness: "partial",
      facts: { mailboxes: 1 },
      warnings: [{ code: "MAILBOX_NOT_CAPTURED", count: 1 }],
    });
  });

  test("that is expunged while it is read is not missed, and neither is time: a thousand of them take seconds", async () => {
    for (let number = 0; number < 1000; number += 1) writeFile(`${maildir}/cur/${number}.gone:2,`, "");
    const files = opening(() => {
      for (let number = 0; number < 1000; number += 1) rmSync(`${maildir}/cur/${number}.gone:2,`);
    });
    const startedAt = performance.now();
    const { manifest } = await capture(inOrder(files, "1.a"));
    expect(manifest).toMatchObject({ completeness: "complete", facts: { messages: 1 } });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  test("that a listing shows under its old and its new flags is captured once", async () => {
    let opened = false;
    const files = opening(() => {
      opened = true;
    });
    const readdirSync = (...args: Parameters<Files["readdirSync"]>) => {
      const names = nodeFiles.readdirSync(...args) as unknown as string[];
      const racing = !opened && args[0].toString().replace("/./", "/") === `${maildir}/cur`;
      return racing ? [...names, "1.a:2,S"] : names;
    };
    const { manifest } = await capture({ ...files, readdirSync: readdirSync as unknown as Files["readdirSync"] });
    expect(manifest?.facts.messages).toBe(1);
    expect(await restoredMessages()).toEqual(["cur/1.a:2,"]);
  });

  test("that two listings show under two flags is captured once", async () => {
    linkSync(`${maildir}/cur/1.a:2,`, `${maildir}/cur/1.a:2,S`);
    const { manifest } = await capture(nodeFiles);
    expect(manifest?.facts.messages).toBe(1);
    expect(await restoredMessages()).toHaveLength(1);
  });

  test("that is a link is not followed: what it points to is not captured", async () => {
    writeFile(`${vault.directory}/secret`, "of another user");
    symlinkSync(`${vault.directory}/secret`, `${maildir}/cur/2.link:2,S`);
    symlinkSync("1.a:2,", `${maildir}/cur/3.link:2,S`);
    const { manifest } = await capture(nodeFiles);
    expect(manifest).toMatchObject({
      facts: { messages: 1 },
      warnings: [{ code: "SPECIAL_FILE_LEFT_OUT", count: 2 }],
    });
    expect(await restoredMessages()).toEqual(["cur/1.a:2,"]);
  });

  test("that becomes shorter while it is read is not captured", async () => {
    let shortened = false;
    const fstatSync = (...args: Parameters<Files["fstatSync"]>) => {
      const stats = nodeFiles.fstatSync(...args);
      if (!shortened && stats?.size === "message".length) {
        shortened = true;
        truncateSync(`${maildir}/cur/1.a:2,`, 3);
      }
      return stats;
    };
    const { manifest } = await capture({ ...nodeFiles, fstatSync: fstatSync as Files["fstatSync"] });
    expect(shortened).toBe(true);
    expect(manifest).toMatchObject(notCaptured);
  });

  test("that is large and changes while it is read is not captured", async () => {
    const content = Buffer.alloc(9 * 1024 * 1024, "large ");
    writeFile(`${maildir}/cur/1.a:2,`, content);
    let readings = 0;
    const readSync = (descriptor: number, target: Buffer, offset: number, length: number, position: number) => {
      if (position === 0 && length > 100_000 && ++readings === 2) {
        writeFileSync(`${maildir}/cur/1.a:2,`, content.fill("other ", 5_000_000));
      }
      return nodeFiles.readSync(descriptor, target, offset, length, position);
    };
    const { manifest } = await capture({ ...nodeFiles, readSync: readSync as Files["readSync"] });
    expect(readings).toBe(2);
    expect(manifest).toMatchObject(notCaptured);
    expect(await restoredMessages()).toEqual([]);
  });

  test("that the disk can not read does not take the others with it", async () => {
    writeFile(`${maildir}/cur/2.b:2,`, "sound");
    const failing = opening(() => {
      throw Object.assign(new Error("EIO: i/o error, open"), { code: "EIO", syscall: "open" });
    });
    expect((await capture(failing)).manifest).toMatchObject(notCaptured);
    expect(await restoredMessages()).toEqual(["cur/2.b:2,"]);
  });

  test("whose name has nothing before its flags is counted, and the others are captured", async () => {
    writeFile(`${maildir}/cur/:2,S`, "no base name");
    expect((await capture(nodeFiles)).manifest?.warnings).toEqual([{ code: "SPECIAL_FILE_LEFT_OUT", count: 1 }]);
    expect(await restoredMessages()).toEqual(["cur/1.a:2,"]);
  });

  test("whose long name another message has too comes back", async () => {
    const long = "9".repeat(250);
    writeFile(`${maildir}/cur/${long}:2,S`, "one");
    writeFile(`${maildir}/new/${long}`, "the other");
    await capture(nodeFiles);
    expect(await restoredMessages()).toHaveLength(3);
  });
});

describe("a mailbox", () => {
  test("in which a directory becomes a folder while it is read can be restored", async () => {
    writeFile(`${maildir}/Archive/2024/cur/5.old:2,S`, "old");
    makeFolder(`${maildir}/Archive/2024`);
    await capture(
      opening(() => {
        makeFolder(`${maildir}/Archive`);
        renameSync(`${maildir}/cur/1.a:2,`, `${maildir}/Archive/cur/1.a:2,`);
      }),
    );
    expect(await restoredMessages()).toEqual(["Archive/2024/cur/5.old:2,S", "Archive/cur/1.a:2,"]);
  });

  test.each(["new", "tmp"])("with a folder whose %s is a link is captured without it", async (name) => {
    rmdirSync(`${maildir}/.A/${name}`);
    symlinkSync("/nowhere", `${maildir}/.A/${name}`);
    const { manifest } = await capture(nodeFiles);
    if (name === "new") expect(manifest).toBeUndefined();
    else expect(await restoredMessages()).toEqual(["cur/1.a:2,"]);
  });

  test("whose messages are behind a link, or in another format than Maildir, is not taken for captured", async () => {
    writeFile(`${vault.directory}/vmail/a.org/dbox/mdbox/storage/m.1`, "messages");
    writeFile(`${vault.directory}/vmail/a.org/linked/Maildir/subscriptions`, "");
    symlinkSync(`${maildir}/cur`, `${vault.directory}/vmail/a.org/linked/Maildir/cur`);
    expect((await capture(nodeFiles)).manifest).toMatchObject({
      completeness: "partial",
      facts: { mailboxes: 1 },
      warnings: [{ code: "MAILBOX_NOT_CAPTURED", count: 2 }],
    });
  });

  test("with a folder that is a link says that what is behind it was not captured", async () => {
    symlinkSync(`${maildir}/.A`, `${maildir}/.Link`);
    expect((await capture(nodeFiles)).manifest?.warnings).toEqual([{ code: "LINKED_DIRECTORY", count: 1 }]);
  });

  test("that is removed while the host is captured is not there any more, and no failure", async () => {
    const gone = `${vault.directory}/vmail/a.org/gone`;
    writeFile(`${gone}/Maildir/cur/1.x:2,`, "x");
    const statSync = (...args: Parameters<Files["statSync"]>) => {
      if (args[0].toString().startsWith(gone)) rmSync(gone, { recursive: true, force: true });
      return nodeFiles.statSync(...args);
    };
    const { manifest } = await capture({ ...nodeFiles, statSync: statSync as Files["statSync"] });
    expect(manifest).toMatchObject({ completeness: "complete", facts: { mailboxes: 1 } });
  });
});

test("a host none of whose mailboxes can be read has no snapshot", async () => {
  const readdirSync = (...args: Parameters<Files["readdirSync"]>) => {
    if (args[0].toString().includes("/u")) throw Object.assign(new Error("EIO"), { code: "EIO", syscall: "scandir" });
    return nodeFiles.readdirSync(...args);
  };
  const { manifest, error } = await capture({
    ...nodeFiles,
    readdirSync: readdirSync as unknown as Files["readdirSync"],
  });
  expect(manifest).toBeUndefined();
  expect(error).toMatchObject({ code: "FILE_FAILED" });
});

describe("a directory that becomes a link to another's mailbox, after it was listed,", () => {
  test.each([
    ["a folder's cur", "cur"],
    ["the Maildir", "."],
    ["the mailbox", ".."],
  ])("gives nothing of that away: %s", async (_, directory) => {
    const other = `${vault.directory}/elsewhere`;
    for (const path of ["", "Maildir/"]) writeFile(`${other}/${path}cur/1.a:2,`, "secret");
    writeFile(`${other}/1.a:2,`, "secret");
    const swapped = join(maildir, directory);
    const { manifest } = await capture(
      opening(() => {
        renameSync(swapped, `${vault.directory}/aside`);
        symlinkSync(other, swapped);
      }),
    );
    expect(manifest?.completeness).not.toBe("complete");
    for await (const row of vault.store.list("")) expect("key" in row && row.key).not.toContain("\0");
    if (manifest === undefined) return;
    expect(manifest).toMatchObject(notCaptured);
    expect(await restoredMessages()).toEqual([]);
  });
});
