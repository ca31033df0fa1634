import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeFiles } from "../../core/ports/files.ts";
import { errnoError, type Fault, faultPlan, type Instead, Killed, sweep, withFaults } from "../fixtures/faults.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

/** A port with every kind of method. */
class Port {
  readonly done: string[] = [];
  readonly name = "a port";
  #secret = 0;

  now(): number {
    this.done.push("now");
    this.#secret += 1;
    return this.#secret;
  }

  async later(): Promise<string> {
    this.done.push("later");
    return "later";
  }

  async *list(): AsyncGenerator<number> {
    for (let each = 1; each <= 3; each += 1) {
      this.done.push(`list ${each}`);
      yield each;
    }
  }
}

async function everything(port: Port): Promise<unknown[]> {
  const results: unknown[] = [];
  const note = async (work: () => unknown) => {
    try {
      results.push(await work());
    } catch (error) {
      results.push((error as Error).name === "Killed" ? "killed" : (error as NodeJS.ErrnoException).code);
    }
  };
  await note(() => port.now());
  await note(() => port.later());
  await note(async () => {
    const all: number[] = [];
    for await (const each of port.list()) all.push(each);
    return all;
  });
  await note(() => port.now());
  return results;
}

const run = async (fault?: Fault) => {
  const plan = faultPlan(fault);
  const port = new Port();
  return { results: await everything(withFaults(port, plan)), done: port.done, plan };
};
const calls = [
  "port.now",
  "port.later",
  "port.list",
  "port.list.next",
  "port.list.next",
  "port.list.next",
  "port.list.next",
  "port.now",
];

describe("a port with faults", () => {
  test("is the port itself without one, and counts", async () => {
    const { results, plan } = await run();
    expect(results).toEqual([1, "later", [1, 2, 3], 2]);
    expect(plan.calls).toEqual(calls);
    expect(plan.struck).toBe(false);
    expect(withFaults(new Port(), plan).name).toBe("a port");
  });

  test("throws at one call and works on", async () => {
    expect((await run({ at: 1, throw: errnoError("EIO") })).results).toEqual(["EIO", "later", [1, 2, 3], 1]);
    expect((await run({ at: 2, throw: errnoError("EIO") })).results).toEqual([1, "EIO", [1, 2, 3], 2]);
    expect((await run({ at: 5, throw: errnoError("EIO") })).results).toEqual([1, "later", "EIO", 2]);
  });

  test("throws with or without the effect", async () => {
    expect((await run({ at: 2, throw: errnoError("EIO") })).done).not.toContain("later");
    expect((await run({ at: 2, throw: errnoError("EIO"), after: true })).done).toContain("later");
  });

  test("throws at all later calls of that name, where asked to", async () => {
    const { results } = await run({ at: 1, throw: errnoError("ENOSPC"), always: true });
    expect(results).toEqual(["ENOSPC", "later", [1, 2, 3], "ENOSPC"]);
  });

  test("throws at all later calls whose names match, where they are named", async () => {
    const { results } = await run({ at: 2, throw: errnoError("EIO"), always: /^port\.(later|now)$/ });
    expect(results).toEqual([1, "EIO", [1, 2, 3], "EIO"]);
  });

  test("does something else at one call or at those that are named, and every step of an iteration as it is", async () => {
    const twice: Instead = (method) => [method(), method()];
    expect((await run({ at: 1, instead: twice })).results).toEqual([[1, 2], "later", [1, 2, 3], 3]);
    expect((await run({ at: 1, instead: twice, always: true })).results[3]).toEqual([3, 4]);
    const stepped = await run({ at: 4, instead: twice });
    expect(stepped.results).toEqual([1, "later", [1, 2, 3], 2]);
    expect(stepped.plan.struck).toBe(true);
  });

  test("closes what was opened by a call whose answer was lost", () => {
    const path = join(scratchDirectory(), "file");
    const files = withFaults(nodeFiles, faultPlan({ at: 1, die: "after" }), "files");
    const free = openSync("/dev/null", "r");
    nodeFiles.closeSync(free);
    expect(() => files.openSync(path, "wx")).toThrow(Killed);
    expect(openSync(path, "r"), "the descriptor is free again").toBe(free);
    nodeFiles.closeSync(free);
  });

  test("is dead from a call on", async () => {
    for (const [at, expected] of [
      [1, ["killed", "killed", "killed", "killed"]],
      [2, [1, "killed", "killed", "killed"]],
      [5, [1, "later", "killed", "killed"]],
      [8, [1, "later", [1, 2, 3], "killed"]],
    ] as const) {
      expect((await run({ at, die: "before" })).results).toEqual(expected);
      const after = await run({ at, die: "after" });
      expect(after.results).toEqual(expected);
      expect(after.plan.struck).toBe(true);
    }
  });

  test("hears no answer that comes after its death", async () => {
    const plan = faultPlan({ at: 2, die: "before" });
    const answer = Promise.withResolvers<string>();
    const slow = withFaults({ ask: () => answer.promise }, plan, "slow");
    const other = withFaults({ call: () => {} }, plan, "other");
    const asked = slow.ask();
    expect(() => other.call()).toThrow(Killed);
    answer.resolve("too late");
    await expect(asked).rejects.toThrow(Killed);
  });

  test("tears a write in two, and closes what was open", () => {
    const path = join(scratchDirectory(), "file");
    const files = withFaults(nodeFiles, faultPlan({ at: 2, die: "torn" }), "files");
    const descriptor = files.openSync(path, "wx");
    expect(() => files.writeSync(descriptor, Buffer.from("12345678"), 0, 8)).toThrow(Killed);
    expect(() => files.closeSync(descriptor)).toThrow(Killed);
    expect(readFileSync(path, "utf8")).toBe("1234");
    expect(openSync(path, "r"), "the descriptor is free again").toBe(descriptor);
    nodeFiles.closeSync(descriptor);
  });

  test("is swept: once for every call", async () => {
    const outcomes: string[] = [];
    const work = async (plan: ReturnType<typeof faultPlan>) => {
      await everything(withFaults(new Port(), plan));
    };
    for await (const { call, struck } of sweep((at) => ({ at, die: "before" }), work)) {
      expect(struck).toBe(true);
      outcomes.push(call);
    }
    expect(outcomes).toEqual(calls);
  });
});
