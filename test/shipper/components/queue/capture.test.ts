import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeQueue } from "../../../../sandbox/host/postfix.ts";
import { queueComponent } from "../../../../shipper/components/queue/component.ts";
import { queueConfigSchema } from "../../../../shipper/components/queue/config.ts";
import { domainOf, readEnvelope } from "../../../../shipper/components/queue/envelope.ts";
import { readIndex } from "../../../../shipper/components/queue/index-rows.ts";
import { parseQueuePath } from "../../../../shipper/components/queue/layout.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import { ownDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { put, queueFile } from "./queue-file.ts";

let vault: Vault;
let place: ReturnType<typeof ownDirectory>;
let queue: string;
beforeAll(async () => {
  vault = await createVault();
  place = ownDirectory();
});
afterAll(() => {
  vault.remove();
  place.remove();
});
beforeEach(async () => {
  queue = join(place.path, "queue with a [strange] name*");
  rmSync(queue, { recursive: true, force: true });
  makeQueue(queue);
  put(queue, "deferred/A/AAAAA00001", queueFile("one"));
  put(queue, "hold/AAAAA00002", queueFile("two"));
  put(queue, "active/AAAAA00003", queueFile("three"));
  await sleep(60);
});

async function backup(through: Processes = nodeProcesses) {
  // There is no Postfix over this queue, and nothing of one is needed.
  const processes: Processes = {
    start: (command, options) => through.start(command[0] === "postconf" ? ["/nowhere/postconf"] : command, options),
  };
  const { outcomes } = await vault.backup([queueComponent(queueConfigSchema.parse({ directory: queue }))], {
    processes,
  });
  if (outcomes[0]?.error) throw outcomes[0].error;
  const snapshot = await vault.open("queue");
  const { messages, logs } = await readIndex(snapshot);
  await queueComponent(queueConfigSchema.parse({})).examine!(snapshot, vault.world());
  return { ...snapshot.manifest, messages, logs, paths: messages.map(({ path }) => path).toSorted() };
}

/** The machine's processes; before the n-th start of a program something happens. */
function whenStarted(program: string, act: (count: number) => void): Processes & { readonly count: () => number } {
  let count = 0;
  return {
    count: () => count,
    start: (command, options) => {
      if (command[0] === program && !command.includes("--version")) {
        count += 1;
        act(count);
      }
      return nodeProcesses.start(command, options);
    },
  };
}

const move = (from: string, to: string) => {
  mkdirSync(join(queue, to, ".."), { recursive: true });
  renameSync(join(queue, from), join(queue, to));
};

describe("a queue at rest", () => {
  test("is read once and walked over twice", async () => {
    const walks = whenStarted("find", () => {});
    const { paths, facts, warnings } = await backup(walks);
    expect(paths).toEqual(["active/AAAAA00003", "deferred/A/AAAAA00001", "hold/AAAAA00002"]);
    expect(facts).toMatchObject({ messages: 3, deferred: 1, hold: 1, active: 1, logs: 0, unfinished: 0 });
    expect(warnings).toEqual([]);
    expect(walks.count()).toBe(2);
  });

  test("is captured with its logs, and without what somebody is writing", async () => {
    put(queue, "incoming/AAAAA00004", queueFile("four", { end: false }), 0o600);
    put(queue, "maildrop/AAAAA00005", queueFile("five"), 0o744);
    put(queue, "maildrop/AAAAA00006", queueFile("six", { end: false }), 0o644);
    put(queue, "bounce/AAAAA00001", "said of one", 0o600);
    put(queue, "defer/A/AAAAA00009", "of a message that is gone", 0o600);
    put(queue, "private/AAAAA00007", "nobody's business");
    const { paths, logs, facts } = await backup();
    expect(paths).toHaveLength(4);
    expect(paths).toContain("maildrop/AAAAA00005");
    expect(logs).toMatchObject([{ path: "bounce/AAAAA00001", size: 11 }]);
    expect(facts).toMatchObject({ messages: 4, maildrop: 1, unfinished: 2, logs: 1 });
  });

  test("has what a restore brought back of maildrop in the snapshot, and says what it moved aside", async () => {
    put(queue, "maildrop.held/AAAAA00005", queueFile("five"), 0o744);
    // As a message of today may be called.
    put(queue, "maildrop.held/AAAAA00001", queueFile("six"), 0o744);
    put(queue, "corrupt.before-restore-1700000000/AAAAA00007", queueFile("seven"));
    put(queue, "defer.before-restore-1700000000/AAAAA00007", "a log");
    const { paths, facts, warnings } = await backup();
    expect(paths).toEqual(
      expect.arrayContaining(["maildrop.held/AAAAA00001", "maildrop.held/AAAAA00005", "deferred/A/AAAAA00001"]),
    );
    expect(facts).toMatchObject({ messages: 5, maildrop: 0, maildropHeld: 2 });
    expect(warnings).toEqual([{ code: "MESSAGE_ASIDE_LEFT_OUT", count: 1 }]);
  });

  test("has its damaged messages in the snapshot as they are, and they are counted", async () => {
    put(queue, "deferred/AAAAA00004", queueFile("four", { end: false }));
    put(queue, "corrupt/AAAAA00005", "what Postfix could not read");
    const { paths, warnings, completeness } = await backup();
    expect(paths).toEqual(expect.arrayContaining(["corrupt/AAAAA00005", "deferred/AAAAA00004"]));
    expect(warnings).toEqual([{ code: "MESSAGE_DAMAGED", count: 1 }]);
    expect(completeness).toBe("complete");
  });

  test("has what is no queue file counted, and not followed or opened", async () => {
    execFileSync("sh", ["-c", "mkfifo pipe; ln -s /etc/passwd ABCDEF123456; touch 'a b'"], {
      cwd: join(queue, "deferred"),
    });
    const { paths, warnings } = await backup();
    expect(paths).toHaveLength(3);
    expect(warnings).toEqual([{ code: "STRANGE_FILE_LEFT_OUT", count: 3 }]);
  });

  test("tells senders and recipients that still wait, in the encrypted part", async () => {
    const { messages, ...manifest } = await backup();
    expect(messages.map(({ envelope }) => envelope)).toContainEqual({
      sender: "sender@example.test",
      recipients: ["one@example.test"],
      contentBytes: 1,
    });
    expect(JSON.stringify({ ...manifest, paths: [] })).not.toContain("@example.test");
  });
});

