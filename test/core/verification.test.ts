import { createHash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { breakGlassVersion } from "../../core/break-glass.ts";
import { findSnapshot } from "../../core/catalog.ts";
import { formatClosure, type NeededPack, parseClosure } from "../../core/closure.ts";
import { MailarkError } from "../../core/errors.ts";
import { breakGlassKey, closureKey, manifestKey, packKey } from "../../core/keys.ts";
import type { Manifest } from "../../core/manifest.ts";
import { generateSigningKey, signDocument, signerOf, verifierOf } from "../../core/signed-document.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import { type Measured, SnapshotVerifier } from "../../core/verification.ts";
import { memoryStore } from "../fixtures/memory-store.ts";

const hostId = "host-1";
const older = "20261120T020000.000Z-aaaaaaaaaa";
const snapshotId = "20261121T020000.000Z-k3m9x2qa7b";
const time = "2026-11-21T02:00:00.000Z";
const glass = { "restore.sh": Buffer.from("#!/bin/sh\n"), "format.md": Buffer.from("# The format\n") };
const breakGlass = breakGlassVersion(glass);
const keyId = "b".repeat(32);
const sha256Of = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const packs: Record<string, Buffer> = {
  [`${older}/0001`]: Buffer.from("of the older snapshot"),
  [`${snapshotId}/0001`]: Buffer.from("its own"),
};
const ownKey = packKey(hostId, "mail", `${snapshotId}/0001`);
const olderKey = packKey(hostId, "mail", `${older}/0001`);
const closureAt = closureKey({ hostId, component: "mail", snapshotId });

const needed = (pack: string, bytes = packs[pack]!): NeededPack => ({
  pack,
  bytes: bytes.length,
  sha256: sha256Of(bytes),
  crc64nvme: "0".repeat(16),
});
const rows = Object.keys(packs).map((pack) => needed(pack));

/** An incremental snapshot that needs a pack of an older one, and the store that it is in. */
async function incremental(
  list: readonly NeededPack[] = rows,
  changes: Partial<NonNullable<Manifest["closure"]>> = {},
) {
  const store = memoryStore();
  for (const [pack, bytes] of Object.entries(packs)) await store.put(packKey(hostId, "mail", pack), [bytes]);
  for (const file of ["restore.sh", "format.md"] as const) {
    await store.put(breakGlassKey(hostId, breakGlass, file), [glass[file]]);
  }
  const closure = formatClosure(list);
  await store.put(closureAt, [closure]);
  const { pack: _, ...own } = needed(`${snapshotId}/0001`);
  const manifest: Manifest = {
    format: "mailark-manifest/1",
    hostId,
    component: "mail",
    snapshotId,
    runId: snapshotId,
    kind: "incremental",
    base: older,
    completeness: "complete",
    startedAt: time,
    cutAt: time,
    finishedAt: time,
    tools: {},
    keys: [],
    packs: [{ name: "0001", ...own }],
    parts: [
      {
        name: "mailboxes",
        bytes: 1,
        sha256: "0".repeat(64),
        extents: [{ pack: `${older}/0001`, keyId, offset: 0, segments: [1] }],
      },
    ],
    closure: { snapshotId, bytes: closure.length, sha256: sha256Of(closure), packs: list.length, ...changes },
    breakGlass,
    facts: {},
    warnings: [],
  };
  return { store, manifest };
}

const judge = (store: ObjectReader, manifest: Manifest) => new SnapshotVerifier(store).verify(manifest);

describe("an incremental snapshot", () => {
  test("that is whole has no findings", async () => {
    const { store, manifest } = await incremental();
    expect(await judge(store, manifest)).toEqual([]);
  });

  test("is not whole when a pack of an older one is gone or damaged", async () => {
    const { store, manifest } = await incremental();
    store.objects.set(olderKey, Buffer.from("of the older snapshoT"));
    expect(await judge(store, manifest)).toMatchObject([{ key: olderKey, code: "OBJECT_CORRUPT" }]);
    store.objects.delete(olderKey);
    expect(await judge(store, manifest)).toMatchObject([{ key: olderKey, code: "OBJECT_MISSING" }]);
  });

  test("is not whole with a closure that is not the one that was signed", async () => {
    const { store, manifest } = await incremental();
    const level = { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_checksumFlag]: 1 };
    const text = ["mailark-closure/1", ...rows.map((row) => Object.values(row).join("\t")), ""].join("\n");
    const other = zstdCompressSync(text, { params: level });
    expect(parseClosure(other)).toEqual(rows);
    store.objects.set(closureAt, other);
    const closure = { ...manifest.closure!, bytes: other.length };
    expect(await judge(store, { ...manifest, closure })).toMatchObject([{ key: closureAt, code: "OBJECT_CORRUPT" }]);
    store.objects.delete(closureAt);
    expect(await judge(store, manifest)).toMatchObject([{ key: closureAt, code: "OBJECT_MISSING" }]);
  });

  test("is not whole with a closure of more or fewer rows than was signed", async () => {
    for (const count of [1, 3]) {
      const { store, manifest } = await incremental(rows, { packs: count });
      expect(await judge(store, manifest)).toMatchObject([{ key: closureAt, code: "OBJECT_CORRUPT" }]);
    }
  });

  test("is not whole with a closure that leaves out what its parts need", async () => {
    const { store, manifest } = await incremental(rows.slice(1));
    expect(await judge(store, manifest)).toMatchObject([
      { key: closureAt, code: "OBJECT_CORRUPT", message: expect.stringContaining(`${older}/0001`) },
    ]);
  });
});

