import { describe, expect, test } from "vitest";
import { type ComponentName, dispatchKey, latestKey } from "../../../core/keys.ts";
import type { ControlStore } from "../../../lambdas/control/control-store.ts";
import { claim, settle } from "../../../lambdas/dispatch/claim.ts";
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

const time = { endsAt: Date.parse("2026-11-21T02:05:00.000Z") };

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
          kind: "full",
          bytesStored: 1,
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
    const { record } = await dispatchBackup(ports, request, time);
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
    await dispatchBackup(ports, request, time);
    expect(started.map(({ machines, parameters }) => [...machines, parameters.Base])).toEqual([
      ["i-1", `mysql=${snapshot(2)} postgres=${snapshot(3)}`],
      ["mi-2", ""],
    ]);
  });

  test("takes the newest receipt of a machine that has stored under two ids", async () => {
    const { ports, started, good } = fleetOf("i-1");
    good("AROAOLD:i-1", "mysql", 28, 1);
    good("AROANEW:i-1", "mysql", 2);
    await dispatchBackup(ports, request, time);
    expect(started[0]!.parameters.Base).toBe(`mysql=${snapshot(2)}`);
  });

  test("names at most 50 machines in a command", async () => {
    const { ports, started } = fleetOf(...Array.from({ length: 120 }, (_, index) => `i-${index}`));
    await dispatchBackup(ports, request, time);
    expect(started.map(({ machines }) => machines.length)).toEqual([50, 50, 20]);
  });

  test("passes over a machine where one runs already, and says so", async () => {
    const { ports, started, running } = fleetOf("i-1", "i-2");
    running.add("i-1");
    const { skipped } = (await dispatchBackup(ports, request, time)).record;
    expect(started.map(({ machines }) => machines)).toEqual([["i-2"]]);
    expect(skipped).toEqual([{ machine: "i-1", reason: "a backup runs there already" }]);
  });
});

describe("a request that comes again", () => {
  test("starts nothing, and gets the answer of the first time", async () => {
    const { ports, started, running } = fleetOf("i-1");
    const first = await dispatchBackup(ports, request, time);
    running.clear();
    expect(await dispatchBackup(ports, request, time)).toEqual({ ...first, now: false });
    expect(started).toHaveLength(1);
  });

  test("at the same time starts nothing either, and waits for that answer", async () => {
    const { ports, started } = fleetOf("i-1", "i-2");
    const answers = await Promise.all(Array.from({ length: 5 }, () => dispatchBackup(ports, request, time)));
    expect(started.map(({ machines }) => machines)).toEqual([["i-1", "i-2"]]);
    expect(answers.filter(({ now }) => now)).toHaveLength(1);
    expect(new Set(answers.map(({ record }) => JSON.stringify(record))).size).toBe(1);
  });

  test("after a failure in the middle starts what was not started, of what was asked for first", async () => {
    const { ports, started, running, good, failAfter } = fleetOf("i-1", "i-2");
    good("AROA:i-1", "mysql", 2);
    failAfter(1);
    await expect(dispatchBackup(ports, request, time)).rejects.toThrow("throttled");
    running.clear();
    failAfter(9);
    const { record } = await dispatchBackup(ports, { ...request, components: ["mail"] }, time);
    expect(started.flatMap(({ machines }) => machines)).toEqual(["i-1", "i-2"]);
    expect(started.map(({ parameters }) => parameters.Components)).toEqual(["mysql postgres", "mysql postgres"]);
    expect(record).toMatchObject({ components: ["mysql", "postgres"], skipped: [] });
    expect(record.commands.flatMap(({ machines }) => machines)).toEqual(["i-1", "i-2"]);
  });

  test("after the one before was ended goes on when its time is up, and not earlier", async () => {
    const { ports, started } = fleetOf("i-1");
    const { control, clock } = ports;
    await claim(ports, { ...request, components: ["mysql"] }, time.endsAt);
    await dispatchBackup(ports, request, { endsAt: time.endsAt + 60_000 });
    expect(clock.now()).toBeGreaterThanOrEqual(time.endsAt);
    expect(started).toHaveLength(1);
    expect(control.records.get(dispatchKey("schedule-1"))).not.toHaveProperty("claim");
  });

  test("while it may not wait any longer fails, and leaves it to the next attempt", async () => {
    const { ports, started } = fleetOf("i-1");
    await claim(ports, { ...request, components: ["mysql"] }, time.endsAt);
    const signal = AbortSignal.abort(new Error("time is up"));
    await expect(dispatchBackup(ports, request, { ...time, signal })).rejects.toThrow("time is up");
    expect(started).toEqual([]);
  });
});

describe("a claim", () => {
  test("is the caller's also where the answer to it got lost", async () => {
    const { ports } = fleetOf();
    const { control } = ports;
    const deaf: ControlStore = {
      ...control,
      async replace(...words) {
        await control.replace(...words);
        return false;
      },
    };
    const { held } = await claim({ ...ports, control: deaf }, { ...request, components: ["mysql"] }, time.endsAt);
    expect(held).toBeDefined();
  });

  test("that was taken over settles nothing", async () => {
    const { ports, started } = fleetOf("i-1");
    const { control, clock } = ports;
    const { record, held } = await claim(ports, { ...request, components: ["mysql"] }, time.endsAt);
    clock.set(time.endsAt);
    const { record: done } = await dispatchBackup(ports, request, { endsAt: time.endsAt + 60_000 });
    await expect(settle(control, held!, { ...record, claim: undefined })).rejects.toMatchObject({ code: "STORE_BUSY" });
    expect(control.records.get(dispatchKey("schedule-1"))).toEqual(JSON.parse(JSON.stringify(done)));
    expect(started).toHaveLength(1);
  });

  test("is settled also where the answer to that got lost", async () => {
    const { ports } = fleetOf();
    const { record, held } = await claim(ports, { ...request, components: ["mysql"] }, time.endsAt);
    const done = { ...record, claim: undefined };
    await settle(ports.control, held!, done);
    await expect(settle(ports.control, held!, done)).resolves.toBeUndefined();
  });
});
