import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { newSnapshotId } from "../../../core/snapshot-id.ts";
import { commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const hour = 3600 * 1000;

/** A host whose only snapshot is five hours old. */
async function host() {
  const line = commandLine(scratchDirectory());
  makeFolder(`${line.vmail}/example.com/alice/Maildir`);
  writeFile(`${line.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  await line.init();
  const clock = { ...systemClock, now: () => Date.now() - 5 * hour };
  await line.configured(["backup"], { ports: { clock } });
  const hosts = join(line.storeDirectory, "hosts");
  const mail = join(hosts, readdirSync(hosts)[0]!, "mail");
  const snapshots = async () => {
    const { json } = await line.configured(["doctor", "store", "--json"]);
    const seen: { check: string; outcome: string; detail: string }[] = json.sections.at(-1).observations;
    return seen.filter(({ check }) => / mail$/.test(check)).map(({ outcome, detail }) => [outcome, detail]);
  };
  return { mail, snapshots };
}

const oldOne = ["fine", expect.stringMatching(/^5 h 0 min old$/)];

test("the newest snapshot is found behind any number of runs that died", async () => {
  const { mail, snapshots } = await host();
  for (let minute = 1; minute <= 25; minute += 1) {
    const died = join(mail, newSnapshotId(Date.now() - 4 * hour + minute * 60_000));
    mkdirSync(died);
    writeFileSync(join(died, "0001.pack"), "");
  }
  expect(await snapshots()).toEqual([oldOne]);
});

test("a manifest that nobody of this host signed is not taken for a snapshot, and is told", async () => {
  const { mail, snapshots } = await host();
  const own = readdirSync(mail)[0]!;
  const garbage = join(mail, newSnapshotId(Date.now() - hour));
  mkdirSync(garbage);
  writeFileSync(join(garbage, "manifest.json"), "garbage");
  cpSync(join(mail, own), join(mail, newSnapshotId(Date.now() - 2 * hour)), { recursive: true });
  expect(await snapshots()).toEqual([oldOne, ["unproven", "2 snapshots can not be believed; mailark verify says why"]]);
});
