/** What a host that may only create knows of its stores by itself. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { exitCodes, MailarkError } from "../../../core/errors.ts";
import type { Store } from "../../../shipper/composition.ts";
import { changedStores } from "../../fixtures/changed-stores.ts";
import { commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

async function host(stores: readonly string[]) {
  const directory = scratchDirectory();
  const line = commandLine(directory);
  makeFolder(`${line.vmail}/example.com/alice/Maildir`);
  writeFile(`${line.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  await line.initInto(stores.map((name) => `file://${join(directory, name)}`));
  return line;
}

/** Changes the stores whose URL ends so. */
const changing = (end: string, change: Partial<Store>) => changedStores((_, url) => (url.endsWith(end) ? change : {}));

const refused = () => {
  throw new MailarkError("STORE_FORBIDDEN", "the store refuses to list");
};

test("room for a run is unproven before the first, and then what this machine remembers of the last", async () => {
  const line = await host(["store"]);
  const space = async () => {
    const { json } = await line.configured(["doctor", "store", "--json"], changing("store", { list: refused }));
    return json.sections[1].observations.find(({ check }: { check: string }) => check === "space");
  };
  expect(await space()).toMatchObject({ outcome: "unproven", detail: expect.stringMatching(/first backup$/) });
  await line.configured(["backup"]);
  expect(await space()).toMatchObject({ outcome: "fine", detail: expect.stringMatching(/takes [1-9]/) });
});

test("a store that missed the last backup is not said to have it", async () => {
  const line = await host(["first", "second"]);
  const put = async () => {
    throw new MailarkError("STORE_UNREACHABLE", "the disk is away");
  };
  const { code } = await line.configured(["backup"], changing("second", { put }));
  expect(code).toBe(exitCodes.partial);
  const { json } = await line.configured(["doctor", "store", "--json"], changing("", { list: refused }));
  const newest = (index: number) =>
    json.sections[index].observations.find(({ check }: { check: string }) => check === "newest mail");
  expect(newest(1)).toMatchObject({ outcome: "fine" });
  expect(newest(2)).toMatchObject({ code: "SNAPSHOT_OLD" });
});
