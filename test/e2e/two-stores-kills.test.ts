import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { fileStore } from "../../core/stores/file.ts";
import type { Composition } from "../../shipper/composition.ts";
import { type Circumstances, type CommandLine, commandLine } from "../fixtures/command-line.ts";
import { type Fault, type FaultPlan, faultPlan, withFaults } from "../fixtures/faults.ts";
import { makeFolder, writeFile } from "../fixtures/mailboxes.ts";
import { ownDirectory } from "../fixtures/scratch.ts";
import { contentsOf } from "../fixtures/vault.ts";

/** So many points of a run are tried in each way of failing, spread over it. */
const points = process.env.MAILARK_LONG ? 400 : 5;
const spread = (calls: readonly number[]) =>
  calls.filter(
    (_, index) => Math.floor((index * points) / calls.length) !== Math.floor(((index - 1) * points) / calls.length),
  );

const { path, remove } = ownDirectory();
let host: CommandLine;
const urls = () => [host.store, `file://${join(path, "second")}`] as const;
const places = ["store", "second", "state"];

/** A host with two stores, of which the second lacks one run and has one that it began. */
beforeAll(async () => {
  host = commandLine(path);
  for (const name of ["alice", "bob"]) {
    makeFolder(`${host.vmail}/example.com/${name}/Maildir`);
    writeFile(`${host.vmail}/example.com/${name}/Maildir/cur/1.${name}:2,S`, `Subject: ${name}\r\n\r\none`);
  }
  await host.init();
  host.edit((text) =>
    `${text}  certs:\n    paths: [${join(path, "certificates")}]\n`.replace(
      /^store:.*$/m,
      `stores: [${urls().join(", ")}]`,
    ),
  );
  writeFile(join(path, "certificates/one.pem"), "certificate");
  expect(await host.configured(["enrol"])).toMatchObject({ code: 0 });
  expect(await host.configured(["backup"])).toMatchObject({ code: 0 });
  expect(
    await host.configured(["backup"], atStore(1, faultPlan({ at: 9, throw: down(), always: true }))),
  ).toMatchObject({
    code: 3,
  });
  mkdirSync(join(path, "pristine"));
  for (const place of places) cpSync(join(path, place), join(path, "pristine", place), { recursive: true });
});
afterAll(remove);

const down = () => new MailarkError("STORE_UNREACHABLE", "the store does not answer", { retryable: true });

function restock() {
  for (const place of places) {
    rmSync(join(path, place), { recursive: true, force: true });
    cpSync(join(path, "pristine", place), join(path, place), { recursive: true });
  }
}

/** Faults of one of the stores alone. */
function atStore(number: 0 | 1, plan: FaultPlan): Circumstances {
  return {
    wrap: (composition: Composition) => ({
      ...composition,
      openStore: (url, options) => {
        const store = composition.openStore(url, options);
        return url === urls()[number] ? withFaults(store, plan, "store") : store;
      },
    }),
  };
}

const contents = () =>
  Promise.all(
    ["store", "second"].map(async (place) => {
      const all = await contentsOf(fileStore(join(path, place), { files: nodeFiles, clock: systemClock }));
      return Object.fromEntries(Object.entries(all).filter(([key]) => !key.includes("/enrol/")));
    }),
  );
const outcomes = (objects: Record<string, string>) =>
  Object.entries(objects).filter(([key]) => /manifest\.json$|\/runs\//.test(key));

/** Nothing is listed in either store that is not whole, and what was there is there. */
async function expectWhole(before: readonly Record<string, string>[], place: string): Promise<void> {
  for (const url of urls()) {
    const said = await host.configured(["verify", "--store", url, "--json"]);
    expect({ place, url, ...said.json, snapshots: [] }).toMatchObject({ exitCode: 0, findings: [] });
  }
  const after = await contents();
  for (const [index, objects] of before.entries()) expect(after[index], place).toMatchObject(objects);
}

/** One more run, without a fault, brings both stores to the same. */
async function expectRecovery(place: string): Promise<void> {
  const before = await contents();
  const said = await host.configured(["backup", "--json"]);
  expect({ place, ...said.json }).toMatchObject({ exitCode: 0 });
  await expectWhole(before, place);
  const [first, second] = await contents();
  expect(outcomes(second!), place).toEqual(outcomes(first!));
  // A run that was killed leaves objects that nothing refers to in either; what is referred to was verified.
  expect(readdirSync(join(path, "state")), place).not.toContain("lock");
}

test.each<[string, (at: number) => Fault]>([
  ["before a call", (at) => ({ at, die: "before" })],
  ["after a call", (at) => ({ at, die: "after" })],
])(
  "a run with two stores that dies %s leaves whole snapshots in both, and the next one brings them to the same",
  async (_, fault) => {
    restock();
    const before = await contents();
    const run = (plan: FaultPlan) =>
      host.configured(["backup"], { ports: { files: withFaults(nodeFiles, plan, "files") } });
    const rehearsal = faultPlan();
    expect(await run(rehearsal)).toMatchObject({ code: 0, stdout: expect.stringContaining("got what it had missed") });
    // What makes a name changes most.
    const naming = rehearsal.calls.flatMap((call, index) => (/linkSync|renameSync/.test(call) ? [index + 1] : []));
    expect(naming.length).toBeGreaterThan(points);
    const at = [...spread(naming), ...spread(rehearsal.calls.map((_, index) => index + 1))];
    for (const point of at) {
      restock();
      const plan = faultPlan(fault(point));
      await run(plan);
      expect(plan.struck).toBe(true);
      // The kernel knows that its holder is gone; here it is this very process.
      rmSync(join(path, "state/lock"), { force: true });
      const place = `${point} ${rehearsal.calls[point - 1]}`;
      await expectWhole(before, place);
      await expectRecovery(place);
    }
  },
);

test.each<[string, 0 | 1, (at: number) => Fault]>([
  ["first fails at one call", 0, (at) => ({ at, throw: down() })],
  ["second fails at one call", 1, (at) => ({ at, throw: down() })],
  ["first takes something and says that it failed", 0, (at) => ({ at, throw: down(), after: true })],
  ["second takes something and says that it failed", 1, (at) => ({ at, throw: down(), after: true })],
  ["first fails from one call on", 0, (at) => ({ at, throw: down(), always: true })],
  ["second fails from one call on", 1, (at) => ({ at, throw: down(), always: true })],
])("wherever the %s, the other gets the run, and the next run brings both to the same", async (_, number, fault) => {
  restock();
  const before = await contents();
  const rehearsal = faultPlan();
  expect(await host.configured(["backup"], atStore(number, rehearsal))).toMatchObject({ code: 0 });
  expect(rehearsal.calls.length).toBeGreaterThan(15);
  for (const at of spread(rehearsal.calls.map((_, index) => index + 1))) {
    restock();
    const place = `${at} ${rehearsal.calls[at - 1]}`;
    const said = await host.configured(["backup", "--json"], atStore(number, faultPlan(fault(at))));
    // What fails where nothing depends on it, such as a look for snapshots of the future, is no loss.
    expect([0, 3], `${place}: ${said.stdout}`).toContain(said.code);
    expect(
      said.json.components.map(({ outcome }: { outcome: string }) => outcome),
      place,
    ).toEqual(["complete", "complete"]);
    await expectWhole(before, place);
    await expectRecovery(place);
  }
});
