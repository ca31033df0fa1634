import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { type FileStore, fileStore } from "../../core/stores/file.ts";
import { errnoError, type Fault, faultPlan, Killed, sweep, withFaults } from "../fixtures/faults.ts";
import { collect, readAll } from "../fixtures/read-all.ts";
import { ownDirectory, scratchDirectory } from "../fixtures/scratch.ts";
import { setClock } from "../fixtures/set-clock.ts";
import { describeObjectStore } from "./object-store.ts";

describeObjectStore("the store in a directory", async () => {
  const { path, remove } = ownDirectory();
  return { store: fileStore(path, { files: nodeFiles, clock: systemClock }), close: remove };
});

const key = "hosts/h1/mysql/s1/0001.pack";
const open = (directory: string, files = nodeFiles, clock = systemClock) => fileStore(directory, { files, clock });

describe("the store in a directory, on disk", () => {
  test.each([0o000, 0o022, 0o077, 0o277, 0o777])("is readable by its owner alone, with umask %o", async (umask) => {
    const top = join(scratchDirectory(), "new", "store");
    const before = process.umask(umask);
    onTestFinished(() => {
      process.umask(before);
    });
    await open(top).put(key, [Buffer.from("x")]);
    const mode = (path: string) => statSync(join(top, path)).mode & 0o7777;
    expect(mode(key)).toBe(0o600);
    for (const folder of [".", ".incoming", "hosts", "hosts/h1", "hosts/h1/mysql", dirname(key)]) {
      expect(mode(folder), folder).toBe(0o700);
    }
  });

  test.each(["mkfifo", "socket", "directory"])(
    "has no object where a %s stands, and does not wait for one",
    async (what) => {
      const top = join(scratchDirectory(), "store");
      const path = join(top, key);
      mkdirSync(dirname(path), { recursive: true });
      if (what === "mkfifo") execFileSync("mkfifo", [path]);
      if (what === "directory") mkdirSync(path);
      if (what === "socket") {
        const server = createServer();
        // The path of a socket is short, and this one is not.
        const short = join(top, "s");
        await new Promise<void>((resolve) => server.listen(short, resolve));
        onTestFinished(() => void server.close());
        renameSync(short, path);
      }
      await expect(collect(open(top).get(key))).rejects.toMatchObject({ code: "OBJECT_MISSING" });
      expect(await open(top).head(key)).toBeUndefined();
    },
  );

  test("has flushed the file before it gets its name, and every directory before put resolves", async () => {
    const top = join(scratchDirectory(), "store");
    const events: string[] = [];
    const opened = new Map<number, string>();
    const files = {
      ...nodeFiles,
      openSync: (path: string, ...rest: [string, number]) => {
        const descriptor = nodeFiles.openSync(path, ...rest);
        opened.set(descriptor, path.includes(".incoming/") ? "temporary" : path.slice(top.length) || "/");
        return descriptor;
      },
      fsyncSync: (descriptor: number) => {
        nodeFiles.fsyncSync(descriptor);
        events.push(`flush ${opened.get(descriptor)}`);
      },
      mkdirSync: (path: string, ...rest: []) => {
        nodeFiles.mkdirSync(path, ...rest);
        events.push(`make ${path.slice(top.length) || "/"}`);
      },
      linkSync: (from: string, to: string) => {
        nodeFiles.linkSync(from, to);
        events.push(`name ${to.slice(top.length)}`);
      },
    } as unknown as typeof nodeFiles;
    const store = open(top, files);

    await store.put("a/b/object", [Buffer.from("x")]);
    expect(events.slice(events.indexOf("make /.incoming"))).toEqual([
      "make /.incoming",
      "flush /",
      "flush temporary",
      "make /a",
      "flush /",
      "make /a/b",
      "flush /a",
      "name /a/b/object",
      "flush /a/b",
    ]);

    events.length = 0;
    await store.put("a/b/other", [Buffer.from("x")]);
    expect(events).toEqual(["flush temporary", "name /a/b/other", "flush /a/b"]);
  });

  test("flushes a directory that a killed writer made and may not have flushed", async () => {
    const top = scratchDirectory();
    await open(top).put("a/b/object", [Buffer.from("x")]);
    const plan = faultPlan();
    await open(top, withFaults(nodeFiles, plan)).put("a/b/other", [Buffer.from("x")]);
    expect(plan.calls.filter((call) => call === "port.fsyncSync")).toHaveLength(5);
  });

  test("never lists what is on its way, and sweeps it after a day", async () => {
    const top = scratchDirectory();
    const clock = setClock();
    await open(top, nodeFiles, clock).put("object", [Buffer.from("x")]);
    const leftover = (name: string, ageInHours: number) => {
      const path = join(top, ".incoming", name);
      writeFileSync(path, "half");
      const time = clock.now() / 1000 - ageInHours * 3600;
      utimesSync(path, time, time);
    };
    leftover("old", 25);
    leftover("young", 23);
    const store = open(top, nodeFiles, clock);
    expect((await collect(store.list(""))).map((row) => "key" in row && row.key)).toEqual(["object"]);
    await store.put("another", [Buffer.from("x")]);
    expect(readdirSync(join(top, ".incoming"))).toEqual(["young"]);
  });

  test("does not list what can not be an object: foreign names, links", async () => {
    const top = scratchDirectory();
    const store = open(top);
    await store.put("object", [Buffer.from("x")]);
    for (const name of ["lost+found", "a b", "ä", ".hidden"]) writeFileSync(join(top, name), "x");
    symlinkSync("object", join(top, "link"));
    symlinkSync(".", join(top, "loop"));
    expect((await collect(store.list(""))).map((row) => "key" in row && row.key)).toEqual(["object"]);
    expect(await store.head("link")).toBeUndefined();
  });

  test("takes a directory with a slash at its end, or that is a link", async () => {
    const top = scratchDirectory();
    symlinkSync(top, `${top}.link`);
    await open(`${top}/`).put("a/one", [Buffer.from("x")]);
    await open(`${top}.link`).put("a/two", [Buffer.from("x")]);
    expect(await collect(open(top).list("a/"))).toHaveLength(2);
    nodeFiles.unlinkSync(`${top}.link`);
  });

  test("says so where the file system has no hard links", async () => {
    const top = scratchDirectory();
    const files = withFaults(nodeFiles, faultPlan());
    const without = new Proxy(files, {
      get: (target, member) =>
        member === "linkSync"
          ? () => {
              throw errnoError("EPERM", "link");
            }
          : Reflect.get(target, member),
    });
    await expect(open(top, without).put(key, [Buffer.from("x")])).rejects.toMatchObject({
      code: "FILE_FAILED",
      message: expect.stringContaining("hard links"),
      hint: expect.stringContaining("ext4"),
    });
    expect(readdirSync(join(top, ".incoming"))).toEqual([]);
  });

  test("skips an object that is erased while it lists", async () => {
    const top = scratchDirectory();
    const store = open(top);
    await store.put("a", [Buffer.from("x")]);
    await store.put("b", [Buffer.from("x")]);
    const listed: unknown[] = [];
    for await (const row of store.list("")) {
      listed.push("key" in row && row.key);
      await store.erase("b");
    }
    expect(listed).toEqual(["a"]);
  });
});

