import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { generateIdentity } from "../../core/age/age.ts";
import { MailarkError } from "../../core/errors.ts";
import { parseDocument } from "../../core/manifest.ts";
import { type Clock, systemClock } from "../../core/ports/clock.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { generateSigningKey, signerOf } from "../../core/signed-document.ts";
import type { ObjectWriter } from "../../core/stores/store.ts";
import { backup } from "../../shipper/backup.ts";
import type { CaptureContext, Captured, Component } from "../../shipper/components/component.ts";
import type { Comparison } from "../../shipper/consistency/comparison.ts";
import { nodeProcesses } from "../../shipper/processes.ts";
import type { BackupRequest } from "../../shipper/request.ts";
import { sealingKeys } from "../../shipper/sealing-keys.ts";
import { memoryStore } from "../fixtures/memory-store.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { setClock } from "../fixtures/set-clock.ts";

/** A component that only knows how to be captured. */
const component = (name: Component["name"], capture: (context: CaptureContext) => Promise<Captured>): Component =>
  ({ name, capture }) as Component;
const nothing: Captured = { cutAt: 0, completeness: "complete", tools: {}, facts: {}, warnings: [] };

function run(
  components: readonly Component[],
  store: ObjectWriter,
  signal = new AbortController().signal,
  comparison?: Comparison,
  clock: Clock = systemClock,
  request?: BackupRequest,
) {
  const hostId = "host-1";
  const stateDirectory = scratchDirectory();
  const world = { files: nodeFiles, clock, processes: nodeProcesses, signal, progress: () => {} };
  const keys = sealingKeys({
    ...world,
    store,
    hostId,
    places: () => [{ stateDirectory }],
    recoveryRecipient: generateIdentity().recipient,
  });
  const signer = signerOf(generateSigningKey());
  const breakGlass = { "restore.sh": Buffer.from("#!/bin/sh\n"), "format.md": Buffer.from("# The format\n") };
  return backup(components, { store, hostId, signer, keys, breakGlass }, world, {
    comparison,
    ...(request && { request }),
  });
}

const runsOf = (objects: ReadonlyMap<string, Buffer>) =>
  [...objects].flatMap(([key, bytes]) =>
    key.includes("/runs/") ? [JSON.parse(bytes.toString().split("\n")[0]!)] : [],
  );

describe("a component that fails", () => {
  test("leaves nothing of it under way when its run ends", async () => {
    const store = memoryStore();
    let underWay = 0;
    const slow: ObjectWriter = {
      async put(key, body) {
        underWay += 1;
        try {
          return await store.put(key, body);
        } finally {
          // A store that takes its time to let go.
          if (key.endsWith(".pack")) await new Promise((resolve) => setTimeout(resolve, 50));
          underWay -= 1;
        }
      },
    };
    const failing = component("mysql", async ({ writer, keys }) => {
      await (await writer.submit(Buffer.from("half"), await keys.host())).location;
      expect(underWay).toBe(1);
      throw new Error("made up");
    });
    const { outcomes } = await run([failing], slow);
    expect(outcomes).toMatchObject([{ error: { code: "INTERNAL" } }]);
    expect(underWay).toBe(0);
    expect([...store.objects.keys()].filter((key) => /pack$|manifest/.test(key))).toEqual([]);
  });

  test("ends its own tools, and not those of the others", async () => {
    const signals: AbortSignal[] = [];
    const failing = component("mysql", async ({ signal }) => {
      signals.push(signal);
      throw new Error("made up");
    });
    const going = component("mail", async ({ signal }) => {
      signals.push(signal);
      return nothing;
    });
    const { outcomes, exitCode } = await run([failing, going], memoryStore());
    expect(outcomes.map(({ manifest }) => manifest?.completeness)).toEqual([undefined, "complete"]);
    expect(exitCode).toBe(3);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });
});

