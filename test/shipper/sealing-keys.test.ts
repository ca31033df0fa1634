import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { generateIdentity, open, type Recipient } from "../../core/age/age.ts";
import { Keyring } from "../../core/keyring.ts";
import { keyringKey, patterns } from "../../core/keys.ts";
import { type Files, nodeFiles } from "../../core/ports/files.ts";
import type { ObjectReader, ObjectWriter } from "../../core/stores/store.ts";
import type { SealingKey } from "../../shipper/pipeline/snapshot-writer.ts";
import { sealingKeys } from "../../shipper/sealing-keys.ts";
import { errnoError, type faultPlan, sweep, withFaults } from "../fixtures/faults.ts";
import { type MemoryStore, memoryStore } from "../fixtures/memory-store.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { type SetClock, setClock } from "../fixtures/set-clock.ts";

const recovery = generateIdentity();
const drill = generateIdentity();
const alice = { path: "example.com/alice", address: "alice@example.com" };
const bob = { path: "example.com/bob" };
let store: MemoryStore;
let clock: SetClock;
let stateDirectory: string;

beforeEach(() => {
  store = memoryStore();
  clock = setClock();
  stateDirectory = join(scratchDirectory(), "state");
});

interface Changes {
  readonly store?: ObjectWriter;
  readonly files?: Files;
  readonly recoveryRecipient?: Recipient;
  readonly drillRecipient?: Recipient;
  readonly hostId?: string;
  readonly head?: ObjectReader["head"];
}
const keys = ({ head, ...changes }: Changes = {}) =>
  sealingKeys({
    store,
    files: nodeFiles,
    clock,
    signal: new AbortController().signal,
    places: () => [{ stateDirectory, ...(head && { has: async (key: string) => (await head(key)) !== undefined }) }],
    hostId: "host-1",
    recoveryRecipient: recovery.recipient,
    ...changes,
  });
const statePath = () => join(stateDirectory, "keys.json");
const keyring = (identity = recovery.identity) => new Keyring(store, "host-1", [identity]);
const ids = (list: readonly SealingKey[]) => list.map(({ keyId }) => keyId);

