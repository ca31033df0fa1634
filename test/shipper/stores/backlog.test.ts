import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { nodeFiles } from "../../../core/ports/files.ts";
import { fanOut } from "../../../core/stores/fan-out.ts";
import type { ObjectWriter } from "../../../core/stores/store.ts";
import { openBacklog } from "../../../shipper/stores/backlog.ts";
import { notingWriter } from "../../../shipper/stores/noting-writer.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const manifest = "hosts/host-1/mail/20261121T020000.000Z-k3m9x2qa7b/manifest.json";
const record = "hosts/host-1/runs/20261121T020000.000Z-k3m9x2qa7b.json";
const pack = "hosts/host-1/mail/20261121T020000.000Z-k3m9x2qa7b/0001.pack";
let path: string;
beforeEach(() => {
  path = join(scratchDirectory(), "state/backlog.json");
});
const open = (stores = ["a", "b"]) => openBacklog(nodeFiles, path, stores);

test("what a store may lack is on disk before the first store gets it, and is settled by those that have it", async () => {
  const seen: unknown[] = [];
  const looking = (store: ObjectWriter): ObjectWriter => ({
    put: (key, body, options) => {
      seen.push([key, open().entries()]);
      return store.put(key, body, options);
    },
  });
  const all = fanOut([
    { name: "a", store: looking(memoryStore()) },
    { name: "b", store: looking(memoryStore()) },
  ]);
  const writer = notingWriter(all, open());
  for (const key of [pack, manifest, record]) await writer.put(key, [Buffer.from("x")]);
  const owed = (key: string) => [{ key, stores: ["a", "b"], stored: false }];
  expect(seen).toEqual([pack, manifest, record].flatMap((key) => Array(2).fill([key, key === pack ? [] : owed(key)])));
  expect(open().entries()).toEqual([]);
});

test("what one store took is owed to the other by name, and what none took is not said to be stored", async () => {
  const failing: ObjectWriter = {
    put: async () => {
      throw new Error("made up");
    },
  };
  const one = fanOut([
    { name: "a", store: memoryStore() },
    { name: "b", store: failing },
  ]);
  await notingWriter(one, open()).put(manifest, []);
  const none = fanOut([
    { name: "a", store: failing },
    { name: "b", store: failing },
  ]);
  await expect(notingWriter(none, open()).put(record, [])).rejects.toThrow();
  expect(open().entries()).toEqual([
    { key: manifest, stores: ["b"], stored: true },
    { key: record, stores: ["a", "b"], stored: false },
  ]);
  expect(open(["a", "c"]).entries()).toEqual([{ key: record, stores: ["a"], stored: false }]);
});

test.each(["", "{", "[]", '{"entries":[{"key":"../x","stores":[],"stored":true}]}'])(
  "a list that is damaged is told, with what to do: %j",
  (text) => {
    open().begin(manifest);
    writeFileSync(path, text);
    expect(() => open()).toThrow(expect.objectContaining({ code: "STATE_INVALID", detail: path }));
  },
);