describe("where the store measures what it holds", () => {
  const measuring = async (changes: Record<string, Measured | undefined> = {}) => {
    const { store, manifest } = await incremental();
    const read: string[] = [];
    const reader: ObjectReader = {
      ...store,
      get(key, options) {
        read.push(key);
        return store.get(key, options);
      },
    };
    const sizes = new Map([[olderKey, packs[`${older}/0001`]!.length]]);
    const verifier = new SnapshotVerifier(reader, {
      measure: async (key) => (key in changes ? changes[key] : { bytes: 7, crc64nvme: "0".repeat(16) }),
      earlier: async () => sizes,
    });
    return { findings: () => verifier.verify(manifest), read, sizes, store };
  };

  test("no pack is read", async () => {
    const { findings, read } = await measuring();
    expect(await findings()).toEqual([]);
    expect(read.filter((key) => key.endsWith(".pack"))).toEqual([]);
  });

  test("another checksum or size is damage", async () => {
    const other = { bytes: 7, crc64nvme: "f".repeat(16) };
    expect(await (await measuring({ [ownKey]: other })).findings()).toMatchObject([
      { key: ownKey, code: "OBJECT_CORRUPT", message: expect.stringContaining("CRC-64") },
    ]);
    const longer = { bytes: 8, crc64nvme: "0".repeat(16) };
    expect(await (await measuring({ [ownKey]: longer })).findings()).toMatchObject([
      { key: ownKey, code: "OBJECT_CORRUPT" },
    ]);
  });

  test("what it says no checksum of is read, and what is gone is missing", async () => {
    const silent = await measuring({ [ownKey]: { bytes: 7, crc64nvme: undefined } });
    silent.store.objects.set(ownKey, Buffer.from("its owN"));
    expect(await silent.findings()).toMatchObject([{ key: ownKey, code: "OBJECT_CORRUPT" }]);
    const gone = await measuring({ [ownKey]: undefined });
    gone.store.objects.delete(ownKey);
    expect(await gone.findings()).toMatchObject([{ key: ownKey, code: "OBJECT_MISSING" }]);
  });

  test("an earlier pack that the listing misses, or has in another length, is damage", async () => {
    const { findings, sizes } = await measuring();
    sizes.set(olderKey, 3);
    expect(await findings()).toMatchObject([{ key: olderKey, code: "OBJECT_CORRUPT" }]);
    const lost = await measuring();
    lost.sizes.clear();
    expect(await lost.findings()).toMatchObject([{ key: olderKey, code: "OBJECT_MISSING" }]);
  });
});

