import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import example from "../../infra/config.example.ts";
import type { Config } from "../../infra/config.ts";
import { processesIn } from "../../sandbox/host/place.ts";

const program = new URL("../../sandbox/run.ts", import.meta.url).pathname;

/** `npm run sandbox` behind its set-up, with a directory of its own for what is temporary, of the example with changes. */
function sandbox(words: readonly string[] = [], changes: Partial<Config> = {}) {
  // Sockets have short paths, and servers that are not root's pass through it.
  const place = mkdtempSync("/tmp/m-");
  chmodSync(place, 0o711);
  const MAILARK_DEPLOYMENT = join(place, "deployment.mjs");
  writeFileSync(MAILARK_DEPLOYMENT, `export default ${JSON.stringify({ ...example, ...changes })};`);
  const env = { ...process.env, MAILARK_DEPLOYMENT, TMPDIR: place, NO_COLOR: "1" };
  const child = spawn(process.execPath, [program, ...words], { env });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (said += bytes));
  const ended = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
    await nothingLeft();
    rmSync(place, { recursive: true, force: true });
  });

  async function nothingLeft() {
    for (let tries = 0; tries < 100 && left().length > 0; tries += 1) await sleep(200);
    return left();
  }
  /** Node keeps things of its own in such a directory. */
  const left = () => [
    ...readdirSync(place).filter((name) => name.startsWith("mailark-")),
    ...processesIn(place).map((pid) => `process ${pid}`),
  ];
  return {
    child,
    ended,
    nothingLeft,
    said: () => said,
    async says(words: RegExp) {
      while (!words.test(said)) {
        if (child.exitCode !== null) throw new Error(`it has ended: ${said}`);
        await sleep(100);
      }
      return words.exec(said)!;
    },
  };
}

const awsIsHere = !(await execa("aws", ["--version"], { reject: false })).failed;

test("goes through every command that it shows, whatever was decided for the deployment, and leaves nothing", async () => {
  const running = sandbox(["--once"], {
    ...{ name: "acme", region: "us-east-2", replicaRegion: "eu-west-1", storageClass: "GLACIER_IR" },
    objectLock: { mode: "compliance", days: 30 },
    schedules: { mail: { expression: "rate(5 minutes)", windowMinutes: 0 } },
  });
  expect({ status: await running.ended, said: running.said() }).toMatchObject({ status: 0 });
  const said = running.said();
  expect(said).toContain("nothing is copied to eu-west-1: the sandbox has one region");
  for (const each of ["mail-1    mysql", "mail-1    mail", "mail-2    postgres", "mail-2    redis", "mail-2    mail"]) {
    expect(said).toMatch(new RegExp(`^  ${each} +\\S+  intact$`, "m"));
  }
  expect(said).toContain('"requestId":"mine","state":"started"');
  expect(said).toContain("Everything was decrypted and compared.");
  expect(said).toMatch(/critical: mail of mail-1: snapshot \S+ is corrupt/);
  // Where there is no AWS CLI, the commands that need one say that they were not tried.
  expect(said.match(/^ {2}not tried/gm) ?? []).toHaveLength(awsIsHere ? 0 : 3);
  if (awsIsHere) expect(said).toMatch(/AccessDenied[\s\S]*acme-no-good-snapshot/);
  expect(await running.nothingLeft()).toEqual([]);
});

test("stays for whoever reads its file in another terminal, and leaves nothing when it is killed", async () => {
  const running = sandbox();
  const [, shell = ""] = await running.says(/^ {2}\. (\S+) /m);
  await running.says(/until Ctrl-C/);
  const ask = `. '${shell}'; signed execute-api "$API/system/backups"`;
  const { backups } = JSON.parse((await execa("/bin/sh", ["-c", ask])).stdout);
  expect(new Set(backups.map(({ host }: { host: string }) => host))).toEqual(new Set(["mail-1", "mail-2"]));
  running.child.kill("SIGKILL");
  await running.ended;
  expect(await running.nothingLeft()).toEqual([]);
});

test("ends by Ctrl-C while it is still starting, and leaves nothing", async () => {
  const running = sandbox();
  await running.says(/mailboxes are up/);
  running.child.kill("SIGINT");
  expect({ status: await running.ended, said: running.said() }).toMatchObject({ status: 0 });
  expect(await running.nothingLeft()).toEqual([]);
});

test("says what is wrong with the deployment before it starts anything", async () => {
  const running = sandbox([], { alarmEmails: [] });
  expect(await running.ended).toBe(1);
  expect(running.said()).toMatch(/^mailark: .*\n {2}alarmEmails is \[\]: list at least one address.*\n$/);
});
