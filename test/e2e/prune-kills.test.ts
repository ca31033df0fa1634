import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { manifestKey } from "../../core/keys.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import type { Composition } from "../../shipper/composition.ts";
import { type CommandLine, commandLine } from "../fixtures/command-line.ts";
import { datedStore } from "../fixtures/dated-store.ts";
import { errnoError, type Fault, type FaultPlan, faultPlan, withFaults } from "../fixtures/faults.ts";
import { type PaperHost, paperHost, type Written } from "../fixtures/paper-host.ts";
import { ownDirectory } from "../fixtures/scratch.ts";
import { type SetClock, setClock } from "../fixtures/set-clock.ts";
import { contentsOf } from "../fixtures/vault.ts";

/** Of the calls that only read, one in so many; those that erase are tried all. */
const stride = process.env.MAILARK_LONG ? 1 : 12;
const day = 24 * 3_600_000;

const { path, remove } = ownDirectory();
let machine: CommandLine;
let clock: SetClock;
let host: PaperHost;
let kept: Written[];
beforeAll(async () => {
  machine = commandLine(path);
  clock = setClock("2026-06-01T02:00:00.000Z");
  const store = datedStore(join(path, "pristine"), clock);
  host = paperHost(store, clock);
  await host.enrol();
  await host.run({ unfinished: true });
  let mail = await host.run({ packs: 2 });
  for (let number = 0; number < 5; number += 1) {
    // What the last pass would erase is old enough for the next one to take it as left over.
    clock.set(clock.now() + (number < 4 ? 5 : 20) * day);
    mail = await host.run(number === 3 ? { packs: 2 } : { base: mail });
    if (number % 2 === 0) await host.run({ component: "mysql" });
  }
  kept = [mail];
});
afterAll(remove);

const store = () => datedStore(machine.storeDirectory, clock);
function restock() {
  rmSync(machine.storeDirectory, { recursive: true, force: true });
  cpSync(join(path, "pristine"), machine.storeDirectory, { recursive: true, preserveTimestamps: true });
}
const words = () => ["--store", machine.store, "--fingerprint", host.trusted[0]!.fingerprint];
const rules = ["--keep-last", "1", "--maximum-expire-share", "1", "--delete"];
const prune = (plan?: FaultPlan) =>
  machine.mailark(["prune", ...words(), ...rules, "--json"], {
    ports: { clock, ...(plan && { files: withFaults(nodeFiles, plan, "files") }) },
    wrap: (composition: Composition) => ({
      ...composition,
      ...(plan && { openEraser: (url: string) => withFaults(composition.openEraser(url), plan, "eraser") }),
    }),
  });

/** What pruning once, without a fault, leaves. */
async function ideal() {
  restock();
  expect((await prune()).code).toBe(0);
  return contentsOf(store());
}

/** The calls at which a fault is tried. */
async function places(): Promise<number[]> {
  restock();
  const plan = faultPlan();
  expect((await prune(plan)).code).toBe(0);
  const erasing = /unlinkSync|eraser/;
  expect(plan.calls.filter((call) => erasing.test(call)).length).toBeGreaterThan(20);
  return plan.calls.flatMap((call, index) => (erasing.test(call) || index % stride === 0 ? [index + 1] : []));
}

async function expectWhole(place: string) {
  const said = await machine.mailark(["verify", ...words(), "--json"]);
  expect({ place, ...said.json, snapshots: [] }).toMatchObject({ exitCode: 0, findings: [] });
  for (const { component, snapshotId } of kept) {
    const key = manifestKey({ hostId: host.hostId, component, snapshotId });
    expect(await store().head(key), place).toBeDefined();
  }
}

test.each<[string, (at: number) => Fault]>([
  ["before a call", (at) => ({ at, die: "before" })],
  ["after a call", (at) => ({ at, die: "after" })],
])("a pass that dies %s leaves whole snapshots, and the next one ends where it would have ended", async (_, fault) => {
  const left = await ideal();
  for (const at of await places()) {
    restock();
    const plan = faultPlan(fault(at));
    const said = await prune(plan);
    expect(said.code, `${at}`).not.toBe(0);
    await expectWhole(`${at}: ${plan.calls[at - 1]}`);
    expect((await prune()).code).toBe(0);
    expect(await contentsOf(store())).toEqual(left);
  }
});

test.each<[string, (at: number) => Fault]>([
  ["the disk fails", (at) => ({ at, throw: errnoError("EIO", "unlink") })],
  ["the right to erase is withdrawn", (at) => ({ at, throw: errnoError("EACCES", "unlink"), always: true })],
  [
    "the store forbids it",
    (at) => ({ at, throw: new MailarkError("STORE_FORBIDDEN", "the store refuses this request"), always: true }),
  ],
])("where %s in the middle, the pass says so, leaves whole snapshots, and the next one finishes", async (_, fault) => {
  const left = await ideal();
  for (const at of await places()) {
    restock();
    const plan = faultPlan(fault(at));
    const said = await prune(plan);
    if (said.code !== 0) expect(said.json.error.message, plan.calls[at - 1]).toMatch(/EIO|EACCES|refuses/);
    await expectWhole(`${at}: ${plan.calls[at - 1]}`);
    expect((await prune()).code).toBe(0);
    expect(await contentsOf(store())).toEqual(left);
  }
});
