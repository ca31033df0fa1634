import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withMailbox } from "../../sandbox/host/imap.ts";
import { processesIn } from "../../sandbox/host/place.ts";
import { look, type Sight } from "../../sandbox/host/sight.ts";
import { deliver } from "../../sandbox/host/smtp.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { startWholeHost, type WholeHost } from "../fixtures/whole-host.ts";

let whole: WholeHost;
let before: Sight;
let drills: string;

beforeAll(async () => {
  whole = await startWholeHost({ mailboxes: 4, messages: 20, queued: 3 });
  before = await look(whole.host, whole.addresses);
});
afterAll(() => whole.stop());

/** Nothing of a drill: no file, no process. */
const leftOfDrills = () => [...readdirSync(drills), ...processesIn(drills)];

describe("a host with everything on it", () => {
  test("is captured in one run, whose record says when each component is of", async () => {
    const backup = await whole.mailark(["--json", "backup"]);
    expect(backup.stderr).not.toContain('"event":"warning"');
    expect(backup).toMatchObject({ code: 0 });
    const names = backup.json.components.map(({ component }: { component: string }) => component);
    expect(names).toEqual(["mysql", "postgres", "redis", "queue", "mail", "configs", "certs"]);
    const outcomes = new Set(backup.json.components.map(({ outcome }: { outcome: string }) => outcome));
    expect([...outcomes]).toEqual(["complete"]);
    expect(await whole.mailark(["verify", "--deep", "--identity", whole.identity])).toMatchObject({ code: 0 });
  });

  test("gives a doctor nothing to find", async () => {
    const { code, json } = await whole.mailark(["--json", "doctor"]);
    const seen: { check: string; outcome: string }[] = json.sections.flatMap(
      ({ observations }: { observations: object[] }) => observations,
    );
    // Whether something keeps the clock, a machine without systemd does not say.
    const others = seen.filter(({ check }) => check !== "time");
    expect(others.filter(({ outcome }) => outcome !== "fine")).toEqual([]);
    expect(json.sections).toHaveLength(11);
    expect(code).toBe(0);
  });

  test("is proven by a drill, in a scratch place of which nothing stays", async () => {
    drills = scratchDirectory();
    const report = join(whole.operator, "drill.json");
    const probe = ["--probe", whole.addresses[0]!, "--probe-password-file", whole.passwordFile];
    const words = ["--identity", whole.identity, "--scratch", drills, "--report", report];
    chmodSync(drills, 0o711);
    const drill = await whole.mailark(["--json", "drill", ...words, ...probe]);
    const open = [
      ...drill.json.components.flatMap(({ checks }: { checks: object[] }) => checks),
      ...drill.json.wholeHost.checks,
    ];
    expect(open.filter(({ outcome }: { outcome: string }) => outcome !== "passed")).toEqual([]);
    expect(drill).toMatchObject({ code: 0 });
    expect(drill.json).toMatchObject({ format: "mailark-drill/1", verdict: "proven" });
    expect(drill.json.components).toHaveLength(7);
    for (const { phases, ageMilliseconds } of drill.json.components) {
      expect(phases.map(({ phase }: { phase: string }) => phase)).toEqual(["stage", "check"]);
      expect(ageMilliseconds).toBeGreaterThan(0);
    }
    expect(JSON.parse(readFileSync(report, "utf8"))).toEqual(drill.json);
    expect(statSync(report).mode & 0o777).toBe(0o600);
    // What a server has started ends when it sees that the server is gone.
    await expect.poll(leftOfDrills, { timeout: 10_000 }).toEqual([]);
    expect(await look(whole.host, whole.addresses)).toEqual({ ...before, files: expect.anything() });
  });

  test("is lost, and comes back onto a new machine with the recovery key alone", async () => {
    const { host, addresses } = whole;
    const { files } = await look(host, []);
    await whole.loseMachine();
    const plan = await whole.mailark(["restore", "--all", "--dry-run", ...whole.fromNothing]);
    expect(plan).toMatchObject({ code: 0 });
    expect(plan.stdout).toMatch(
      /1 +configs .*\n +2 +certs .*\n +3 +mysql .*\n +4 +postgres .*\n +5 +redis .*\n +6 +mail .*\n +7 +queue /,
    );
    expect(readdirSync(host.vmail)).toEqual([]);

    const restored = await whole.mailark(["restore", "--all", ...whole.fromNothing]);
    expect(restored.stderr).toBe("");
    expect(restored.stdout).toContain("7 of 7 components are back");
    expect(restored).toMatchObject({ code: 0 });
    const after = await look(host, addresses);
    const kept = Object.keys(after.files).filter((path) => path.includes(".before-mailark-"));
    expect(kept.length).toBeGreaterThan(0);
    for (const path of kept) delete (after.files as Record<string, string>)[path];
    expect(after).toEqual({ ...before, files });
    expect(await host.postfix.command("postqueue", "-p")).toMatch(/!/);

    await deliver(host, [{ from: "friend@example.test", to: addresses[1]!, subject: "after", text: "it goes on" }]);
    const letter = await withMailbox(host, addresses[1]!, async (session) =>
      session.read("INBOX", (await session.uids("INBOX")).at(-1)!),
    );
    expect(letter.toString()).toMatch(/^DKIM-Signature:.*Subject: after/ms);
  });

  test("is not restored over itself: nothing is stopped, nothing is changed", async () => {
    const { host, addresses } = whole;
    const now = await look(host, addresses);
    const pids = host.services.map((name) => host[name].pid);
    const again = await whole.mailark(["restore", "--all", "--identity", whole.identity]);
    expect(again.code).toBe(7);
    expect(again.stderr).toMatch(/mysql: .*postgres: .*redis: .*mail: /s);
    expect(host.services.map((name) => host[name].pid)).toEqual(pids);
    expect(await look(host, addresses)).toEqual(now);
  });
});
