import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { nodeFiles } from "../../../core/ports/files.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: CommandLine;
let fingerprint: string;

const mailbox = () => join(host.vmail, "a.org", "u", "Maildir");
const letter = () => join(mailbox(), "cur", "1.a:2,S");
const state = () => join(host.directory, "state");
const journal = () => join(state(), "restore.json");
const application = () => join(host.directory, "app");

/** As a machine that knows nothing would: by the sheet alone. */
const restore = (words: readonly string[] = []) =>
  host.configured([
    ...["restore", "--all", "--store", host.store, "--identity", host.identity, "--fingerprint", fingerprint],
    ...words,
  ]);

/** Mail, files of an application, and mailark's own configuration: what needs no server. */
beforeEach(async () => {
  host = commandLine(scratchDirectory());
  makeFolder(mailbox());
  writeFile(letter(), "a letter");
  mkdirSync(application());
  writeFileSync(join(application(), ".env"), "SECRET=1\n");
  const sheet = await host.init();
  fingerprint = /\b[0-9a-f]{64}\b/.exec(sheet.stdout)![0];
  host.edit((text) => {
    const head = text.slice(0, text.indexOf("\ncomponents:") + 1);
    return `${head}components:
  mail:
    root: ${host.vmail}
    doveadm: {enabled: never}
  configs:
    paths: [${application()}]
`;
  });
  expect((await host.configured(["backup"])).code).toBe(0);
});

function loseMachine(): void {
  for (const path of [host.vmail, state(), application(), join(host.directory, "etc")]) {
    rmSync(path, { recursive: true, force: true });
  }
}

describe("a restore of everything", () => {
  test("needs the store and the sheet, and leaves nothing to finish", async () => {
    loseMachine();
    const restored = await restore();
    expect(restored.code, restored.stderr + restored.stdout).toBe(0);
    expect(readFileSync(letter(), "utf8")).toBe("a letter");
    expect(readFileSync(join(application(), ".env"), "utf8")).toBe("SECRET=1\n");
    expect(existsSync(journal())).toBe(false);
    expect((await host.configured(["backup"])).code).toBe(0);
  });

  test("is refused where nothing proves who wrote the store", async () => {
    loseMachine();
    const words = ["restore", "--all", "--store", host.store, "--identity", host.identity];
    const refused = await host.configured(words);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain("--fingerprint");
    expect(existsSync(host.vmail)).toBe(false);
    const believed = await host.configured([...words, "--unpinned"]);
    expect(believed.code).toBe(0);
    expect(believed.stderr).toContain("nothing proves");
  });

  test("is not begun on a disk without room, says how much it needs, and goes on when there is some", async () => {
    writeFile(letter(), "x".repeat(100_000));
    await host.configured(["backup"]);
    loseMachine();
    const words = [
      "restore",
      "--all",
      "--store",
      host.store,
      "--identity",
      host.identity,
      "--fingerprint",
      fingerprint,
    ];
    const full = {
      ports: { files: { ...nodeFiles, statfsSync: (() => ({ bavail: 100, blocks: 100_000, bsize: 512 })) as never } },
    };
    const said = await host.configured(words, full);
    expect(said.code).toBe(1);
    expect(said.stderr).toMatch(/Error: 98.2 KiB are needed for mail, and 50.0 KiB are free\n {2}.*\/vmail\nTry: /);
    expect(existsSync(letter())).toBe(false);
    expect((await restore()).code).toBe(0);
    expect(readFileSync(letter(), "utf8")).toHaveLength(100_000);
  });

  test("says what is configured and was never captured, and what --at is too early for", async () => {
    const before = new Date().toISOString();
    host.edit((text) => `${text}  certs:\n    paths: [${application()}]\n`);
    expect((await host.configured(["backup"])).code).toBe(0);
    loseMachine();
    const early = await restore(["--at", before]);
    expect(early.code).toBe(3);
    expect(early.stdout).toMatch(/certs +FAILED +none/);
    expect(early.stdout).toMatch(/mail +restored/);
    expect(early.stdout).toContain("2 of 3 components are back");
    loseMachine();
    const [folder = ""] = readdirSync(join(host.storeDirectory, "hosts"));
    rmSync(join(host.storeDirectory, "hosts", folder, "certs"), { recursive: true });
    const never = await restore();
    expect(never.code).toBe(3);
    expect(never.stdout).toMatch(/certs: .*there is no snapshot of certs/s);
  });

  test("that did not end is finished with the snapshots that it chose, and no backup comes between", async () => {
    loseMachine();
    mkdirSync(host.vmail);
    writeFileSync(join(host.vmail, "in-the-way"), "");
    const first = await restore();
    expect(first.code).toBe(3);
    expect(first.stdout).toMatch(/configs +restored/);
    expect(existsSync(journal())).toBe(true);

    const backup = await host.configured(["backup"]);
    expect(backup.code).toBe(5);
    expect(backup.stderr).toContain("a restore of this host is not finished");
    expect((await restore(["--at", "2026-01-01"])).code).toBe(2);

    rmSync(join(host.vmail, "in-the-way"));
    const again = await restore();
    expect(again.code, again.stdout).toBe(0);
    expect(again.stdout).toMatch(/configs +restored before/);
    expect(readFileSync(letter(), "utf8")).toBe("a letter");
    expect(existsSync(journal())).toBe(false);
  });

  test("looks whether what an earlier run brought back is still there", async () => {
    loseMachine();
    expect((await restore()).code).toBe(0);
    const [snapshotId = ""] = readdirSync(join(host.storeDirectory, "hosts", hostId(), "mail"));
    const steps = { mail: { snapshotId, state: "done" } };
    const left = { format: "mailark-restore/1", hostId: hostId(), startedAt: new Date().toISOString(), steps };
    writeFileSync(journal(), JSON.stringify(left));
    rmSync(host.vmail, { recursive: true });
    const again = await restore();
    expect(again.stdout).toMatch(/mail +restored +\d/);
    expect(readFileSync(letter(), "utf8")).toBe("a letter");
  });
});

const hostId = () => readdirSync(join(host.storeDirectory, "hosts"))[0]!;

describe("a drill", () => {
  test("is held also where one component was never captured, and fails for it", async () => {
    host.edit((text) => `${text}  certs:\n    paths: [${application()}]\n`);
    const report = join(host.directory, "report.json");
    chmodSync(host.directory, 0o711);
    const drill = await host.configured([
      ...["--json", "drill", "--identity", host.identity],
      ...["--scratch", host.directory, "--report", report],
    ]);
    expect(drill.code).toBe(4);
    expect(drill.json.lacking).toMatchObject([{ component: "certs", verdict: "failed" }]);
    expect(drill.json.components).toHaveLength(2);
    expect(JSON.parse(readFileSync(report, "utf8")).verdict).toBe("failed");
  });

  test.each([
    ["a report that can not be written", ["--report", "no/such/directory/report.json"]],
    ["a password file that is not there", ["--probe", "u@a.org", "--probe-password-file", "nowhere"]],
  ])("is refused at its start for %s", async (_, words) => {
    const drill = await host.configured(["drill", "--identity", host.identity, "--scratch", host.directory, ...words]);
    expect(drill.code).toBe(2);
    expect(drill.stdout).toBe("");
  });
});
