import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTrust } from "../../core/enrolment.ts";
import { readInventory } from "../../core/inventory.ts";
import { manifestKey } from "../../core/keys.ts";
import { carryOut, planPrune } from "../../core/prune.ts";
import { verifyHost } from "../../core/verify-host.ts";
import { mailComponent } from "../../shipper/components/mail/component.ts";
import { mailConfig } from "../../shipper/components/mail/config.ts";
import { rowOf } from "../../shipper/components/mail/index-rows.ts";
import { examine } from "../../shipper/examine.ts";
import { addIncremental, sha256Of } from "../fixtures/incremental.ts";
import { leftOutOfSnapshots, makeFolder, makeOddMailboxes, treeOf } from "../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../fixtures/vault.ts";

let vault: Vault;
let root: string;
const component = () => mailComponent(mailConfig.parse({ root }));
const added = Buffer.from("Subject: arrived after the full\r\n\r\nhello\r\n");

beforeAll(async () => {
  vault = await createVault();
  root = `${vault.directory}/vmail`;
  makeOddMailboxes(root);
  makeFolder(`${root}/example.net/gone/Maildir`);
  expect((await vault.backup([component()])).exitCode).toBe(0);
  await addIncremental(vault, {
    "example.net/gone": "gone",
    "example.com/alice": {
      contents: new Map([[sha256Of(added), added]]),
      rows(index, archive) {
        const messages = [...index.messages.values()];
        const [expunged, flagged, moved] = messages.filter(({ folder }) => folder === "Maildir");
        const message = { state: "new" as const, info: "", base: "8.late", mode: 0o600, bytes: added.length };
        return [
          rowOf.delete("Maildir", expunged!.base),
          rowOf.put({ ...flagged!, info: ":2,FRS" }),
          rowOf.delete("Maildir", moved!.base),
          rowOf.folder("Maildir/.Later", 0o700),
          rowOf.put({ ...moved!, folder: "Maildir/.Later" }),
          rowOf.put({
            ...message,
            folder: "Maildir/.Later",
            modified: "1700000000.5",
            sha256: sha256Of(added),
            archive,
          }),
          rowOf.remove("Maildir/.Sent"),
          rowOf.remove("Maildir/subscriptions"),
          rowOf.directory("Maildir/subscriptions", 0o700),
          "a-row-of-the-future\twith\tfields\n",
        ];
      },
    },
  });
});
afterAll(() => vault.remove());

/** The mailbox as mailark brings it back from the newest snapshot. */
async function staged(
  target: string,
  moment: Parameters<Vault["open"]>[1] = "latest",
): Promise<Record<string, string>> {
  const snapshot = await vault.open("mail", moment);
  const place = { kind: "directory" as const, path: target };
  const { mailboxes } = await component().stage(snapshot, place, {}, vault.world());
  expect(mailboxes.length).toBeGreaterThan(0);
  return treeOf(target);
}

test("a snapshot that builds on an older one is whole, and every byte that it needs can be read", async () => {
  const { snapshots, others } = await verifyHost(
    vault.store,
    vault.hostId,
    await readTrust(vault.store, vault.hostId, undefined),
  );
  expect(others).toEqual([]);
  expect(snapshots.map(({ entry, findings }) => [entry.manifest?.kind, findings])).toEqual([
    ["full", []],
    ["incremental", []],
  ]);
  expect(await examine(component(), await vault.open("mail"), vault.world())).toEqual([]);
});

test("flag changes, moves, expunges, new mail and removed folders since the full are there", async () => {
  const tree = await staged(`${vault.directory}/own`);
  const names = Object.keys(tree).filter((path) => path.startsWith("example.com/alice/"));
  expect(names.some((path) => path.includes("/.Sent"))).toBe(false);
  expect(names.filter((path) => /\.Later\/(cur|new)\/./.test(path))).toHaveLength(2);
  expect(names.filter((path) => path.endsWith(":2,FRS"))).toHaveLength(1);
  expect(tree["example.com/alice/Maildir/.Later/new/8.late"]).toContain(sha256Of(added));
  expect(tree["example.com/alice/Maildir/subscriptions"]).toMatch(/^directory/);
  expect(Object.keys(tree).some((path) => path.startsWith("example.net"))).toBe(false);
});

