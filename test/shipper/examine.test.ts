import { expect, test } from "vitest";
import { Keyring } from "../../core/keyring.ts";
import { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Component, World } from "../../shipper/components/component.ts";
import { examine } from "../../shipper/examine.ts";
import { memoryStore } from "../fixtures/memory-store.ts";
import { address, description, recovery, snapshotWriter, storedKey } from "../fixtures/snapshot.ts";

test("deep verification finds a part that is not what was captured, though every object is what was stored", async () => {
  const store = memoryStore();
  const key = await storedKey(store);
  const writer = snapshotWriter(store);
  for (const name of ["accounts", "facts"]) {
    await writer.part(
      name,
      (async function* () {
        yield Buffer.from(`content of ${name}`);
      })(),
      key,
    );
  }
  const manifest = await writer.finish(description);
  const judge = (parts: typeof manifest.parts) => {
    const keyring = new Keyring(store, address.hostId, [recovery.identity]);
    const world = { signal: new AbortController().signal } as World;
    return examine({ name: "mysql" } as Component, new SnapshotReader({ ...manifest, parts }, store, keyring), world);
  };
  expect(await judge(manifest.parts)).toEqual([]);
  const [first, second] = manifest.parts as [(typeof manifest.parts)[0], (typeof manifest.parts)[0]];
  expect(await judge([{ ...first, sha256: "0".repeat(64) }, second])).toMatchObject([{ code: "OBJECT_CORRUPT" }]);
  expect(await judge([first, { ...second, sha256: "0".repeat(64) }])).toMatchObject([{ code: "OBJECT_CORRUPT" }]);
});