describe("the store in a directory, when the disk fails", () => {
  const content = Buffer.alloc(300_000, "content");
  const body = [content.subarray(0, 100_000), content.subarray(100_000)];

  const expectWholeOrAbsent = async (store: FileStore): Promise<boolean> => {
    const rows = await collect(store.list(""));
    expect(rows.length).toBeLessThanOrEqual(1);
    if (rows.length === 1) expect((await readAll(store.get(key))).equals(content)).toBe(true);
    return rows.length === 1;
  };

  test.each(["ENOSPC", "EIO", "EACCES"])("survives %s at every single call", async (code) => {
    let top = "";
    let outcome: unknown;
    let store: FileStore;
    const work = async (plan: ReturnType<typeof faultPlan>) => {
      top = join(scratchDirectory(), "store");
      store = open(top, withFaults(nodeFiles, plan, "files"));
      outcome = await store.put(key, body).catch((error) => error);
    };
    let faults = 0;
    for await (const { struck, call } of sweep((at, call) => ({ at, throw: errnoError(code, call) }), work)) {
      faults += 1;
      expect(struck).toBe(true);
      const there = await expectWholeOrAbsent(open(top));
      expect(there, `after ${code} in ${call}`).toBe(!(outcome instanceof Error));
      if (outcome instanceof Error) {
        expect(outcome).toBeInstanceOf(MailarkError);
        expect(outcome).toMatchObject({
          code: "FILE_FAILED",
          message: expect.stringContaining(code),
          hint: expect.any(String),
        });
        await store!.put(key, body);
        expect(await expectWholeOrAbsent(open(top))).toBe(true);
      }
      expect(readdirSync(join(top, ".incoming")).length).toBeLessThanOrEqual(1);
    }
    expect(faults).toBeGreaterThan(20);
  });

  test.each(["before", "after", "torn"] as const)("holds whole objects only, killed %s any call", async (die) => {
    let top = "";
    let outcome: unknown;
    const work = async (plan: ReturnType<typeof faultPlan>) => {
      top = join(scratchDirectory(), "store");
      outcome = await open(top, withFaults(nodeFiles, plan, "files"))
        .put(key, body)
        .catch((error) => error);
    };
    for await (const { call } of sweep((at): Fault => ({ at, die }), work)) {
      if (outcome instanceof Error) {
        expect((outcome as MailarkError).cause, call).toBeInstanceOf(Killed);
      }
      const there = await expectWholeOrAbsent(open(top));
      const again = await open(top)
        .put(key, body)
        .catch((error) => error.code);
      if (there) expect(again).toBe("OBJECT_EXISTS");
      else expect(again).toMatchObject({ bytes: content.length });
      expect(readFileSync(join(top, key)).equals(content)).toBe(true);
    }
  });

  test("says what failed when a listing or a read fails, and never that something is absent", async () => {
    const top = scratchDirectory();
    await open(top).put(key, body);
    const calls = {
      head: (store: FileStore) => store.head(key),
      list: (store: FileStore) => collect(store.list("")),
      get: (store: FileStore) => readAll(store.get(key)),
      erase: (store: FileStore) => store.erase(key),
    };
    for (const [name, call] of Object.entries(calls)) {
      let outcome: unknown;
      const work = async (plan: ReturnType<typeof faultPlan>) => {
        outcome = await call(open(top, withFaults(nodeFiles, plan, "files"))).catch((error) => error);
        if (name === "erase")
          await open(top)
            .put(key, body)
            .catch(() => {});
      };
      for await (const plan of sweep((at) => ({ at, throw: errnoError("EIO") }), work)) {
        expect(outcome, `${name} at ${plan.call}`).toMatchObject({ code: "FILE_FAILED" });
      }
    }
  });

  test("survives a directory that was removed beside it, once it has told of it", async () => {
    const top = scratchDirectory();
    const store = open(top);
    await store.put("a/b/one", body);
    rmSync(join(top, "a"), { recursive: true });
    await expect(store.put("a/b/two", body)).rejects.toMatchObject({ code: "FILE_FAILED" });
    await store.put("a/b/two", body);
    expect((await readAll(store.get("a/b/two"))).equals(content)).toBe(true);
  });

  test("leaves nothing when it is aborted with its last byte", async () => {
    const top = scratchDirectory();
    const controller = new AbortController();
    const fsyncSync = (descriptor: number) => {
      nodeFiles.fsyncSync(descriptor);
      if (nodeFiles.fstatSync(descriptor).isFile()) controller.abort();
    };
    const store = open(top, { ...nodeFiles, fsyncSync });
    await expect(store.put(key, body, { signal: controller.signal })).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(await collect(store.list(""))).toEqual([]);
    expect(readdirSync(join(top, ".incoming"))).toEqual([]);
  });

  test("writes on after a short write", async () => {
    const top = scratchDirectory();
    const files = new Proxy({} as typeof nodeFiles, {
      get: (_, member) =>
        member === "writeSync"
          ? (descriptor: number, bytes: Uint8Array, offset: number, length: number) =>
              nodeFiles.writeSync(descriptor, bytes, offset, Math.min(length, 77_777))
          : Reflect.get(nodeFiles, member),
    });
    await open(top, files).put(key, body);
    expect(readFileSync(join(top, key)).equals(content)).toBe(true);
  });
});
