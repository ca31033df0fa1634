import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import type { ComponentName } from "../../../core/keys.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Check, Component, World } from "../../../shipper/components/component.ts";
import { nodeProcesses } from "../../../shipper/processes.ts";
import { Journal } from "../../../shipper/restore/journal.ts";
import { type Item, restoreItem, restoreServices } from "../../../shipper/restore/restore-host.ts";
import { servicesConfig } from "../../../shipper/restore/services.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const snapshotId = "20261121T020000.000Z-0123456789";
const world: World = {
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
};
const journalAt = (path: string) => new Journal(nodeFiles, systemClock, path, "h-test0123");

/** A service that is filled in steps: what it holds is a list of words. */
class Shelf {
  readonly words: string[];
  outcome: Check["outcome"] = "passed";
  stage: () => Promise<void> = async () => {
    this.words.push("one", "two");
  };

  constructor(...words: string[]) {
    this.words = words;
  }

  item(name: ComponentName = "mysql", service = "here"): Item {
    const place = { kind: "service" } as const;
    const component: Partial<Component> = {
      name,
      stage: async () => {
        await this.stage();
        return { place, remove: async () => {} };
      },
      check: async () => [{ name: "words", outcome: this.outcome, detail: "" }],
      filling: {
        refuseUnlessEmpty: async () => {
          if (this.words.length > 0) throw new MailarkError("TARGET_NOT_EMPTY", "it holds something");
        },
        takeBack: async () => void this.words.splice(0),
      },
    };
    const snapshot = { manifest: { snapshotId, component: name } };
    return { component: component as Component, snapshot: snapshot as SnapshotReader, service };
  }
}

/** What is there at the moment at which a process is killed: its calls never end. */
const killed = (half: () => void) => () => {
  half();
  return new Promise<never>(() => {});
};

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

describe("a component that is brought back into its service", () => {
  test("is noted before anything is put there, and when it is whole", async () => {
    const path = join(scratchDirectory(), "state", "restore.json");
    const shelf = new Shelf();
    let during: unknown;
    const { stage } = shelf;
    shelf.stage = async () => {
      during = JSON.parse(readFileSync(path, "utf8")).steps;
      await stage();
    };
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "restored" });
    expect(during).toEqual({ mysql: { snapshotId, state: "begun", service: "here" } });
    expect(journalAt(path).step("mysql")).toEqual({ snapshotId, state: "done", service: "here" });
  });

  test("is refused where something is, which is neither touched nor noted", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf("somebody's");
    const outcome = await restoreItem(shelf.item(), journalAt(path), world);
    expect(outcome).toMatchObject({ state: "failed", error: { code: "TARGET_NOT_EMPTY" } });
    expect(shelf.words).toEqual(["somebody's"]);
    expect(journalAt(path).step("mysql")).toBeUndefined();
  });

  test("is begun anew after a kill, and what the dead restore left is taken back first", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf();
    const whole = shelf.stage;
    shelf.stage = killed(() => shelf.words.push("one"));
    void restoreItem(shelf.item(), journalAt(path), world);
    await settled();
    expect(shelf.words).toEqual(["one"]);
    shelf.stage = whole;
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "restored" });
    expect(shelf.words).toEqual(["one", "two"]);
  });

  test("is not done twice", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf();
    await restoreItem(shelf.item(), journalAt(path), world);
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "restored before" });
    expect(shelf.words).toEqual(["one", "two"]);
  });

  test("is never taken back once it failed by itself: somebody may have helped it since", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf();
    shelf.stage = async () => {
      throw new MailarkError("RESTORE_FAILED", "the server did not like it");
    };
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "failed" });
    shelf.words.push("by hand");
    const again = await restoreItem(shelf.item(), journalAt(path), world);
    expect(again).toMatchObject({ state: "failed", error: { code: "TARGET_NOT_EMPTY" } });
    expect(shelf.words).toEqual(["by hand"]);
  });

  test("that was done, and lost again before everything was, is done anew", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf();
    await restoreItem(shelf.item(), journalAt(path), world);
    shelf.words.splice(0);
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "restored" });
    expect(shelf.words).toEqual(["one", "two"]);
  });

  test("and was interrupted with something left is finished by the next run", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf();
    const whole = shelf.stage;
    const interrupted = new AbortController();
    shelf.stage = async () => {
      shelf.words.push("one");
      interrupted.abort(new MailarkError("INTERRUPTED", "interrupted"));
      throw interrupted.signal.reason;
    };
    await expect(
      restoreItem(shelf.item(), journalAt(path), { ...world, signal: interrupted.signal }),
    ).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(journalAt(path).step("mysql")?.state).toBe("begun");
    shelf.stage = whole;
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "restored" });
    expect(shelf.words).toEqual(["one", "two"]);
  });

  test("is not taken back from another service than the one that was being filled", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf();
    shelf.stage = killed(() => shelf.words.push("one"));
    void restoreItem(shelf.item(), journalAt(path), world);
    await settled();
    const other = new Shelf("one");
    const outcome = await restoreItem(other.item("mysql", "elsewhere"), journalAt(path), world);
    expect(outcome).toMatchObject({ state: "failed", error: { code: "RESTORE_FAILED" } });
    expect(other.words).toEqual(["one"]);
  });

  test("that is not as it was captured stays where it is, and is told again", async () => {
    const path = join(scratchDirectory(), "restore.json");
    const shelf = new Shelf();
    shelf.outcome = "failed";
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "questionable" });
    expect(await restoreItem(shelf.item(), journalAt(path), world)).toMatchObject({ state: "questionable" });
    expect(shelf.words).toEqual(["one", "two"]);
  });
});

