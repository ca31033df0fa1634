import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MailarkError } from "../../../../core/errors.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { redisComponent } from "../../../../shipper/components/redis/component.ts";
import type { Connection } from "../../../../shipper/components/redis/connection.ts";
import { nodeProcesses, outputOf, type Processes } from "../../../../shipper/processes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import {
  asUser,
  captured,
  configOf,
  contentOf,
  fillWithEverything,
  scratchPath,
  shop,
  sourceOf,
  throughScratch,
} from "./fixtures.ts";

const databases = [0, 3, 11];
let source: SandboxHost;
let target: SandboxHost;
let vault: Vault;
let snapshot: Awaited<ReturnType<typeof captured>>;
let live: Connection;
beforeAll(async () => {
  const settings = { redis: { appendonly: "yes" } };
  [source, target, vault] = await Promise.all([
    startHost({ services: ["redis"], settings }),
    startHost({ services: ["redis"], settings }),
    createVault(),
  ]);
  await fillWithEverything(source.redis);
  snapshot = await captured(vault, configOf(source));
  live = await sourceOf(configOf(target), vault);
});
afterAll(async () => {
  vault?.remove();
  await Promise.all([source?.stop(), target?.stop()]);
});

const intoService = (more: Parameters<typeof configOf>[1] = {}, processes?: Processes) =>
  redisComponent(configOf(target, more)).stage(
    snapshot,
    { kind: "service" },
    {},
    vault.world(processes ? { processes } : {}),
  );

async function emptyAgain() {
  await target.redis.wipe();
}

describe("an empty service", () => {
  test("is filled exactly, keeps it over a restart, and never was a replica", async () => {
    const component = redisComponent(configOf(target, { hold: [] }));
    const staged = await intoService({ hold: [] });
    const expected = await contentOf(await sourceOf(configOf(source), vault), databases);
    const found = await contentOf(live, databases);
    expect(found.keys).toBe(expected.keys);
    expect([...found.expiries]).toEqual([...expected.expiries]);
    expect(await live.ask(["FCALL", "twice", "0", "21"])).toBe("42");
    const client = ["redis-cli", "-s", target.redis.socket];
    expect(await asUser([...client, "GET", "cache:1"], "mailapp", "app secret")).toBe("");
    expect(await asUser([...client, "GET", "other"], "mailapp", "app secret")).toContain("NOPERM");
    const checks = await component.check(staged, vault.world());
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(checks.find(({ name }) => name === "on hold")?.detail).toBe("no key is on hold");
    await staged.remove();
    await target.redis.stop();
    await target.redis.start();
    expect((await contentOf(live, databases)).keys).toBe(expected.keys);
    expect(await live.ask(["ROLE"])).toMatch(/^master/);
    expect(readFileSync(target.redis.log, "utf8")).not.toMatch(/REPLICAOF|MASTER <-> REPLICA/);
    await emptyAgain();
  });

  test("has queues and sessions under another name until they are released, by the lines of the guide", async () => {
    const component = redisComponent(configOf(target));
    const staged = await intoService();
    const names = async () => (await live.ask(["KEYS", "*"], 11)).split("\n").toSorted();
    const own = ["_kombu.binding.celery", "celery", "session:abc", "unacked"];
    expect(await names()).toEqual(own.map((name) => `mailark:held:${name}`));
    const checks = await component.check(staged, vault.world());
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(checks.find(({ name }) => name === "on hold")?.detail).toMatch(/^4 in database 11/);
    await inShell(guideLine("RENAMENX"));
    expect(await names()).toEqual(own);
    expect(await live.ask(["LRANGE", "celery", "0", "-1"], 11)).toBe("task2\ntask1");
    expect(Number(await live.ask(["TTL", "session:abc"], 11))).toBeGreaterThan(4900);
    expect(await component.check(staged, vault.world())).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: "database 11", outcome: "passed" })]),
    );
    await emptyAgain();

    await intoService();
    await inShell(guideLine("UNLINK"));
    expect(await names()).toEqual([""]);
    await emptyAgain();
  });
});