describe("a message that", () => {
  test("moves between the walk and the reading is in the snapshot, once", async () => {
    const processes = whenStarted("tar", (count) => {
      if (count === 1) move("deferred/A/AAAAA00001", "incoming/AAAAA00001");
      if (count === 2) move("incoming/AAAAA00001", "active/AAAAA00001");
    });
    const { paths, facts } = await backup(processes);
    expect(paths.filter((path) => path.endsWith("AAAAA00001"))).toHaveLength(1);
    expect(facts).toMatchObject({ messages: 3 });
  });

  test("moves after it was read is not there twice", async () => {
    const processes = whenStarted("find", (count) => {
      if (count === 2) move("deferred/A/AAAAA00001", "active/AAAAA00001");
    });
    expect((await backup(processes)).paths).toEqual(["active/AAAAA00003", "deferred/A/AAAAA00001", "hold/AAAAA00002"]);
  });

  test("stands in two queues at once is in the snapshot once", async () => {
    put(queue, "active/AAAAA00001", queueFile("one"));
    await sleep(60);
    const { paths } = await backup();
    expect(paths.filter((path) => path.endsWith("AAAAA00001"))).toHaveLength(1);
  });

  test("several walks do not meet is in the snapshot, where the queue never keeps still", async () => {
    let walks = 0;
    const processes: Processes = {
      start: (command, options) => {
        if (command[0] !== "find") return nodeProcesses.start(command, options);
        walks += 1;
        // Something always changes, and one message is always where the walk has been.
        writeFileSync(join(queue, "active", `x${walks}`), "");
        const missed = walks < 6 ? "AAAAA00002" : "nothing";
        return nodeProcesses.start(
          ["bash", "-c", `set -o pipefail; "$@" | sed -z '/${missed}/d'`, "find", ...command],
          options,
        );
      },
    };
    expect((await backup(processes)).paths).toContain("hold/AAAAA00002");
    expect(walks).toBeGreaterThan(8);
  });

  test("leaves before it is read is no failure", async () => {
    const processes = whenStarted("tar", (count) => {
      if (count === 1) rmSync(join(queue, "active/AAAAA00003"));
    });
    expect((await backup(processes)).paths).toEqual(["deferred/A/AAAAA00001", "hold/AAAAA00002"]);
  });

  test("comes while the queue is read does not hold the capture up", async () => {
    const processes = whenStarted("find", (count) => {
      const now = Math.floor(Date.now() / 1000) + 60;
      put(queue, `incoming/BBBBB0${String(count).padStart(4, "0")}`, queueFile("new", { arrivedAt: now }));
    });
    const { paths } = await backup(processes);
    expect(paths).toEqual(expect.arrayContaining(["active/AAAAA00003", "deferred/A/AAAAA00001", "hold/AAAAA00002"]));
    expect(processes.count()).toBeLessThan(20);
  });

  test("is longer than it was when it was read ends the capture", async () => {
    const processes = whenStarted("find", (count) => {
      if (count === 2) appendFileSync(join(queue, "hold/AAAAA00002"), "more");
    });
    await expect(backup(processes)).rejects.toMatchObject({
      code: "CAPTURE_FAILED",
      message: expect.stringContaining("changed while it was read"),
      retryable: true,
    });
  });

  test("is taken from maildrop meanwhile is there under its new id only", async () => {
    put(queue, "maildrop/AAAAA00005", queueFile("five"), 0o744);
    const processes = whenStarted("find", (count) => {
      if (count !== 2) return;
      put(queue, "incoming/AAAAA00006", queueFile("five"));
      rmSync(join(queue, "maildrop/AAAAA00005"));
    });
    const { messages } = await backup(processes);
    const own = messages.filter(({ envelope }) => envelope?.recipients[0] === "five@example.test");
    expect(own.map(({ path }) => path)).toEqual(["incoming/AAAAA00006"]);
  });

  test("comes to maildrop meanwhile is left to the next run: it may get another id at any time", async () => {
    const processes = whenStarted("find", (count) => {
      if (count === 2) put(queue, "maildrop/AAAAA00005", queueFile("five"), 0o744);
    });
    expect((await backup(processes)).paths).toHaveLength(3);
  });

  test("is taken from maildrop when it was just to be read is looked for in the queue", async () => {
    put(queue, "maildrop/AAAAA00005", queueFile("five"), 0o744);
    const processes = whenStarted("tar", (count) => {
      if (count !== 2) return;
      put(queue, "incoming/AAAAA00006", queueFile("five"));
      rmSync(join(queue, "maildrop/AAAAA00005"));
    });
    expect((await backup(processes)).paths).toContain("incoming/AAAAA00006");
  });
});

