import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { generateIdentity, keyIdOf, seal } from "../../core/age/age.ts";
import { formatKey, type KeyDescription, Keyring, parseKey } from "../../core/keyring.ts";
import { keyringKey } from "../../core/keys.ts";
import { errnoError, faultPlan, withFaults } from "../fixtures/faults.ts";
import { type MemoryStore, memoryStore } from "../fixtures/memory-store.ts";
import { collect } from "../fixtures/read-all.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const recovery = generateIdentity();
const drill = generateIdentity();
const mailbox = generateIdentity();
const owner = "a".repeat(26);
const description: KeyDescription = { ownerId: owner, createdAt: "2026-11-21T02:00:00.000Z", mailbox: "example.com/a" };

describe("the plaintext of a key", () => {
  test("says what it is for, whatever the names are", () => {
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString("latin1"));
    const any = fc.record(
      {
        ownerId: fc.constantFrom("host", owner),
        createdAt: fc.constant(description.createdAt),
        mailbox: bytes,
        address: fc.string({ unit: "grapheme" }),
      },
      { requiredKeys: ["ownerId", "createdAt"] },
    );
    fc.assert(
      fc.property(any, (each) => {
        expect(parseKey(formatKey(mailbox.identity, each))).toEqual({ ...each, identity: mailbox.identity });
      }),
      { numRuns: 50 },
    );
  });

  test("is an identity file for the age program", () => {
    const folder = scratchDirectory();
    writeFileSync(join(folder, "key"), formatKey(mailbox.identity, { ...description, address: "ä@例え.jp" }));
    writeFileSync(join(folder, "sealed"), seal(Buffer.from("content"), [mailbox.recipient]));
    expect(execFileSync("age", ["-d", "-i", "key", "sealed"], { cwd: folder, encoding: "utf8" })).toBe("content");
  });

  test.each([
    "",
    "AGE-SECRET-KEY-1NOT",
    formatKey(mailbox.identity, description).replace("mailark-key: 1", "mailark-key: 2"),
    formatKey(mailbox.identity, description).replace(/# owner.*\n/, ""),
    formatKey(mailbox.identity, description).replace(/AGE-SECRET.*\n/, ""),
    formatKey(mailbox.identity, description) + generateIdentity().identity,
    formatKey(mailbox.identity, description).replace("example.com", "%zz"),
  ])("is refused when it is not one (%#)", (text) => {
    expect(() => parseKey(text)).toThrow(expect.objectContaining({ code: "OBJECT_CORRUPT" }));
  });
});

describe("a keyring", () => {
  let store: MemoryStore;
  const keyId = keyIdOf(mailbox.recipient);
  const objectKey = keyringKey("host-1", owner, keyId);
  const keyring = (identity = recovery.identity, reader = store) => new Keyring(reader, "host-1", [identity]);

  beforeEach(async () => {
    store = memoryStore();
    const sealed = seal(Buffer.from(formatKey(mailbox.identity, description)), [recovery.recipient, drill.recipient]);
    await store.put(objectKey, [sealed]);
  });

  test.each([
    ["recovery", recovery.identity],
    ["drill", drill.identity],
  ])("is opened with the %s key", async (_, identity) => {
    expect(await keyring(identity).key(owner, keyId)).toEqual({ ...description, identity: mailbox.identity });
    const open = await keyring(identity).opener(owner, keyId);
    expect(open(seal(Buffer.from("x"), [mailbox.recipient])).toString()).toBe("x");
  });

  test("opens a mailbox's segments with that mailbox's key and no other", async () => {
    const open = await keyring().opener(owner, keyId);
    expect(() => open(seal(Buffer.from("x"), [recovery.recipient]))).toThrow();
  });

  test("says what an erased key means", async () => {
    await store.erase(objectKey);
    await expect(keyring().opener(owner, keyId)).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: expect.stringContaining("not in the keyring"),
      hint: expect.stringContaining("erased"),
    });
  });

  test("says what to do about the wrong identity", async () => {
    await expect(keyring(generateIdentity().identity).key(owner, keyId)).rejects.toMatchObject({
      code: "DECRYPTION_FAILED",
      hint: expect.stringContaining("--identity"),
    });
  });

  test("tells keys that were swapped", async () => {
    const bytes = store.objects.get(objectKey)!;
    const other = "b".repeat(26);
    const otherKeyId = keyIdOf(generateIdentity().recipient);
    await store.put(keyringKey("host-1", other, keyId), [bytes]);
    await store.put(keyringKey("host-1", owner, otherKeyId), [bytes]);
    await expect(keyring().key(other, keyId)).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
    await expect(keyring().key(owner, otherKeyId)).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  });

  test("refuses an object that is too large for a key", async () => {
    const other = keyringKey("host-1", owner, "f".repeat(32));
    await store.put(other, [Buffer.alloc(70_000)]);
    await expect(keyring().key(owner, "f".repeat(32))).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
  });

  test("reads each key once", async () => {
    const plan = faultPlan();
    const ring = keyring(recovery.identity, withFaults(store, plan, "store"));
    await Promise.all([ring.key(owner, keyId), ring.opener(owner, keyId), ring.key(owner, keyId)]);
    await ring.opener(owner, keyId);
    expect(plan.calls.filter((call) => call === "store.get")).toHaveLength(1);
  });

  test("asks again after a failure", async () => {
    const plan = faultPlan({ at: 1, throw: errnoError("ECONNRESET") });
    const ring = keyring(recovery.identity, withFaults(store, plan, "store"));
    await expect(ring.key(owner, keyId)).rejects.toThrow("ECONNRESET");
    expect(await ring.key(owner, keyId)).toMatchObject(description);
  });

  test("lists its keys", async () => {
    expect(await collect(keyring().list())).toEqual([{ ownerId: owner, keyId }]);
    expect(await collect(new Keyring(store, "host-2", [recovery.identity]).list())).toEqual([]);
  });
});
