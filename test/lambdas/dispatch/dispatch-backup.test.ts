import { describe, expect, test } from "vitest";
import { type ComponentName, dispatchKey, latestKey } from "../../../core/keys.ts";
import { type DispatchRequest, dispatchBackup } from "../../../lambdas/dispatch/dispatch-backup.ts";
import type { Parameters } from "../../../lambdas/dispatch/fleet.ts";
import { memoryControlStore } from "../../fixtures/control-store.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const snapshot = (day: number) => `202611${String(day).padStart(2, "0")}T020000.000Z-k3m9x2qa7b`;
const request: DispatchRequest = {
  requestId: "schedule-1",
  requestedBy: "schedule",
  tier: "databases",
  components: ["mysql", "postgres"],
};

function fleetOf(...ids: string[]) {
  const started: { machines: readonly string[]; parameters: Parameters }[] = [];
  const running = new Set<string>();
  const control = memoryControlStore();
  let failAfter = Number.POSITIVE_INFINITY;
  const ports = {
    control,
    clock: setClock(),
    fleet: {
      machines: async () => ids.map((id) => ({ id, online: true })),
      running: async () => new Set(running),
      async start(machines: readonly string[], parameters: Parameters) {
        if (started.length >= failAfter) throw new Error("throttled");
        started.push({ machines, parameters });
        for (const machine of machines) running.add(machine);
        return `command-${started.length}`;
      },
    },
  };
  const good = (hostId: string, component: ComponentName, day: number, receivedDay = day) =>
    control.set(latestKey(hostId, component), {
      format: "mailark-latest/1",
      hostId,
      component,
      good: [
        {
          snapshotId: snapshot(day),
          receivedAt: new Date(Date.UTC(2026, 10, receivedDay)).toISOString(),
          cutAt: "2026-11-01T00:00:00.000Z",
          bytes: 1,
          facts: {},
        },
      ],
    });
  return {
    ports,
    started,
    running,
    good,
    failAfter: (count: number) => {
      failAfter = count;
    },
  };
}

describe("a backup that is due", () => {
  test("starts on every machine of the fleet, in one command where all are told the same", async () => {
    const { ports, started } = fleetOf("i-1", "mi-2");
    const record = await dispatchBackup(ports, request);
    expect(started).toEqual([
      { machines: ["i-1", "mi-2"], parameters: { Components: "mysql postgres", Base: "", RequestId: "schedule-1" } },
    ]);
    expect(ports.control.records.get(dispatchKey("schedule-1"))).toEqual(record);
    expect(record).toMatchObject({ requestedBy: "schedule", tier: "databases", skipped: [] });
  });

  test("tells each host what is known to be intact of the components that it captures", async () => {
    const { ports, started, good } = fleetOf("i-1", "mi-2");
    good("AROA:i-1", "postgres", 3);
    good("AROA:i-1", "mysql", 2);
    good("AROA:i-1", "mail", 4);
    good("AROA:i-11", "mysql", 5);
    await dispatchBackup(ports, request);
    expect(started.map(({ machines, parameters }) => [...machines, parameters.Base])).toEqual([
      ["i-1", `mysql=${snapshot(2)} postgres=${snapshot(3)}`],
      ["mi-2", ""],
    ]);
  });

  test("takes the newest receipt of a machine that has stored under two ids", async () => {
    const { ports, started, good } = fleetOf("i-1");
    good("AROAOLD:i-1", "mysql", 28, 1);
    good("AROANEW:i-1", "mysql", 2);
    await dispatchBackup(ports, request);
    expect(started[0]!.parameters.Base).toBe(`mysql=${snapshot(2)}`);
  });

  test("names at most 50 machines in a command", async () => {
    const { ports, started } = fleetOf(...Array.from({ length: 120 }, (_, index) => `i-${index}`));
    await dispatchBackup(ports, request);
    expect(started.map(({ machines }) => machines.length)).toEqual([50, 50, 20]);
  });

  test("passes over a machine where one runs already, and says so", async () => {
    const { ports, started, running } = fleetOf("i-1", "i-2");
    running.add("i-1");
    const { skipped } = await dispatchBackup(ports, request);
    expect(started.map(({ machines }) => machines)).toEqual([["i-2"]]);
    expect(skipped).toEqual([{ machine: "i-1", reason: "a backup runs there already" }]);
  });
});

describe("a request that comes again", () => {
  test("starts nothing, and gets the answer of the first time", async () => {
    const { ports, started, running } = fleetOf("i-1");
    const first = await dispatchBackup(ports, request);
    running.clear();
    expect(await dispatchBackup(ports, request)).toEqual(first);
    expect(started).toHaveLength(1);
  });

  test("after a failure in the middle starts what was not started", async () => {
    const { ports, started, good, failAfter } = fleetOf("i-1", "i-2");
    good("AROA:i-1", "mysql", 2);
    failAfter(1);
    await expect(dispatchBackup(ports, request)).rejects.toThrow("throttled");
    expect(ports.control.records.has(dispatchKey("schedule-1"))).toBe(false);
    failAfter(9);
    await dispatchBackup(ports, request);
    expect(started.flatMap(({ machines }) => machines).sort()).toEqual(["i-1", "i-2"]);
  });
});