describe("a service whose restore was ended", () => {
  const takeBack = () => redisComponent(configOf(target)).filling!.takeBack(snapshot, vault.world());

  test("is emptied again, whatever of it was loaded, also where keys were let go", async () => {
    await (await intoService()).remove();
    await live.ask(["DEL", "short"]);
    await live.ask(["UNLINK", "mailark:held:celery"], 11);
    await live.ask(["RENAME", "other", "mailark:held:other"], 3);
    await takeBack();
    expect(await live.ask(["INFO", "keyspace"])).not.toContain("keys=");
    expect(await live.ask(["FUNCTION", "LIST"])).toBe("");
  });

  test.each([
    ["a key that is not in the snapshot", ["SET", "order\r\n1", "paid"], 0, '"order\\r\\n1" in database 0'],
    ["a key of another database", ["SET", "short", "1"], 3, '"short" in database 3'],
    ["a task for a queue that is on hold", ["LPUSH", "celery", "task"], 11, '"celery" in database 11'],
    [
      "functions",
      ["FUNCTION", "LOAD", shop.replaceAll("twice", "thrice").replace("=shop", "=mine")],
      0,
      "function mine",
    ],
    ["a user", ["ACL", "SETUSER", "late"], 0, "user late"],
  ])("is left as it is when %s came afterwards", async (_, words, database, detail) => {
    await (await intoService()).remove();
    // Fewer keys than the snapshot has: their number tells nothing.
    for (const number of [0, 11]) await live.ask(["EVAL", "redis.call('DEL', redis.call('RANDOMKEY'))", "0"], number);
    await live.ask(words, database);
    const before = await contentOf(live, databases);
    await expect(takeBack()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", detail });
    expect((await contentOf(live, databases)).keys).toBe(before.keys);
    await emptyAgain();
    await live.ask(["ACL", "DELUSER", "late"]);
  });
});

describe("what was captured while keys were on hold", () => {
  test.each([{ hold: ["celery", "session:*"] }, { hold: [] }])(
    "is proven, and comes back, with %j",
    async ({ hold }) => {
      await (await intoService()).remove();
      await live.ask(["LPUSH", "celery", "of the application that was started again"], 11);
      const own = configOf(target, { hold });
      const expected = await contentOf(live, databases);
      const during = await captured(vault, own);
      await throughScratch(vault, own, async (staged) => {
        const checks = await redisComponent(own).check(staged, vault.world());
        expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
      });
      await emptyAgain();
      const staged = await redisComponent(own).stage(during, { kind: "service" }, {}, vault.world());
      const checks = await redisComponent(own).check(staged, vault.world());
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      if (hold.length > 0) for (const _ of [1, 2]) await inShell(guideLine("RENAMENX"));
      const names = async () => (await live.ask(["KEYS", "*celery"], 11)).split("\n").toSorted();
      if (hold.length === 0) expect((await contentOf(live, databases)).keys).toBe(expected.keys);
      else expect(await names()).toEqual(["_kombu.binding.celery", "celery", "mailark:held:celery"]);
      await emptyAgain();
    },
  );
});

/** The line of the guide that has this word, for the sandbox's server. */
function guideLine(word: string): string {
  const guide = readFileSync(new URL("../../../../docs/guide.md", import.meta.url), "utf8");
  const line = guide.split("\n").find((each) => each.startsWith("redis-cli") && each.includes(word));
  expect(line).toBeDefined();
  return line!.replace("redis-cli -n 0", `redis-cli -s ${target.redis.socket} -n 11`);
}

async function inShell(line: string) {
  await outputOf(nodeProcesses, ["sh", "-c", line], { env: target.redis.environment });
}

describe("a service that", () => {
  test.each([
    ["holds a key", ["SET", "a", "b"], "1 keys in database 0"],
    [
      "holds functions",
      ["FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() end)"],
      "functions: l",
    ],
    ["has users", ["ACL", "SETUSER", "someone"], "users: someone"],
    ["is a replica", ["REPLICAOF", "127.0.0.1", "1"], undefined],
  ])("%s is refused before anything is touched", async (_, words, detail) => {
    await live.ask(words);
    const before = (await live.ask(["INFO", "commandstats"])).match(/cmdstat_(restore|acl\|setuser|flushall).*/g);
    await expect(intoService()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY", ...(detail && { detail }) });
    expect((await live.ask(["INFO", "commandstats"])).match(/cmdstat_(restore|acl\|setuser|flushall).*/g)).toEqual(
      before,
    );
    await emptyAgain();
  });

  test("could be given only a part of a snapshot is not touched", async () => {
    const later = Object.create(snapshot, {
      readPart: {
        value: async function* (part: { name: string }) {
          if (part.name !== "facts") yield* snapshot.readPart(snapshot.part(part.name));
          else yield Buffer.from('{"counted":false,"databases":[],"libraries":[],"users":[],"settings":{}}');
        },
      },
    });
    const component = redisComponent(configOf(target));
    await live.ask(["CONFIG", "RESETSTAT"]);
    await expect(component.stage(later, { kind: "service" }, {}, vault.world())).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      hint: expect.stringContaining("dump.rdb"),
    });
    expect(await live.ask(["INFO", "commandstats"])).not.toMatch(/cmdstat_(restore|flushall)/);
  });

  test("refuses a single key is empty again", async () => {
    await live.ask(["CONFIG", "SET", "maxmemory", "3mb"]);
    await expect(intoService()).rejects.toMatchObject({ code: "PROGRAM_FAILED", detail: expect.stringMatching(/OOM/) });
    await expectEmpty();
    await emptyAgain();
  });

  test("is filled from a snapshot that is damaged at its end is empty again", async () => {
    const damaged = Object.create(snapshot, {
      readPart: {
        value: async function* (part: { name: string }) {
          yield* snapshot.readPart(snapshot.part(part.name));
          if (part.name === "rdb") throw new MailarkError("OBJECT_CORRUPT", "damaged");
        },
      },
    });
    const component = redisComponent(configOf(target));
    await expect(component.stage(damaged, { kind: "service" }, {}, vault.world())).rejects.toMatchObject({
      code: "OBJECT_CORRUPT",
    });
    await expectEmpty();
  });

  test("is filled when somebody interrupts is empty again", async () => {
    const controller = new AbortController();
    const interrupted = Object.create(snapshot, {
      readPart: {
        value: async function* (part: { name: string }) {
          yield* snapshot.readPart(snapshot.part(part.name));
          if (part.name !== "rdb") return;
          while (!(await live.ask(["INFO", "keyspace"])).includes("db0:")) await sleep(5);
          controller.abort();
        },
      },
    });
    const world = vault.world({ signal: controller.signal });
    const component = redisComponent(configOf(target));
    await expect(component.stage(interrupted, { kind: "service" }, {}, world)).rejects.toMatchObject({
      name: "AbortError",
    });
    await expectEmpty();
  });

  async function expectEmpty() {
    expect(await live.ask(["INFO", "keyspace"])).not.toContain("keys=");
    expect(await live.ask(["FUNCTION", "LIST"])).toBe("");
    expect((await live.ask(["ACL", "LIST"])).split("\n")).toHaveLength(1);
  }
});

