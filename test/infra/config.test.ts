import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import example from "../../infra/config.example.ts";
import type { Config } from "../../infra/config.ts";
import { readConfig } from "../../infra/deployment.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { repository } from "../house/source-files.ts";

const complaint = (changes: Record<string, unknown>): string => {
  try {
    readConfig({ ...example, ...changes } as Config);
    return "none";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("a deployment's configuration", () => {
  test("is the example with every default filled in", () => {
    expect(readConfig(example)).toMatchObject({
      name: "mailark",
      timeZone: "Europe/Berlin",
      objectLock: { mode: "off" },
      undoDays: 14,
      storageClass: "STANDARD",
      replicaRegion: undefined,
      schedules: {
        databases: { expression: "rate(6 hours)", windowMinutes: 15 },
        full: { expression: "cron(0 6 ? * SUN *)", windowMinutes: 15 },
      },
    });
  });

  test("takes a schedule of mail down to every 5 minutes", () => {
    const { schedules } = readConfig({ ...example, schedules: { mail: { expression: "rate(5 minutes)" } } });
    expect(schedules.mail).toEqual({ expression: "rate(5 minutes)", windowMinutes: 15 });
    expect(complaint({ schedules: { mail: { expression: "rate(4 minutes)" } } })).toContain(
      'schedules.mail.expression is "rate(4 minutes)": start backups at most every 5 minutes',
    );
  });

  test.each([
    ["a name with capitals", { name: "MailArk" }, 'name is "MailArk": use 3 to 20 of'],
    [
      "an account as a number",
      { account: 111122223333 },
      "account is 111122223333: write the account's 12 digits as a text",
    ],
    ["no region", { region: undefined }, "region is missing: name a region such as"],
    ["a region that is none", { region: "Frankfurt" }, 'region is "Frankfurt": name a region'],
    ["nobody to tell", { alarmEmails: [] }, "alarmEmails is []: list at least one address"],
    ["no address", { alarmEmails: ["root"] }, 'alarmEmails is ["root"]'],
    [
      "a time zone that is none",
      { timeZone: "Berlin" },
      'timeZone is "Berlin": name a time zone such as Europe/Berlin',
    ],
    ["a lock without days", { objectLock: { mode: "compliance" } }, "objectLock.days is missing: give whole days"],
    ["a lock of no known kind", { objectLock: { mode: "on" } }, 'objectLock.mode is "on": choose off, governance or'],
    ["days of a lock that is off", { objectLock: { mode: "off", days: 3 } }, "objectLock.days is 3: there is no such"],
    ["an undo window of nothing", { undoDays: 0 }, "undoDays is 0: give whole days from 1 to 365"],
    ["its own region as the other", { replicaRegion: "eu-central-1" }, 'replicaRegion is "eu-central-1": name another'],
    ["an archive class", { storageClass: "GLACIER" }, 'storageClass is "GLACIER": choose one of STANDARD'],
    ["days that logs can not be kept", { logDays: 42 }, "logDays is 42: choose one of 30, 60"],
    ["a tier that there is not", { schedules: { hourly: {} } }, "schedules.hourly is {}: there is no such setting"],
    ["a cron of five fields", { schedules: { full: { expression: "cron(0 6 * * ?)" } } }, "write rate(6 hours), or"],
    ["a cron with two days", { schedules: { full: { expression: "cron(0 6 * * * *)" } } }, "exactly one of day and"],
    [
      "a window of days",
      { schedules: { full: { expression: "rate(1 day)", windowMinutes: 2000 } } },
      "windowMinutes is 2000",
    ],
    [
      "a setting that there is not",
      { bucket: "x" },
      'bucket is "x": there is no such setting; there are name, account',
    ],
  ])("%s stops with the value and the fix", (_, changes, expected) => {
    expect(complaint(changes)).toContain(expected);
  });

  test("keeps schedules out of the night hours that a time zone skips in spring", () => {
    const night = { schedules: { full: { expression: "cron(30 2 ? * SUN *)" } } };
    expect(complaint(night)).toContain("one night a year there may be no such time in Europe/Berlin");
    expect(complaint({ ...night, timeZone: undefined })).toBe("none");
  });

  test("tells every mistake at once", () => {
    expect(complaint({ name: "", undoDays: -1 }).split("\n")).toHaveLength(4);
  });
});

test("synth writes templates and bundles of the example where nothing is configured, without credentials", async () => {
  const out = scratchDirectory();
  const { code, stderr } = await run("infra/app.ts", out);
  expect(stderr).not.toMatch(/error|docker/i);
  expect(code).toBe(0);
  const written = readdirSync(out);
  expect(written).toEqual(expect.arrayContaining(["mailark-vault.template.json", "mailark-control.template.json"]));
  const bundles = written.filter((name) => name.startsWith("asset.") && existsSync(join(out, name, "index.js")));
  expect(bundles).toHaveLength(3);
  const refusals: string[] = [];
  for (const bundle of bundles) {
    const script = `require(${JSON.stringify(join(out, bundle, "index.js"))}).handler({}, { getRemainingTimeInMillis: () => 9000 })
      .catch((error) => console.log("refused: " + error.message))`;
    refusals.push(await evaluated(script));
  }
  const said = refusals.map((text) => text.split("\n").find((line) => line.startsWith("refused: ")));
  expect(said.sort()).toEqual([
    "refused: requestId: Invalid input: expected string, received undefined",
    "refused: the event asks for nothing that this function does",
    'refused: version: Invalid input: expected "2.0"',
  ]);
});

/** What a script prints in a process of its own, with the variables that the stack sets. */
const evaluated = (script: string) =>
  new Promise<string>((resolve) => {
    const bucket = "a-bucket";
    const env = { AWS_REGION: "eu-central-1", DATA_BUCKET: bucket, KEYRING_BUCKET: bucket, CONTROL_BUCKET: bucket };
    execFile(process.execPath, ["--eval", script], { env }, (_, stdout) => resolve(stdout));
  });

const run = (script: string, CDK_OUTDIR: string) =>
  new Promise<{ code: number | string; stderr: string }>((resolve) => {
    const { PATH, HOME } = process.env;
    execFile(process.execPath, [script], { cwd: repository, env: { PATH, HOME, CDK_OUTDIR } }, (error, _, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    );
  });