test("a pack that two snapshots say different things of is a finding", async () => {
  const { store, manifest } = await incremental();
  const verifier = new SnapshotVerifier(store);
  expect(await verifier.verify(manifest)).toEqual([]);
  const [own] = manifest.packs;
  const liar = { ...manifest, packs: [{ ...own!, sha256: "0".repeat(64) }] };
  expect(await verifier.verify(liar)).toMatchObject([{ key: ownKey, code: "OBJECT_CORRUPT" }]);
});

test("a store that fails is told as that, and never as damage", async () => {
  const { store, manifest } = await incremental();
  const failure = new MailarkError("STORE_UNREACHABLE", "the network is down");
  const failing = (...calls: ("get" | "head")[]): ObjectReader => ({
    ...store,
    ...(calls.includes("head") && { head: () => Promise.reject(failure) }),
    ...(calls.includes("get") && {
      // biome-ignore lint/correctness/useYield: it fails before its first byte
      async *get() {
        throw failure;
      },
    }),
  });
  await expect(judge(failing("head"), manifest)).rejects.toBe(failure);
  await expect(judge(failing("get"), manifest)).rejects.toBe(failure);

  const signer = signerOf(generateSigningKey());
  const trusted = [verifierOf(signer.publicKey)];
  const { base: _, closure: __, ...rest } = manifest;
  const full = { ...rest, kind: "full" as const, parts: [] };
  for (const id of [older, snapshotId]) {
    const address = { hostId, component: "mail", snapshotId: id } as const;
    await store.put(manifestKey(address), [signDocument({ ...full, snapshotId: id }, signer)]);
  }
  const find = async (reader: ObjectReader) => {
    const found = await findSnapshot(reader, hostId, "mail", "latest", trusted);
    return found.manifest.snapshotId;
  };
  expect(await find(store)).toBe(snapshotId);
  const newestOnly: ObjectReader = {
    ...store,
    get: (key, options) => (key.includes(snapshotId) ? failing("get") : store).get(key, options),
  };
  await expect(find(newestOnly)).rejects.toBe(failure);
});

describe("a closure", () => {
  const line = (changes: Partial<Record<keyof NeededPack, string | number>>) =>
    Object.values({ ...rows[0], ...changes }).join("\t");
  const closure = (...lines: string[]) => ["mailark-closure/1", ...lines, ""].join("\n");

  test("comes back as it was, sorted", () => {
    expect(parseClosure(formatClosure(rows.toReversed()))).toEqual(rows);
    expect(parseClosure(formatClosure([]))).toEqual([]);
  });

  test.each([
    ["another first line", closure(line({})).replace("/1", "/2")],
    ["no line feed at its end", closure(line({})).trimEnd()],
    ["nothing in it", ""],
    ["a pack that is none", closure(line({ pack: "../../0001" }))],
    ["a pack of no bytes", closure(line({ bytes: 0 }))],
    ["a size that is hexadecimal", closure(line({ bytes: "0x10" }))],
    ["a hash that is too short", closure(line({ sha256: "0".repeat(63) }))],
    ["a checksum in upper case", closure(line({ crc64nvme: "A".repeat(16) }))],
    ["an empty row", closure(line({}), "", line({}))],
  ])("with %s is refused", (_, text) => {
    expect(() => parseClosure(zstdCompressSync(text))).toThrow(expect.objectContaining({ code: "OBJECT_CORRUPT" }));
  });

  test("that is not compressed is refused", () => {
    expect(() => parseClosure(Buffer.from(closure(line({}))))).toThrow(
      expect.objectContaining({ code: "OBJECT_CORRUPT" }),
    );
  });

  test("that would fill the memory is refused", () => {
    const first = Buffer.from("mailark-closure/1\n");
    const row = `${line({})}\n`;
    const bomb = Buffer.alloc(first.length + row.length * Math.ceil((257 * 1024 * 1024) / row.length), row);
    bomb.copyWithin(first.length, 0, bomb.length - first.length);
    first.copy(bomb);
    expect(() => parseClosure(zstdCompressSync(bomb))).toThrow(expect.objectContaining({ code: "OBJECT_CORRUPT" }));
  });
});
