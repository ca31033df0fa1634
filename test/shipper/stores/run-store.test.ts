import { beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { readWhole } from "../../../core/stores/read-whole.ts";
import type { ObjectReader } from "../../../core/stores/store.ts";
import { askedOnce, isThere } from "../../../shipper/stores/run-store.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";

const { signal } = new AbortController();
let failing: MailarkError | undefined;
let asked: string[];
let store: ObjectReader;

beforeEach(async () => {
  const memory = memoryStore();
  await memory.put("k", [Buffer.from("text")]);
  asked = [];
  failing = undefined;
  const ask = (what: string) => {
    asked.push(what);
    if (failing) throw failing;
  };
  store = askedOnce({
    async head(key) {
      ask("head");
      return memory.head(key);
    },
    async *get(key) {
      ask("get");
      yield* memory.get(key);
    },
    async *list(prefix) {
      ask("list");
      yield* memory.list(prefix);
    },
  });
});

const read = () => readWhole(store, "k", 100, signal);
const list = async () => {
  for await (const _ of store.list("")) return;
};
const forbidden = new MailarkError("STORE_FORBIDDEN", "made up");
const down = new MailarkError("STORE_UNREACHABLE", "made up", { retryable: true });

test("a store says what is there and what is not, each time anew", async () => {
  expect(await isThere(store, "k", signal)).toBe("there");
  expect(await isThere(store, "other", signal)).toBe("absent");
  expect(asked).toEqual(["head", "head"]);
});

describe("a store that in this run once refused or failed when it", () => {
  test("says whether it has an object is asked no more, and may still be read", async () => {
    failing = forbidden;
    expect(await isThere(store, "k", signal)).toBe("unknown");
    failing = undefined;
    expect(await isThere(store, "k", signal)).toBe("unknown");
    expect(asked).toEqual(["head"]);
    expect((await read()).toString()).toBe("text");
  });

  test.each(["get", "list"])("could not be read or listed is read no more", async (first) => {
    failing = down;
    await expect(first === "get" ? read() : list()).rejects.toBe(down);
    failing = undefined;
    await expect(read()).rejects.toBe(down);
    await expect(list()).rejects.toBe(down);
    expect(asked).toEqual([first]);
    expect(await isThere(store, "k", signal)).toBe("there");
  });

  test("gave one object damaged, refused or not at all is asked for the next", async () => {
    for (const code of ["OBJECT_CORRUPT", "OBJECT_MISSING", "STORE_FORBIDDEN", "INTERRUPTED"] as const) {
      failing = new MailarkError(code, "made up");
      await expect(read()).rejects.toBe(failing);
    }
    failing = down;
    await expect(isThere(store, "k", signal)).rejects.toBe(down);
    failing = undefined;
    expect((await read()).toString()).toBe("text");
    expect(await isThere(store, "k", signal)).toBe("there");
  });
});