describe("the keys of a host", () => {
  test("open what was sealed with them, by way of the keyring", async () => {
    const [mailbox] = await keys().mailboxes([alice]);
    for (const key of [await keys().host(), mailbox!]) {
      const opens = await keyring().opener(key.ownerId, key.keyId);
      expect(opens(key.seal(Buffer.from("segment"))).toString()).toBe("segment");
      const object = store.objects.get(keyringKey("host-1", key.ownerId, key.keyId))!;
      expect(key.sha256).toBe(createHash("sha256").update(object).digest("hex"));
    }
  });

  test("let the recovery key open what is not mail, and no mail", async () => {
    const host = await keys().host();
    const [mailbox] = await keys().mailboxes([alice]);
    expect(open(host.seal(Buffer.from("x")), [recovery.identity]).toString()).toBe("x");
    expect(() => open(mailbox!.seal(Buffer.from("x")), [recovery.identity])).toThrow();
  });

  test("are opened by the drill key where there is one", async () => {
    const key = await keys({ drillRecipient: drill.recipient }).host();
    const opens = await keyring(drill.identity).opener(key.ownerId, key.keyId);
    expect(opens(key.seal(Buffer.from("x"))).toString()).toBe("x");
  });

  test("are the same in the next run", async () => {
    const first = [await keys().host(), ...(await keys().mailboxes([alice, bob]))];
    const stored = store.objects.size;
    const second = [await keys().host(), ...(await keys().mailboxes([alice, bob]))];
    expect(ids(second)).toEqual(ids(first));
    expect(store.objects.size).toBe(stored);
  });

  test("are one for each mailbox, in the order asked for, and new ones only for new mailboxes", async () => {
    const [first] = await keys().mailboxes([alice]);
    const [second, third, again] = await keys().mailboxes([bob, alice, bob]);
    expect(third!.keyId).toBe(first!.keyId);
    expect(again!.keyId).toBe(second!.keyId);
    expect(new Set(ids([first!, second!])).size).toBe(2);
    expect(store.objects.size).toBe(2);
  });

  test("are the same for those who ask at once", async () => {
    const one = keys();
    const hosts = await Promise.all([one.host(), one.host()]);
    const boxes = (await Promise.all([one.mailboxes([alice]), one.mailboxes([alice, bob])])).flat();
    expect(new Set(ids(hosts)).size).toBe(1);
    expect(new Set(ids(boxes)).size).toBe(2);
    expect(store.objects.size).toBe(3);
    expect(ids(await keys().mailboxes([alice, bob]))).toEqual(ids(boxes.slice(1)));
  });

  test("change with the month, and come back when the clock jumps back", async () => {
    clock.set("2026-11-30T23:59:59.999Z");
    const november = await keys().host();
    clock.set("2026-12-01T00:00:00.000Z");
    const december = await keys().host();
    clock.set("2026-11-15T00:00:00.000Z");
    expect((await keys().host()).keyId).toBe(november.keyId);
    expect(december.keyId).not.toBe(november.keyId);
  });

  test("change with the recovery and the drill key, so that nothing more is sealed to the old one alone", async () => {
    const before = [await keys().host(), ...(await keys().mailboxes([alice]))];
    const replacement = generateIdentity();
    for (const changes of [{ recoveryRecipient: replacement.recipient }, { drillRecipient: drill.recipient }]) {
      const after = [await keys(changes).host(), ...(await keys(changes).mailboxes([alice]))];
      for (const [index, key] of after.entries()) expect(key.keyId).not.toBe(before[index]!.keyId);
    }
    const [newest] = await keys({ recoveryRecipient: replacement.recipient }).mailboxes([alice]);
    const opens = await keyring(replacement.identity).opener(newest!.ownerId, newest!.keyId);
    expect(opens(newest!.seal(Buffer.from("x"))).toString()).toBe("x");
  });

  test("name no one in public: owners are random, and the address stands in the sealed object alone", async () => {
    const [mailbox] = await keys().mailboxes([alice]);
    expect(mailbox!.ownerId).toMatch(patterns.ownerId);
    const [[key, bytes]] = [...store.objects] as [[string, Buffer]];
    expect(`${key}${bytes.toString("latin1")}`).not.toMatch(/alice|example/);
    const opened = await keyring().key(mailbox!.ownerId, mailbox!.keyId);
    expect(opened).toMatchObject({
      mailbox: alice.path,
      address: alice.address,
      createdAt: "2026-11-21T02:00:00.000Z",
    });

    stateDirectory = join(scratchDirectory(), "elsewhere");
    const [other] = await keys().mailboxes([alice]);
    expect(other!.ownerId).not.toBe(mailbox!.ownerId);
  });

  test("take any path for a mailbox", async () => {
    const odd = ["__proto__", "constructor", "\xff\n\t%", "toString"].map((path) => ({ path }));
    const made = await keys().mailboxes(odd);
    for (const [index, key] of made.entries()) {
      expect(await keyring().key(key.ownerId, key.keyId)).toMatchObject({ mailbox: odd[index]!.path });
    }
    expect(ids((await keys().mailboxes(odd)).slice(1))).toEqual(ids(made.slice(1)));
  });

  test("leave no private half on the host: the state has public ones, and is the owner's alone", async () => {
    await keys().host();
    await keys().mailboxes([alice]);
    const text = readFileSync(statePath(), "utf8");
    expect(text).not.toMatch(/secret/i);
    expect(statSync(statePath()).mode & 0o777).toBe(0o600);
    expect(statSync(stateDirectory).mode & 0o777).toBe(0o700);
  });
});

