import { chmodSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../core/ports/clock.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { processesIn } from "../../sandbox/host/place.ts";
import { look, type Sight } from "../../sandbox/host/sight.ts";
import { nodeProcesses } from "../../shipper/processes.ts";
import { type Fault, type FaultPlan, faultPlan, withFaults } from "../fixtures/faults.ts";
import { killedAfter } from "../fixtures/killed.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { startWholeHost, type WholeHost } from "../fixtures/whole-host.ts";

/** How often each is killed; the long run does more. */
const kills = process.env.MAILARK_LONG ? 40 : 5;

let whole: WholeHost;
let before: Sight;

beforeAll(async () => {
  whole = await startWholeHost({ mailboxes: 3, messages: 8, queued: 2 });
  before = await look(whole.host, whole.addresses);
});
afterAll(() => whole.stop());

/** This process plays one that is gone: what it held as a lock would be stale. */
function releaseLocks(): void {
  rmSync(join(whole.host.directory, "mailark-state", "lock"), { force: true });
}

const verify = () => whole.mailark(["--json", "verify", "--deep", "--identity", whole.identity]);

describe("a run of all components", () => {
  const run = (plan: FaultPlan) =>
    whole.mailark(["backup"], {
      ports: {
        files: withFaults(nodeFiles, plan, "files"),
        clock: withFaults(systemClock, plan, "clock"),
        processes: withFaults(nodeProcesses, plan, "processes"),
      },
    });
  const faults: readonly ((at: number) => Fault)[] = [
    (at) => ({ at, die: "before" }),
    (at) => ({ at, die: "after" }),
    (at) => ({ at, die: "torn" }),
  ];

  test("that dies at any call leaves whole snapshots only, and the next needs no help", async () => {
    const rehearsal = faultPlan();
    expect((await run(rehearsal)).code).toBe(0);
    const calls = rehearsal.calls.length;
    for (let kill = 0; kill < kills; kill += 1) {
      const at = 1 + Math.floor(((kill + 0.5) * calls) / kills);
      const plan = faultPlan(faults[kill % faults.length]!(at));
      await run(plan);
      releaseLocks();
      const left = await verify();
      expect(left.json.findings, rehearsal.calls[at - 1]).toEqual([]);
      expect(left.code, rehearsal.calls[at - 1]).toBe(0);
    }
    expect((await whole.mailark(["backup"])).code).toBe(0);
    expect((await verify()).code).toBe(0);
    expect(await look(whole.host, whole.addresses)).toEqual({ ...before, files: expect.anything() });
  });
});

describe("a drill", () => {
  test("that is killed leaves no file and no process", async () => {
    const scratch = scratchDirectory();
    chmodSync(scratch, 0o711);
    const words = ["--config", whole.config, "drill", "--identity", whole.identity, "--scratch", scratch];
    const startedAt = performance.now();
    expect((await whole.mailark(words.slice(2))).code).toBe(3);
    const lasts = performance.now() - startedAt;
    let early = 0;
    for (let kill = 1; kill <= 3; kill += 1) {
      early += (await killedAfter((lasts * kill) / 4, words)) ? 1 : 0;
      await expect.poll(() => readdirSync(scratch), { timeout: 20_000 }).toEqual([]);
      await expect.poll(() => processesIn(scratch), { timeout: 20_000 }).toEqual([]);
    }
    expect(early).toBeGreaterThan(0);
  });
});

describe("a restore of the whole host", () => {
  test("that is killed again and again is finished by the same command", async () => {
    const { host, addresses } = whole;
    const { files } = await look(host, []);
    await whole.loseMachine();
    const words = ["--config", whole.config, "restore", "--all", ...whole.fromNothing];
    let early = 0;
    for (let kill = 1; kill <= kills; kill += 1) {
      early += (await killedAfter(400 + 400 * kill, words)) ? 1 : 0;
    }
    expect(early).toBeGreaterThan(2);
    let restored = await whole.mailark(words.slice(2));
    // What was killed while it started or stopped the services may meet them on their way.
    if (restored.code === 3) restored = await whole.mailark(words.slice(2));
    expect(restored.code, restored.stdout + restored.stderr).toBe(0);
    const after = await look(host, addresses);
    const own = Object.entries(after.files).filter(([path]) => !path.includes(".before-mailark-"));
    expect({ ...after, files: Object.fromEntries(own) }).toEqual({ ...before, files });
  });
});