describe("a directory", () => {
  test("has the files that a fresh server starts with", async () => {
    const place = scratchPath();
    const component = redisComponent(configOf(source));
    try {
      const staged = await component.stage(snapshot, { kind: "directory", path: place.path }, {}, vault.world());
      expect(readdirSync(place.path).toSorted()).toEqual([
        "README.txt",
        "appendonlydir",
        "dump.rdb",
        "facts.json",
        "users.acl",
      ]);
      expect(await component.check(staged, vault.world())).toMatchObject([
        { name: "files", outcome: "passed" },
        { name: "loading", outcome: "unproven" },
      ]);
      expect(readFileSync(`${place.path}/users.acl`, "utf8")).toMatch(
        /^user default .*\nuser mailapp on .*\nuser sleeper off/,
      );
      const said = await outputOf(nodeProcesses, ["redis-check-rdb", `${place.path}/dump.rdb`]);
      expect(said.toString()).toContain("RDB looks OK");
      await expect(
        component.stage(snapshot, { kind: "directory", path: place.path }, {}, vault.world()),
      ).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    } finally {
      place.remove();
    }
  });
});

describe("a check of a scratch server", () => {
  test("notices every loss, and passes again when it is made good", async () => {
    await throughScratch(vault, configOf(source), async (staged) => {
      const verdicts = async () => {
        const checks = await redisComponent(configOf(source)).check(staged, vault.world());
        return checks.filter(({ outcome }) => outcome === "failed").map(({ detail }) => detail);
      };
      for (const [loss, repair, detail] of losses) {
        await staged.connection.ask(loss);
        expect(await verdicts(), loss.join(" ")).toEqual([expect.stringContaining(detail)]);
        await staged.connection.ask(repair);
      }
      expect(await verdicts()).toEqual([]);
    });
  });

  test("notices a file of which the server loaded less", async () => {
    await throughScratch(vault, configOf(source), async (staged) => {
      const loaded = staged.loaded!.map((each) => ({ ...each, keys: each.keys - (each.database === 3 ? 1 : 0) }));
      const checks = await redisComponent(configOf(source)).check({ ...staged, loaded }, vault.world());
      expect(checks.filter(({ outcome }) => outcome === "failed")).toMatchObject([{ name: "database 3" }]);
    });
  });
});

const losses: readonly (readonly [string[], string[], string])[] = [
  [["DEL", "small"], ["SET", "small", "7"], "type string without an expiry"],
  [["DEL", "once"], ["SET", "once", "gone", "PX", "86400000"], "should still be there"],
  [["RENAME", "ranks", "ranked"], ["RENAME", "ranked", "ranks"], "names, sizes or values"],
  [["SET", "number", "-12346"], ["SET", "number", "-12345"], "names, sizes or values"],
  [["LPOP", "long"], ["LPUSH", "long", "element-0-"], "names, sizes or values"],
  [["PERSIST", "manyFields"], ["EXPIRE", "manyFields", "4000"], "type hash without an expiry"],
  [["FUNCTION", "DELETE", "shop"], ["FUNCTION", "LOAD", shop], "missing: shop"],
  [["ACL", "DELUSER", "sleeper"], ["ACL", "SETUSER", "sleeper"], "missing: sleeper"],
];

describe("without the program of a server", () => {
  test("the file is judged, and loading it is unproven", async () => {
    const place = scratchPath();
    const missing: Processes = {
      start: (command, options) =>
        nodeProcesses.start(
          command.map((word) => (word === "redis-server" ? "no-such-server" : word)) as unknown as [string],
          options,
        ),
    };
    const component = redisComponent(configOf(source));
    try {
      const world = vault.world({ processes: missing });
      const staged = await component.stage(snapshot, { kind: "scratch", path: place.path }, {}, world);
      const checks = await component.check(staged, world);
      await staged.remove();
      expect(checks).toMatchObject([
        { name: "file", outcome: "passed" },
        { name: "append-only files", outcome: "passed" },
        { name: "loading", outcome: "unproven" },
      ]);
      expect(existsSync(place.path)).toBe(false);
    } finally {
      place.remove();
    }
  });
});
