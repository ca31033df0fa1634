import { renameSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
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

  test("whose flags change after it was listed is in the snapshot, without another listing", async () => {
    let opened = false;
    let listings = 0;
    const files = opening(() => {
      opened = true;
      renameSync(`${maildir}/cur/1.a:2,`, `${maildir}/cur/1.a:2,S`);
    });
    const readdirSync = (...args: Parameters<Files["readdirSync"]>) => {
      if (opened && args[0].toString().endsWith("/.A/cur")) listings += 1;
      return nodeFiles.readdirSync(...args);
    };
    await capture({ ...files, readdirSync: readdirSync as unknown as Files["readdirSync"] });
    expect(await restoredMessages()).toEqual(["cur/1.a:2,S"]);
    expect(listings).toBe(0);
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

  test("that is a link is not followed: what it points to is not captured", async () => {
    writeFile(`${vault.directory}/secret`, "of another user");
    symlinkSync(`${vault.directory}/secret`, `${maildir}/cur/2.link:2,S`);
    const { manifest } = await capture(nodeFiles);
    expect(manifest).toMatchObject({
      facts: { messages: 1 },
      warnings: [{ code: "SPECIAL_FILE_LEFT_OUT", count: 1 }],
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
    const { error } = await capture({ ...nodeFiles, fstatSync: fstatSync as Files["fstatSync"] });
    expect(shortened).toBe(true);
    expect(error).toMatchObject({ code: "CAPTURE_FAILED" });
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
    const { error } = await capture({ ...nodeFiles, readSync: readSync as Files["readSync"] });
    expect(readings).toBe(2);
    expect(error).toMatchObject({ code: "CAPTURE_FAILED", retryable: true });
  });
});

test("a host none of whose mailboxes can be read has no snapshot", async () => {
  const failing = opening(() => {
    throw Object.assign(new Error("EIO: i/o error, open"), { code: "EIO", syscall: "open" });
  });
  const { manifest, error } = await capture(failing);
  expect(manifest).toBeUndefined();
  expect(error).toMatchObject({ code: "FILE_FAILED" });
});
