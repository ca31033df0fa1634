import { expect, test } from "vitest";
import { hostRecordKey, requestRunKey, runKey } from "../../../core/keys.ts";
import { generateSigningKey, type Signer, signDocument, signerOf } from "../../../core/signed-document.ts";
import { noteRun } from "../../../lambdas/verify/note-run.ts";
import { memoryControlStore } from "../../fixtures/control-store.ts";
import { dayOf, enrolledHost, hostId, introducedKey } from "../../fixtures/enrolled-host.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const time = "2026-11-21T02:00:00.000Z";
const key = requestRunKey("r-1", hostId);
const failure = { code: "PROGRAM_FAILED", message: "a program failed", hint: "look" };
const mysql = { component: "mysql", startedAt: time, finishedAt: time };
const ended = { ...mysql, outcome: "complete", snapshotId: dayOf(1), kind: "full", bytesRead: 9, bytesStored: 5 };

/** An approved host, and how it tells of a run. */
async function controller() {
  const clock = setClock();
  const vault = memoryStore(clock);
  const control = memoryControlStore();
  const { signer, approval } = await enrolledHost(vault);
  control.set(hostRecordKey(hostId), approval);
  const ports = { vault, control };
  async function tell(day: number, changes: object = {}, by: Signer = signer, runId = dayOf(day)) {
    const run = {
      format: "mailark-run/1",
      hostId,
      runId: dayOf(day),
      requestId: "r-1",
      tools: {},
      components: [ended],
    };
    const document = signDocument({ ...run, startedAt: time, finishedAt: time, ...changes }, by);
    await vault.put(runKey(hostId, runId), [document]);
    return { hostId, runId };
  }
  return { ports, control, clock, tell };
}

test("what a host says of a run that it was asked for is written down for whoever asked, without its words", async () => {
  const { ports, control, tell } = await controller();
  const components = [ended, { ...mysql, component: "mail", outcome: "failed", bytesRead: 3, error: failure }];
  const noted = await noteRun(ports, await tell(1, { components }));
  expect(control.records.get(key)).toEqual(JSON.parse(JSON.stringify(noted)));
  expect(noted).toMatchObject({
    ...{ requestId: "r-1", hostId, host: "mail-1", runId: dayOf(1), receivedAt: time, finishedAt: time },
    components: [
      { component: "mysql", outcome: "complete", snapshotId: dayOf(1), kind: "full", bytesRead: 9, bytesStored: 5 },
      { component: "mail", outcome: "failed", bytesRead: 3, error: "PROGRAM_FAILED" },
    ],
  });
});

test("the run that the store received last counts, in whatever order they are told of", async () => {
  const { ports, control, clock, tell } = await controller();
  const first = await tell(2);
  clock.set("2026-11-21T03:00:00.000Z");
  const second = await tell(1);
  for (const each of [first, second, first]) await noteRun(ports, each);
  expect(control.records.get(key).runId).toBe(second.runId);
});

test.each<[string, (at: Awaited<ReturnType<typeof controller>>) => Promise<{ hostId: string; runId: string }>]>([
  ["that nobody asked for", ({ tell }) => tell(1, { requestId: undefined })],
  ["that another key signed", ({ tell }) => tell(1, {}, signerOf(generateSigningKey()))],
  [
    "that a key signed which the host enrolled by itself",
    async ({ ports, tell }) => tell(1, {}, (await introducedKey(ports.vault)).signer),
  ],
  ["that is another one's", ({ tell }) => tell(1, {}, undefined, dayOf(2))],
  ["of another host", ({ tell }) => tell(1, { hostId: "AROAEXAMPLE:i-2" })],
  ["that is none", ({ tell }) => tell(1, { components: "all" })],
])("a run %s is not written down", async (_, told) => {
  const at = await controller();
  const address = await told(at);
  expect(await noteRun(at.ports, address)).toBeUndefined();
  expect(at.ports.control.records.has(key)).toBe(false);
});

test("a run of a host that nobody approved is not written down", async () => {
  const { ports, tell } = await controller();
  const control = memoryControlStore();
  expect(await noteRun({ ...ports, control }, await tell(1))).toBeUndefined();
  expect(control.records.size).toBe(0);
});

test("while the store can not be read it is asked for again", async () => {
  const { ports, tell } = await controller();
  const address = await tell(1);
  const vault = { ...ports.vault, head: () => Promise.reject(new Error("down")) };
  await expect(noteRun({ ...ports, vault }, address)).rejects.toThrow("down");
});
