import { createHash, randomFillSync } from "node:crypto";
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { maximumSegmentBytes } from "../../core/segment.ts";
import { mailComponent } from "../../shipper/components/mail/component.ts";
import { mailConfig } from "../../shipper/components/mail/config.ts";
import { makeFolder } from "../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../fixtures/vault.ts";

let vault: Vault;
let root: string;
const component = () => mailComponent(mailConfig.parse({ root }));

beforeEach(async () => {
  vault = await createVault();
  root = `${vault.directory}/vmail`;
});
afterEach(() => vault.remove());

async function circle(): Promise<string> {
  expect((await vault.backup([component()])).exitCode).toBe(0);
  const target = `${vault.directory}/out`;
  const staged = await component().stage(
    await vault.open("mail"),
    { kind: "directory", path: target },
    {},
    vault.world(),
  );
  const checks = await component().check(staged, vault.world());
  expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
  return target;
}

test("a message of 300 MB comes back", async () => {
  makeFolder(`${root}/a.org/u/Maildir`);
  const sha256 = createHash("sha256");
  const path = `${root}/a.org/u/Maildir/cur/1.large:2,S`;
  const file = openSync(path, "w");
  const piece = Buffer.alloc(3_000_000);
  for (let number = 0; number < 100; number += 1) {
    randomFillSync(piece, 0, 1_000_000);
    sha256.update(piece);
    writeSync(file, piece);
  }
  closeSync(file);
  const target = await circle();
  const found = readFileSync(`${target}/a.org/u/Maildir/cur/1.large:2,S`);
  expect(found.length).toBe(300_000_000);
  expect(createHash("sha256").update(found).digest("hex")).toBe(sha256.digest("hex"));
  const { parts, packs } = (await vault.open("mail")).manifest;
  expect(parts.map(({ name }) => name)).toEqual(["mailboxes"]);
  expect(packs.length).toBeGreaterThan(1);
});

test("a mailbox whose index is larger than a segment comes back, and an empty one beside it", async () => {
  const maildir = `${root}/a.org/many/Maildir`;
  makeFolder(maildir);
  makeFolder(`${root}/a.org/none/Maildir`);
  const messages = process.env.MAILARK_LONG ? 100_000 : 30_000;
  // Nearly as long as a name may be, so that few messages have a large index.
  const host = `mx.${"example-".repeat(26)}`;
  const nameOf = (number: number) => `${1_700_000_000 + number}.M${number}P1.${host},S=30:2,S`;
  // A row has the name and a hash of 64 digits.
  expect(messages * (nameOf(0).length + 64)).toBeGreaterThan(maximumSegmentBytes);
  for (let number = 0; number < messages; number += 1) {
    writeFileSync(`${maildir}/cur/${nameOf(number)}`, `Subject: ${number}\r\n\r\nsmall\r\n`);
  }
  const target = await circle();
  const restored = `${target}/a.org/many/Maildir/cur`;
  const names = readdirSync(restored);
  expect(names.length).toBe(messages);
  expect(names.sort()).toEqual(readdirSync(`${maildir}/cur`).sort());
  for (const name of [nameOf(0), nameOf(messages - 1)]) {
    expect(readFileSync(`${restored}/${name}`)).toEqual(readFileSync(`${maildir}/cur/${name}`));
    expect(lstatSync(`${restored}/${name}`).mtimeMs).toBe(Math.floor(lstatSync(`${maildir}/cur/${name}`).mtimeMs));
  }
  expect(readdirSync(`${target}/a.org/none/Maildir/cur`)).toEqual([]);
});

test("a mail root without any mailbox is no success: it may not be mounted", async () => {
  mkdirSync(root);
  const { exitCode, outcomes } = await vault.backup([component()]);
  expect(exitCode).toBe(1);
  expect(outcomes[0]?.error).toMatchObject({ code: "CAPTURE_FAILED", detail: root });
});