test.each(["break-glass/", "keyring/", ".pack", "manifest.json", "runs/"])(
  "a run is no success where the store received something else as %s",
  async (kind) => {
    const store = memoryStore();
    const strange: ObjectWriter = {
      put: async (key, body) => ({ ...(await store.put(key, body)), ...(key.includes(kind) && { bytes: 1 }) }),
    };
    const mail = component("mail", async ({ writer, keys }) => {
      await writer.part("mailboxes", Readable.from([Buffer.from("a mailbox")]), await keys.host());
      return nothing;
    });
    const ended = await run([mail], strange).then(
      ({ outcomes, recordError }) => outcomes[0]?.error ?? recordError,
      (error) => error,
    );
    expect(ended).toMatchObject({ code: "UPLOAD_MISMATCH" });
  },
);

test("a run that is interrupted begins no other component, and has a record all the same", async () => {
  const store = memoryStore();
  const controller = new AbortController();
  const interrupted = component("mysql", async ({ signal }) => {
    controller.abort(new Error("interrupted"));
    throw signal.reason;
  });
  let begun = false;
  const next = component("mail", async () => {
    begun = true;
    return nothing;
  });
  await expect(run([interrupted, next], store, controller.signal)).rejects.toThrow("interrupted");
  expect(begun).toBe(false);
  expect(runsOf(store.objects)).toMatchObject([{ components: [{ component: "mysql", outcome: "failed" }] }]);
});

test("a run whose record alone is refused says how each component went, and is partial", async () => {
  const store = memoryStore();
  const refused = new MailarkError("STORE_FORBIDDEN", "the store refuses");
  const refusing: ObjectWriter = {
    async put(key, ...given) {
      if (key.includes("/runs/")) throw refused;
      return store.put(key, ...given);
    },
  };
  const going = component("mail", async () => nothing);
  const failing = component("mysql", async () => {
    throw new MailarkError("DUMP_FAILED", "made up");
  });
  const both = await run([going], refusing);
  expect(both).toMatchObject({ outcomes: [{ manifest: {} }], recordError: refused, exitCode: 3 });
  // What failed altogether keeps its own exit status.
  expect(await run([failing], refusing)).toMatchObject({ recordError: refused, exitCode: 1 });
  expect((await run([going], store)).recordError).toBeUndefined();
});

test.each(["before its record", "while its record is stored"])(
  "a run that is interrupted %s waits ten seconds for a store that is silent, and is interrupted all the same",
  async (when) => {
    const store = memoryStore();
    const controller = new AbortController();
    const interrupt = () => controller.abort(new MailarkError("INTERRUPTED", "made up"));
    const silent: ObjectWriter = {
      put(key, body, options = {}) {
        if (!key.includes("/runs/")) return store.put(key, body, options);
        if (!controller.signal.aborted) interrupt();
        return new Promise((_resolve, reject) => {
          options.signal!.addEventListener("abort", () => reject(options.signal!.reason));
        });
      },
    };
    const capturing = component("mail", async () => {
      if (when.startsWith("before")) interrupt();
      return nothing;
    });
    const clock = setClock(0);
    await expect(run([capturing], silent, controller.signal, undefined, clock)).rejects.toMatchObject({
      code: "INTERRUPTED",
      message: "made up",
    });
    expect(clock.now()).toBe(10_000);
  },
);