describe("the state of the keys", () => {
  test("that is lost means new keys; the old ones still open what they sealed", async () => {
    const before = await keys().host();
    const sealed = before.seal(Buffer.from("old"));
    nodeFiles.unlinkSync(statePath());
    const after = await keys().host();
    expect(after.keyId).not.toBe(before.keyId);
    const opens = await keyring().opener(before.ownerId, before.keyId);
    expect(opens(sealed).toString()).toBe("old");
  });

  test("that is another host's means new keys, which are in this host's keyring", async () => {
    const before = [await keys().host(), ...(await keys().mailboxes([alice]))];
    const other = { hostId: "host-2" };
    const after = [await keys(other).host(), ...(await keys(other).mailboxes([alice]))];
    for (const [index, { ownerId, keyId }] of after.entries()) {
      expect(keyId).not.toBe(before[index]!.keyId);
      expect(store.objects.has(keyringKey("host-2", ownerId, keyId))).toBe(true);
    }
    expect(ids([await keys(other).host(), ...(await keys(other).mailboxes([alice]))])).toEqual(ids(after));
  });

  test("that was written before it named its host means new keys", async () => {
    const before = await keys().host();
    const { hostId: _, ...old } = JSON.parse(readFileSync(statePath(), "utf8"));
    writeFileSync(statePath(), JSON.stringify(old));
    expect((await keys().host()).keyId).not.toBe(before.keyId);
  });

  test("names keys that another store has: where the store can be asked, those that it lacks are made anew", async () => {
    const head: ObjectReader["head"] = (key) => store.head(key);
    const host = await keys({ head }).host();
    const [first, second] = await keys({ head }).mailboxes([alice, bob]);
    store.objects.delete(keyringKey("host-1", host.ownerId, host.keyId));
    store.objects.delete(keyringKey("host-1", first!.ownerId, first!.keyId));
    const after = [await keys({ head }).host(), ...(await keys({ head }).mailboxes([alice, bob]))];
    expect(after[0]!.keyId).not.toBe(host.keyId);
    expect(after[1]!.keyId).not.toBe(first!.keyId);
    expect(after[2]!.keyId).toBe(second!.keyId);
    for (const { ownerId, keyId } of after) {
      expect(store.objects.has(keyringKey("host-1", ownerId, keyId))).toBe(true);
    }
    expect(ids([await keys({ head }).host(), ...(await keys({ head }).mailboxes([alice, bob]))])).toEqual(ids(after));
  });

  test("is asked after once a run and key, and a store that does not answer makes no new key", async () => {
    const before = [await keys().host(), ...(await keys().mailboxes([alice]))];
    let asked = 0;
    const counting: ObjectReader["head"] = (key) => {
      asked += 1;
      return store.head(key);
    };
    const one = keys({ head: counting });
    for (let time = 0; time < 3; time += 1) {
      expect(ids([await one.host(), ...(await one.mailboxes([alice]))])).toEqual(ids(before));
    }
    expect(asked).toBe(2);
    const stored = store.objects.size;
    const silent: ObjectReader["head"] = async () => {
      throw errnoError("EIO");
    };
    await expect(keys({ head: silent }).host()).rejects.toThrow("EIO");
    await expect(keys({ head: silent }).mailboxes([alice])).rejects.toThrow("EIO");
    expect(store.objects.size).toBe(stored);
  });

  test.each(["", "{", "[]", '{"host":{},"mailboxes":{}}', '{"holders":[],"host":{"2026-11":{}},"mailboxes":{}}'])(
    "that is damaged is told, with what to do, and nothing is stored: %j",
    async (text) => {
      await keys().host();
      writeFileSync(statePath(), text);
      const stored = store.objects.size;
      for (const call of [keys().host(), keys().mailboxes([alice])]) {
        await expect(call).rejects.toMatchObject({
          code: "STATE_INVALID",
          detail: statePath(),
          hint: expect.stringContaining("move the file away"),
        });
      }
      expect(store.objects.size).toBe(stored);
    },
  );

  test("names no key that is not in the keyring, whatever call fails or is the last before death", async () => {
    const faults = [
      (at: number) => ({ at, throw: errnoError("ENOSPC") }),
      (at: number) => ({ at, die: "before" as const }),
      (at: number) => ({ at, die: "after" as const }),
      (at: number) => ({ at, die: "torn" as const }),
    ];
    for (const fault of faults) {
      const work = async (plan: ReturnType<typeof faultPlan>) => {
        store = memoryStore();
        stateDirectory = join(scratchDirectory(), "state");
        const world = { store: withFaults(store, plan, "store"), files: withFaults(nodeFiles, plan, "files") };
        const failing = keys(world);
        await failing.host().catch(() => {});
        await failing.mailboxes([alice, bob]).catch(() => {});
      };
      for await (const { call } of sweep(fault, work)) {
        if (existsSync(statePath())) {
          const state = JSON.parse(readFileSync(statePath(), "utf8"));
          for (const { ownerId, keyId } of [
            ...Object.values(state.host),
            ...Object.values(state.mailboxes),
          ] as SealingKey[]) {
            expect(store.objects.has(keyringKey("host-1", ownerId, keyId)), call).toBe(true);
          }
        }
        for (const key of [await keys().host(), ...(await keys().mailboxes([alice, bob]))]) {
          const opens = await keyring().opener(key.ownerId, key.keyId);
          expect(opens(key.seal(Buffer.from("x"))).toString()).toBe("x");
        }
      }
    }
  });

  test("counts a key only once it is on disk: after a failed save the same keys are not given out", async () => {
    const full = {
      ...nodeFiles,
      renameSync: () => {
        throw errnoError("ENOSPC", "rename");
      },
    } as Files;
    const one = keys({ files: full });
    await expect(one.mailboxes([alice])).rejects.toThrow("ENOSPC");
    await expect(one.mailboxes([alice])).rejects.toThrow("ENOSPC");
    expect(existsSync(statePath())).toBe(false);
  });
});
