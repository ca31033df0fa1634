import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { isRoot } from "../../../sandbox/host/account.ts";
import { findingCodes } from "../../../shipper/doctor/observation.ts";
import { commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, treeOf, writeFile } from "../../fixtures/mailboxes.ts";
import { ownDirectory } from "../../fixtures/scratch.ts";
import { cloudIllnesses } from "./cloud-illnesses.ts";
import { illnesses } from "./illnesses.ts";
import { serviceIllnesses } from "./service-illnesses.ts";
import { findAndFix, type Sickroom, sickroom } from "./sickroom.ts";

let room: Sickroom;
let remove: () => void;
beforeAll(async () => {
  const directory = ownDirectory();
  remove = directory.remove;
  chmodSync(directory.path, 0o711);
  const line = commandLine(directory.path);
  makeFolder(`${line.vmail}/example.com/alice/Maildir`);
  writeFile(`${line.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  const etc = join(directory.path, "some", "postfix");
  mkdirSync(etc, { recursive: true });
  writeFile(join(etc, "main.cf"), "compatibility_level = 3.6\n");
  await line.init();
  line.edit((text) => text.replace(/\n {2}mail:\n/, `\n  configs:\n    paths: [${etc}]\n  mail:\n`));
  await line.configured(["backup"]);
  room = sickroom(line);
});
afterAll(() => {
  vi.unstubAllEnvs();
  remove();
});

describe("each finding goes away by the fix that is printed with it", () => {
  afterEach(() => void vi.restoreAllMocks());
  const possible = illnesses.filter(({ asRoot }) => isRoot || !asRoot);
  test.each(possible)("$code: found where $where", async (each) => findAndFix(each, room));
});

test("no finding is without a test that provokes it", () => {
  const provoked = new Set([...illnesses, ...serviceIllnesses, ...cloudIllnesses].map(({ code }) => code));
  expect(Object.keys(findingCodes).filter((code) => !provoked.has(code as keyof typeof findingCodes))).toEqual([]);
});

describe("what is printed", () => {
  test("as JSON has every check, and each fix as a command or as advice", async () => {
    const { code, json } = await room.line.configured(["doctor", "machine", "--json"]);
    expect(code).toBe(json.exitCode);
    expect(json.sections.map(({ about }: { about: string }) => about)).toEqual(["configuration", "machine"]);
    for (const { observations } of json.sections) {
      for (const { outcome, detail, fix } of observations) {
        expect(detail).toEqual(expect.any(String));
        expect(Object.keys(fix ?? {})).toHaveLength(outcome === "problem" || outcome === "warning" ? 1 : 0);
      }
    }
  });

  test("what can not be looked at is unproven, never fine, and counts where --strict asks for it", async () => {
    room.fake("timedatectl", "echo 'System has not been booted with systemd' >&2; exit 1");
    const said = await room.line.configured(["doctor", "machine", "--json"]);
    const time = said.json.sections[1].observations.find(({ check }: { check: string }) => check === "time");
    expect(time).toMatchObject({ outcome: "unproven", detail: expect.stringContaining("systemd") });
    expect(said.json.exitCode).toBe(0);
    expect(await room.line.configured(["doctor", "machine", "--strict"])).toMatchObject({ code: 1 });
  });

  test("a part that there is none of is refused with the one that was meant", async () => {
    const said = await room.line.configured(["doctor", "stroe"]);
    expect(said).toMatchObject({ code: 2, stdout: "" });
    expect(said.stderr).toContain("did you mean store?");
  });

  test("a warning alone does not change the exit status, unless it shall", async () => {
    await room.line.configured(["backup"]);
    writeFileSync(join(room.line.directory, "state", "lock"), "4194999-123 x\n");
    expect(await room.line.configured(["doctor", "machine"])).toMatchObject({ code: 0 });
    expect(await room.line.configured(["doctor", "machine", "--strict"])).toMatchObject({ code: 1 });
  });
});

describe("nothing is changed", () => {
  test("neither on this machine nor in a store where what was tried can be taken back", async () => {
    await room.line.configured(["backup"]);
    const seen = () => Object.entries(treeOf(room.line.directory)).filter(([path]) => !path.endsWith("/doctor"));
    const before = seen();
    expect((await room.line.configured(["doctor"])).code).toBe(0);
    expect(seen()).toEqual(before);
    expect(await room.line.configured(["verify"])).toMatchObject({ code: 0 });
  });

  test("in a place that is no store of this host: nothing is written there", async () => {
    const mount = join(room.line.directory, "mnt");
    mkdirSync(mount);
    const before = readFileSync(room.line.configPath, "utf8");
    room.line.edit((text) => text.replace(room.line.store, `file://${mount}`));
    expect((await room.line.configured(["doctor", "store"])).stdout).toMatch(/^NOT_ENROLLED: /m);
    expect(readdirSync(mount)).toEqual([]);
    room.line.edit(() => before);
  });
});

test("every store is looked at, each by itself", async () => {
  const before = readFileSync(room.line.configPath, "utf8");
  const gone = `file://${join(room.line.directory, "unplugged")}`;
  room.line.edit((text) => text.replace(/^store: .*$/m, `stores: [${room.line.store}, ${gone}]`));
  const { stdout, code } = await room.line.configured(["doctor", "store"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^store 1 +writing +fine/m);
  expect(stdout).toMatch(/^STORE_MISSING: store 2: /m);
  room.line.edit(() => before);
});
