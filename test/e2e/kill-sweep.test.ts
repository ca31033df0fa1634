import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { listSnapshots } from "../../core/catalog.ts";
import { readTrust } from "../../core/enrolment.ts";
import { Keyring } from "../../core/keyring.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { SnapshotReader } from "../../core/snapshot-reader.ts";
import { verifyHost } from "../../core/verify-host.ts";
import { type SandboxHost, startHost } from "../../sandbox/host/host.ts";
import type { Component } from "../../shipper/components/component.ts";
import { examine } from "../../shipper/examine.ts";
import { nodeProcesses } from "../../shipper/processes.ts";
import { fillAgency } from "../fixtures/agency.ts";
import { type Fault, type FaultPlan, faultPlan, withFaults } from "../fixtures/faults.ts";
import { createVault, type Vault } from "../fixtures/vault.ts";

/** How many points of a run are tried in each way of dying. */
const points = process.env.MAILARK_LONG ? 40 : 8;

let host: SandboxHost;
let components: readonly Component[];
let vault: Vault;

beforeAll(async () => {
  host = await startHost({ services: ["mariadb"] });
  components = await fillAgency(host, { mailboxes: 3, messages: 4 });
});
afterAll(() => host.stop());
beforeEach(async () => {
  vault = await createVault();
});
afterEach(() => vault.remove());

const run = (plan: FaultPlan) =>
  vault.backup(components, {
    files: withFaults(nodeFiles, plan, "files"),
    clock: withFaults(systemClock, plan, "clock"),
    processes: withFaults(nodeProcesses, plan, "processes"),
    wrap: (store) => withFaults(store, plan, "store"),
  });

/** Only whole snapshots are listed, and all of them can be read to the last byte. */
async function expectWholeSnapshots(): Promise<number> {
  const { snapshots, others } = await verifyHost(
    vault.store,
    vault.hostId,
    await readTrust(vault.store, vault.hostId, undefined),
  );
  expect(others).toEqual([]);
  const keyring = new Keyring(vault.store, vault.hostId, [vault.identity]);
  for (const { entry, findings } of snapshots) {
    expect(findings).toEqual([]);
    const component = components.find(({ name }) => name === entry.address.component)!;
    expect(await examine(component, new SnapshotReader(entry.manifest!, vault.store, keyring), vault.world())).toEqual(
      [],
    );
  }
  return snapshots.length;
}

test.each<[string, (at: number) => Fault]>([
  ["before a call", (at) => ({ at, die: "before" })],
  ["after a call", (at) => ({ at, die: "after" })],
  ["in the middle of a write", (at) => ({ at, die: "torn" })],
])("a run that dies %s leaves whole snapshots only, and the next run succeeds without help", async (_, fault) => {
  const rehearsal = faultPlan();
  expect((await run(rehearsal)).exitCode).toBe(0);
  const calls = rehearsal.calls.length;
  expect(calls).toBeGreaterThan(points);
  let struck = 0;
  for (let point = 0; point < points; point += 1) {
    vault.remove();
    vault = await createVault();
    const plan = faultPlan(fault(1 + Math.floor(((point + 0.5) * calls) / points)));
    await run(plan).catch(() => {});
    struck += plan.struck ? 1 : 0;
    const left = await expectWholeSnapshots();
    expect((await vault.backup(components)).exitCode).toBe(0);
    expect(await expectWholeSnapshots()).toBe(left + components.length);
  }
  expect(struck).toBeGreaterThan(points / 2);
});

test("a failure of any kind of call fails its component with a clear error, and not the run before it", async () => {
  const rehearsal = faultPlan();
  await run(rehearsal);
  const kinds = [...new Set(rehearsal.calls)];
  expect(kinds.length).toBeGreaterThan(8);
  for (const kind of kinds) {
    vault.remove();
    vault = await createVault();
    const at = rehearsal.calls.lastIndexOf(kind) + 1;
    const error = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC", syscall: "write" });
    const plan = faultPlan({ at, throw: error });
    const result = await run(plan).catch((thrown) => thrown);
    expect(result, kind).toBeDefined();
    await expectWholeSnapshots();
    expect((await vault.backup(components)).exitCode, kind).toBe(0);
  }
});

test("the store lists no snapshot whose run was killed before its manifest", async () => {
  const rehearsal = faultPlan();
  await run(rehearsal);
  const manifests = rehearsal.calls.flatMap((call, index) => (call === "store.put" ? [index + 1] : []));
  vault.remove();
  vault = await createVault();
  await run(faultPlan({ at: manifests.at(-2)!, die: "before" })).catch(() => {});
  const listed = [];
  for await (const entry of listSnapshots(vault.store, vault.hostId, vault.trusted))
    listed.push(entry.address.component);
  expect(listed).toEqual(["mysql"]);
});