const sound = { amiss: false, accept: false };

describe("the services around it", () => {
  /** Writes down its words. */
  function controlled(directory: string) {
    const log = join(directory, "log");
    const script = 'echo "$@" >> "$0"';
    const services = servicesConfig.parse({
      control: ["sh", "-c", script, log],
      databases: ["mariadb", "redis"],
      mail: ["dovecot", "postfix"],
    });
    const said = () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
    return { services, said };
  }

  test("are restarted to be filled, and started when everything is there; then nothing is left to finish", async () => {
    const directory = scratchDirectory();
    const { services, said } = controlled(directory);
    const journal = journalAt(join(directory, "restore.json"));
    const items = [new Shelf().item("mysql"), new Shelf().item("mail")];
    const { mail } = await restoreServices({ items, services, journal, ...sound }, world);
    expect(mail).toBe("started");
    expect(said()).toEqual(["restart mariadb", "restart redis", "start dovecot postfix"]);
    expect(existsSync(journal.path)).toBe(false);
  });

  test("are left down when something did not come back, while the rest does", async () => {
    const directory = scratchDirectory();
    const { services, said } = controlled(directory);
    const journal = journalAt(join(directory, "restore.json"));
    const last = new Shelf();
    const items = [new Shelf("somebody's").item("mysql"), last.item("mail")];
    const result = await restoreServices({ items, services, journal, ...sound }, world);
    expect(result.mail).toBe("left down");
    expect(result.items.map(({ state }) => state)).toEqual(["failed", "restored"]);
    expect(last.words).toEqual(["one", "two"]);
    expect(said()).toEqual(["restart mariadb", "restart redis"]);
    expect(journalAt(journal.path).step("mail")?.state).toBe("done");
  });

  test("are started over what is questionable where the operator accepts it, and then nothing is left to finish", async () => {
    const directory = scratchDirectory();
    const { services, said } = controlled(directory);
    const journal = journalAt(join(directory, "restore.json"));
    const shelf = new Shelf();
    shelf.outcome = "failed";
    const items = [shelf.item("mail")];
    expect((await restoreServices({ items, services, journal, ...sound }, world)).mail).toBe("left down");
    expect(existsSync(journal.path)).toBe(true);
    const accepted = await restoreServices({ items, services, journal, amiss: true, accept: true }, world);
    expect(accepted).toMatchObject({ mail: "started", items: [{ state: "questionable" }] });
    expect(said().at(-1)).toBe("start dovecot postfix");
    expect(existsSync(journal.path)).toBe(false);
  });

  test("that do not start are told beside everything that came back", async () => {
    const journal = journalAt(join(scratchDirectory(), "restore.json"));
    const control = ["sh", "-c", "echo $1 is masked >&2; exit 5", "control"];
    const services = servicesConfig.parse({ control, databases: ["mariadb"], mail: ["postfix"] });
    const result = await restoreServices({ items: [new Shelf().item("mail")], services, journal, ...sound }, world);
    expect(result).toMatchObject({ mail: "not started", items: [{ state: "restored" }] });
    expect(result.complaints.map(({ detail }) => detail)).toEqual(["restart is masked", "start is masked"]);
  });

  test("are not ours to start where none is named; then, too, nothing is left to finish", async () => {
    const journal = journalAt(join(scratchDirectory(), "restore.json"));
    const items = [new Shelf().item("mail")];
    const { mail } = await restoreServices({ items, services: undefined, journal, ...sound }, world);
    expect(mail).toBe("not ours to start");
    expect(existsSync(journal.path)).toBe(false);
  });
});

describe("a journal", () => {
  test("keeps the snapshots that were chosen first, wherever it moves", () => {
    const directory = scratchDirectory();
    const journal = journalAt(join(directory, "old", "restore.json"));
    journal.plan([{ name: "mail", snapshotId }]);
    journal.plan([{ name: "mail", snapshotId: snapshotId.replace("2026", "2027") }]);
    journal.moveTo(join(directory, "new", "restore.json"));
    expect(existsSync(join(directory, "old", "restore.json"))).toBe(false);
    const again = journalAt(join(directory, "new", "restore.json"));
    expect(again.step("mail")).toEqual({ snapshotId, state: "planned" });
    expect(again.isOld).toBe(true);
  });

  test("that is older than a week is not gone on with", () => {
    const path = join(scratchDirectory(), "restore.json");
    const then = { now: () => Date.now() - 8 * 24 * 3600 * 1000, sleep: systemClock.sleep };
    new Journal(nodeFiles, then, path, "h-test0123").plan([{ name: "mail", snapshotId }]);
    expect(() => journalAt(path)).toThrow(expect.objectContaining({ code: "STATE_INVALID" }));
  });

  test.each([
    ["that is rubbish", "{"],
    ["of another kind", '{"format":"other"}'],
    ["of another host", '{"format":"mailark-restore/1","hostId":"h-other","steps":{}}'],
  ])("%s stops a restore before anything is done", (_, text) => {
    const path = join(scratchDirectory(), "restore.json");
    writeFileSync(path, text);
    expect(() => journalAt(path)).toThrow(expect.objectContaining({ code: "STATE_INVALID" }));
  });
});
