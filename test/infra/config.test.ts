import { execFile } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseS3Url } from "../../core/stores/s3-url.ts";
import example from "../../infra/config.example.ts";
import type { Config } from "../../infra/config.ts";
import { readConfig } from "../../infra/deployment.ts";
import { storeUrl } from "../../infra/names.ts";
import { ownConfig } from "../../infra/own-config.ts";
import { complaintOf } from "../../infra/schedule-check.ts";
import { scheduleTimes } from "../../sandbox/cloud/services/scheduler/schedule-times.ts";
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
    ["a name that AWS keeps for itself", { name: "aws-mail" }, 'name is "aws-mail": use 3 to 20 of'],
    ["nobody to tell", { alarmEmails: [] }, "alarmEmails is []: list at least one address"],
    [
      "an address twice",
      { alarmEmails: ["a@b.test", "a@b.test"] },
      "at least one address that somebody reads, each once",
    ],
    ["no address", { alarmEmails: ["root"] }, 'alarmEmails is ["root"]'],
    [
      "a time zone that is none",
      { timeZone: "Berlin" },
      'timeZone is "Berlin": name a time zone such as Europe/Berlin',
    ],
    ["a time zone by its distance", { timeZone: "+02:00" }, 'timeZone is "+02:00": name a time zone'],
    ["a time zone in small letters", { timeZone: "europe/berlin" }, 'timeZone is "europe/berlin": name a time zone'],
    ["a lock without days", { objectLock: { mode: "compliance" } }, "objectLock.days is missing: give whole days"],
    ["a lock of no known kind", { objectLock: { mode: "on" } }, 'objectLock.mode is "on": choose off, governance or'],
    ["days of a lock that is off", { objectLock: { mode: "off", days: 3 } }, "objectLock.days is 3: there is no such"],
    ["an undo window of nothing", { undoDays: 0 }, "undoDays is 0: give whole days from 1 to 365"],
    ["its own region as the other", { replicaRegion: "eu-central-1" }, 'replicaRegion is "eu-central-1": name another'],
    ["an archive class", { storageClass: "GLACIER" }, 'storageClass is "GLACIER": choose one of STANDARD'],
    ["days that logs can not be kept", { logDays: 42 }, "logDays is 42: choose one of 30, 60"],
    ["a tier that there is not", { schedules: { hourly: {} } }, "schedules.hourly is {}: there is no such setting"],
    ["a cron of five fields", { schedules: { full: { expression: "cron(0 6 * * ?)" } } }, "write rate(6 hours), or"],
    [
      "an hour that there is not",
      { schedules: { full: { expression: "cron(0 25 * * ? *)" } } },
      'schedules.full.expression is "cron(0 25 * * ? *)": 25 is no hour of cron(…): write *, or of 0 to 23',
    ],
    [
      "minutes that are too close",
      { schedules: { mail: { expression: "cron(*/4 * * * ? *)" } } },
      "start backups at most every 5 minutes",
    ],
    [
      "minutes that are too close over midnight",
      { schedules: { mail: { expression: "cron(0,58 0,23 * * ? *)" } } },
      "start backups at most every 5 minutes",
    ],
    ["a rate of one and many", { schedules: { mail: { expression: "rate(5 hour)" } } }, "write rate(6 hours), or"],
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
    const hours = (text: string) => complaint({ schedules: { full: { expression: `cron(30 ${text} ? * SUN *)` } } });
    expect(hours("1-3")).toContain("one night a year there may be no such time");
    expect(hours("2,5")).toBe("none");
  });

  test("takes of cron expressions what the sandbox's scheduler takes, and no other", () => {
    const parts = ["*", "?", "0", "1", "5-9", "9-5", "*/7", "5/20", "12", "24", "31", "32", "60", "L", "3L", "15W"];
    const part = fc.constantFrom(
      ...parts,
      "40W",
      "3#2",
      "8#1",
      "FRI#5",
      "MON",
      "MON-FRI",
      "FEB",
      "JAN,MAR",
      "2026",
      "x",
      "-1",
    );
    const fields = fc.tuple(part, part, part, part, part, fc.constantFrom("*", "2030", "1969", "2200", "2027-2029"));
    const sound = fc.constantFrom(
      "cron(0 5 * * ? *)",
      "cron(5 5 ? JAN,MAR MON-FRI *)",
      "cron(0 5 15W 2/3 ? *)",
      "cron(0 */3 ? * FRI#5 *)",
    );
    const expressions = fc.oneof(
      sound,
      fields.map((given) => `cron(${given.join(" ")})`),
    );
    let taken = 0;
    fc.assert(
      fc.property(expressions, (expression) => {
        const said = complaintOf(expression, undefined);
        if (said?.includes("at most every")) return;
        const times = () => scheduleTimes({ expression, zone: "UTC", created: 0 });
        if (said === undefined) {
          expect(times).not.toThrow();
          taken += 1;
        } else expect(times).toThrow();
      }),
      { numRuns: 1000 },
    );
    expect(taken).toBeGreaterThan(250);
  });

  test("tells every mistake at once", () => {
    expect(complaint({ name: "", undoDays: -1 }).split("\n")).toHaveLength(3);
  });
});

describe("a configuration file", () => {
  const written = (text: string) => {
    const path = join(scratchDirectory(), "mailark.config.ts");
    writeFileSync(path, text);
    return ownConfig({ MAILARK_DEPLOYMENT: path });
  };

  test("is read with its types", async () => {
    const text = `const days: number = 3;\nexport default { ...${JSON.stringify(example)}, undoDays: days } satisfies object;`;
    await expect(written(text)).resolves.toEqual({ ...example, undoDays: 3 });
  });

  test.each([
    ["is cut off", "export default {", "can not be loaded: "],
    ["imports what is not there", 'import "./infra/nothing.ts"; export default {};', "nothing.ts"],
    ["exports under a name only", "export const config = {};", "the configuration is missing: export an object"],
    ["has a mistake", "export default { name: 1 };", "name is 1: use 3 to 20 of"],
  ])("that %s is told what to do", async (_, text, expected) => {
    await expect(written(text)).rejects.toThrow(expected);
  });
});

test("hosts write the storage class that was chosen", () => {
  expect(parseS3Url(storeUrl({ ...example, storageClass: "GLACIER_IR" })).storageClass).toBe("GLACIER_IR");
  expect(parseS3Url(storeUrl(example)).storageClass).toBeUndefined();
});

test("synth writes templates and bundles without credentials", async () => {
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

/** Of the example, whatever is configured here. */
const run = (script: string, CDK_OUTDIR: string) =>
  new Promise<{ code: number | string; stderr: string }>((resolve) => {
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, CDK_OUTDIR, MAILARK_DEPLOYMENT: "infra/config.example.ts" };
    execFile(process.execPath, [script], { cwd: repository, env }, (error, _, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    );
  });