describe("the record of a run", () => {
  const base = "20261121T020000.000Z-k3m9x2qa7b";
  const sealing = (name: Component["name"], error?: MailarkError) =>
    component(name, async ({ writer, keys }) => {
      await writer.part("globals", Readable.from([Buffer.alloc(70_000, "row ")]), await keys.host());
      if (error) throw error;
      return nothing;
    });

  test("says whose wish it was, what was offered to build on, that nothing was, and how much was read and stored", async () => {
    const store = memoryStore();
    const request = { requestId: "by-hand-1", bases: new Map([["mail", base] as const, ["redis", base] as const]) };
    await run([sealing("mysql"), sealing("mail")], store, undefined, undefined, undefined, request);
    const [record] = runsOf(store.objects);
    const stored = (name: string) =>
      [...store.objects].find(([key]) => key.includes(`/${name}/`) && key.endsWith(".pack"))![1].length;
    expect(record.requestId).toBe("by-hand-1");
    expect(record.components).toMatchObject([
      { component: "mysql", kind: "full", bytesRead: 70_000, bytesStored: stored("mysql") },
      { component: "mail", kind: "full", offered: base, bytesRead: 70_000, bytesStored: stored("mail") },
    ]);
    expect(record.components[0]).not.toHaveProperty("offered");
    for (const each of record.components) expect(each).not.toHaveProperty("base");
    // What a reader of it makes of it, this one among them.
    expect(parseDocument("run", record)).toEqual(record);
  });

  test("of one that nobody asked for has no word of a request", async () => {
    const store = memoryStore();
    await run([sealing("mysql")], store);
    expect(runsOf(store.objects)[0]).not.toHaveProperty("requestId");
  });

  test("says of a component that failed why, and how far it came, and not whom it failed with", async () => {
    const store = memoryStore();
    const error = new MailarkError("DUMP_FAILED", "the dump failed", {
      detail: "alice@example.com",
      hint: "look at it",
    });
    await run([sealing("mysql", error)], store);
    const [record] = runsOf(store.objects);
    expect(record.components).toMatchObject([
      {
        outcome: "failed",
        bytesRead: 70_000,
        error: { code: "DUMP_FAILED", message: "the dump failed", hint: "look at it" },
      },
    ]);
    expect(JSON.stringify(record)).not.toContain("alice");
    expect(record.components[0]).not.toHaveProperty("bytesStored");
  });
});

describe("a comparison", () => {
  const order: string[] = [];
  const recorded: Comparison = {
    begin: async () => void order.push("begin"),
    captured: async (name) => void order.push(`captured ${name}`),
    async finish() {
      order.push("finish");
      return [{ code: "ALIAS_TO_NOWHERE", names: ["one", "two"] }];
    },
  };
  const capturing = (name: Component["name"]) =>
    component(name, async () => {
      order.push(name);
      if (name === "queue") throw new Error("made up");
      return { ...nothing, cutAt: 5, warnings: [{ code: "MADE_UP", count: 3 }] };
    });

  test("looks before the first capture, right after each that went well, and after the last; its counts are in the record", async () => {
    const store = memoryStore();
    order.length = 0;
    const components = [capturing("mysql"), capturing("queue"), capturing("mail")];
    const { exitCode, findings } = await run(components, store, undefined, recorded);
    expect(order).toEqual(["begin", "mysql", "captured mysql", "queue", "mail", "captured mail", "finish"]);
    expect({ exitCode, findings }).toMatchObject({ exitCode: 3, findings: [{ names: ["one", "two"] }] });
    const [record] = runsOf(store.objects);
    expect(record.warnings).toEqual([{ code: "ALIAS_TO_NOWHERE", count: 2 }]);
    const captured = { cutAt: "1970-01-01T00:00:00.005Z", warnings: [{ code: "MADE_UP", count: 3 }] };
    expect(record.components).toMatchObject([captured, { outcome: "failed" }, captured]);
    expect(Object.keys(record.components[1])).not.toContain("cutAt");
  });

  test("says nothing of a run that was interrupted, and a run without one has no word of it", async () => {
    const [store, other] = [memoryStore(), memoryStore()];
    const controller = new AbortController();
    const interrupting = component("mysql", async () => {
      controller.abort(new Error("interrupted"));
      return nothing;
    });
    await expect(run([interrupting], store, controller.signal, recorded)).rejects.toThrow("interrupted");
    await run([capturing("mail")], other);
    for (const { objects } of [store, other]) expect(runsOf(objects)[0]).not.toHaveProperty("warnings");
  });
});
