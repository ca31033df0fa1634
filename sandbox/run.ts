/**
 * The sandbox: a fleet of two mail hosts on this machine, in an AWS account that the synthesized stacks make. It stays until it is stopped, and leaves
 * nothing behind; with `--once` it goes through every command that it would have shown, and ends.
 */
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { execa } from "execa";
import { ownConfig } from "../infra/own-config.ts";
import { type RunningCloud, startCloud } from "./cloud/cloud.ts";
import { confirmMail } from "./fleet/confirm-mail.ts";
import { type Fleet, startFleet } from "./fleet/fleet.ts";
import { operatorsShell } from "./fleet/operators-shell.ts";
import { packOf } from "./fleet/pack.ts";
import { untilGood } from "./fleet/until-good.ts";
import { startWatcher } from "./host/watcher.ts";
import { Storyteller } from "./storyteller.ts";
import { type Stop, tour } from "./tour.ts";

const { once } = parseArgs({ options: { once: { type: "boolean", default: false } } }).values;
/** A mistake in it would stop the synthesis, behind a trace. */
const { region, replicaRegion } = await ownConfig().catch((error: Error) => {
  process.stderr.write(`mailark: ${error.message}\n`);
  process.exit(1);
});
const story = new Storyteller();
const stopping = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) process.on(name, () => stopping.abort());
const { signal } = stopping;

const directory = mkdtempSync(join(tmpdir(), `mailark-sandbox-${process.pid}-`));
/** What happens in the account, one line each. */
const journal = join(directory, "journal");
/** Ends what works in a directory: scripts that a host was told to run, and what they have started. */
const endWorkers = `cd / && for each in /proc/[0-9]*; do
  case $(readlink "$each/cwd") in "$1"/*) kill -s KILL "\${each#/proc/}" ;; esac
done`;
const watcher = startWatcher(directory, ["/bin/sh", "-c", endWorkers, "sandbox-watcher", directory]);
let cloud: RunningCloud | undefined;
let fleet: Fleet | undefined;
try {
  await tell();
} catch (error) {
  if (!signal.aborted) throw error;
} finally {
  if (signal.aborted) story.say("stopping");
  await fleet?.stop();
  await cloud?.close();
  rmSync(directory, { recursive: true, force: true });
  await watcher.dismiss();
}

async function tell(): Promise<void> {
  story.chapter("An AWS account on this machine");
  const assembly = join(directory, "cdk.out");
  await story.step("the stacks are synthesized: vault, controller, policies of the hosts", async () => {
    const app = new URL("../infra/app.ts", import.meta.url).pathname;
    await execa(process.execPath, [app], { env: { CDK_OUTDIR: assembly }, stdout: "ignore", cancelSignal: signal });
  });
  const account = await story.step("everything that they describe runs: S3, functions, rules, schedules, alarms", () =>
    startCloud({
      ...{ assembly, region },
      directory: join(directory, "account"),
      note: (line) => appendFileSync(journal, `${new Date().toISOString()} ${line}\n`),
    }),
  );
  cloud = account;
  if (replicaRegion !== undefined) story.say(`nothing is copied to ${replicaRegion}: the sandbox has one region`);
  await story.step("the operator confirms that alarms may send mail", () => confirmMail(account));

  story.chapter("A fleet of two mail hosts");
  fleet = await startFleet(account, { directory, step: (what, work) => story.step(what, work), signal });
  story.say("each is approved: its fingerprint is in the control bucket, and what it signs is believed");
  const { hosts } = fleet;

  story.chapter("The first backup");
  const shell = operatorsShell(account, directory);
  await run(shell, {
    says: "",
    command: `signed execute-api "$API/system/backup" --data '{"requestId": "first"}'`,
  });
  const rows = await story.step("the hosts have stored it, and the controller has found all of it intact", () =>
    untilGood(account, hosts, signal),
  );
  for (const { host, component, snapshotId } of rows) {
    story.say([host.padEnd(8), component.padEnd(9), snapshotId, "intact"].join("  "));
  }

  story.chapter("Try it, in another terminal");
  story.say(`. ${shell}     # ${account.region}, as the account's owner`);
  story.say(`tail -f ${journal}     # what happens in the account`);
  story.say(
    `the APIs of AWS are at ${account.endpoints.api}, S3 is at ${account.endpoints.s3}, mail arrives in $INBOX`,
  );
  const stops = tour(hosts[0]!, await packOf(account, hosts[0]!));
  for (const stop of stops) {
    story.say("");
    story.say(`# ${stop.says}`);
    if (once) await run(shell, stop);
    else story.say(stop.command);
  }
  if (once) return;
  story.say("");
  story.say("This runs until Ctrl-C, and leaves nothing behind.");
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/** Runs a command in a shell that has read the operator's file. */
async function run(shell: string, { command, statuses, aws }: Stop): Promise<void> {
  if (aws && (await execa("aws", ["--version"], { reject: false })).failed)
    return story.say(`not tried: there is no aws here: ${command}`);
  await story.command(command, ["timeout", "120", "/bin/sh", "-c", `. '${shell}'\n${command}`], statuses);
}