test("the full that it builds on is still what it was", async () => {
  const { snapshots } = await verifyHost(
    vault.store,
    vault.hostId,
    await readTrust(vault.store, vault.hostId, undefined),
  );
  const { snapshotId } = snapshots[0]!.entry.address;
  const tree = await staged(`${vault.directory}/full`, { snapshotId });
  const expected = Object.keys(treeOf(root, leftOutOfSnapshots)).filter((path) => !path.includes("9.same"));
  expect(
    Object.keys(tree)
      .filter((path) => !path.includes("9.same"))
      .sort(),
  ).toEqual(expected.sort());
});

describe("readers that are not ours agree", () => {
  test("restore.sh", async () => {
    const own = await staged(`${vault.directory}/own-for-script`);
    const glass = join(vault.storeDirectory, "hosts", vault.hostId, "break-glass");
    const target = `${vault.directory}/glass`;
    const script = join(glass, readdirSync(glass)[0]!, "restore.sh");
    execFileSync("sh", [script, vault.storeDirectory, vault.hostId, "mail", "latest", vault.identityFile, target]);
    const below = (tree: Record<string, string>) =>
      Object.fromEntries(Object.entries(tree).filter(([path]) => path.split("/").length > 2));
    expect(below(treeOf(target))).toEqual(below(own));
  });

  test.each(["example.com/alice", "example.com/bob%20b%FF", "example.com/empty", "example.org/nothing"])(
    "the reader that was written in Python from docs/format.md alone: %s",
    async (mailbox) => {
      const name = mailbox.replace(/\W/g, "-");
      const own = await staged(`${vault.directory}/own-${name}`);
      const target = `${vault.directory}/python-${name}`;
      const reader = new URL("../reader/read_mailbox.py", import.meta.url).pathname;
      const args = [
        reader,
        "--chown",
        vault.storeDirectory,
        vault.hostId,
        "latest",
        vault.identityFile,
        mailbox,
        target,
      ];
      const summary = JSON.parse(execFileSync("python3", args, { encoding: "utf8" }));
      const path = mailbox.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
      const expected = Object.fromEntries(
        Object.entries(own).flatMap(([name, line]) =>
          name === path ? [[".", line]] : name.startsWith(`${path}/`) ? [[name.slice(path.length + 1), line]] : [],
        ),
      );
      expect(treeOf(target)).toEqual(expected);
      expect(summary.messages).toBe(Object.keys(expected).filter((file) => /\/(cur|new)\/./.test(file)).length);
    },
  );
});

test("it is brought back as before when the one that it was built on has expired", async () => {
  const before = await staged(join(vault.directory, "before"));
  const signal = new AbortController().signal;
  const inventory = await readInventory(vault.store, vault.hostId, vault.trusted, { signal });
  const now = Date.now() + 30 * 24 * 3_600_000;
  const held = inventory.snapshots.map(({ snapshotId }) => snapshotId).toSorted()[1]!;
  const full = inventory.snapshots.find(({ snapshotId }) => snapshotId !== held)!;
  // Both came within the same minute: as a snapshot of long ago, the older one is out of every rule.
  const snapshots = inventory.snapshots.map((each) => (each === full ? { ...each, receivedAt: 0 } : each));
  const plan = planPrune({ ...inventory, snapshots }, { keepLast: 1, maximumExpireShare: 1 }, { now });
  await carryOut(plan, vault.store, vault.store, { signal });
  expect(await vault.store.head(manifestKey(full))).toBeUndefined();
  expect(await staged(join(vault.directory, "after"))).toEqual(before);
});