describe("an envelope", () => {
  test("is read over the pointers that a milter leaves", () => {
    const file = queueFile("one");
    const jump = (to: number) => Buffer.concat([Buffer.from("p\x10"), Buffer.from(String(to).padStart(16))]);
    const at = file.indexOf("D\x15done-one");
    const extra = Buffer.from("R\x10late@example.tes");
    // Where the record of the recipient who was served stood, a jump to the end and back.
    const back = at + 2 + "done-one@example.test".length;
    const patched = Buffer.concat([file, extra, jump(back)]);
    Buffer.concat([jump(file.length), Buffer.from("garbage")]).copy(patched, at, 0, 18);
    expect(readEnvelope(patched)).toMatchObject({
      recipients: ["late@example.tes", "one@example.test"],
      arrivedAt: 1_700_000_000,
    });
  });

  test("of a file that ends anywhere before its end is none", () => {
    const file = queueFile("one");
    for (let bytes = 0; bytes < file.length; bytes += 1)
      expect(readEnvelope(file.subarray(0, bytes)), `${bytes}`).toBeUndefined();
    expect(readEnvelope(file)).toBeDefined();
  });

  test("of a file whose pointers go in a circle is none", () => {
    const circle = Buffer.concat([Buffer.from("S\x00"), Buffer.from(`p\x10${"2".padStart(16)}`)]);
    expect(readEnvelope(circle)).toBeUndefined();
  });

  test("gives domains in lower case, and none where there is none", () => {
    expect(["a@B.Example", '"x@y"@c.example', "root", "a@"].map(domainOf)).toEqual([
      "b.example",
      "c.example",
      undefined,
      undefined,
    ]);
  });
});

test.each([
  ["deferred/7/7ADDA22E044", { queue: "deferred", id: "7ADDA22E044" }],
  ["hold/4cnKKz0BwXz2Y", { queue: "hold", id: "4cnKKz0BwXz2Y" }],
  ["deferred/D/E/DEF0123456", { queue: "deferred", id: "DEF0123456" }],
  ["private/7ADDA22E044", undefined],
  ["deferred/../hold/7ADDA22E044", undefined],
  ["deferred/77/7ADDA22E044", undefined],
  ["deferred", undefined],
  ["/deferred/7ADDA22E044", undefined],
  ["deferred/7ADDA22E044/", undefined],
  ["deferred/7ADDA-22E044", undefined],
])("the path %s is one of a queue file, or none", (path, expected) => {
  expect(parseQueuePath(path)).toEqual(expected);
});
