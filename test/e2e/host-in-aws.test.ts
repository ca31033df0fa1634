import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { hostPrefix, runsPrefix, type SnapshotAddress } from "../../core/keys.ts";
import { parseDocument, type RunRecord } from "../../core/manifest.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { parseJson, splitDocument } from "../../core/signed-document.ts";
import { readWhole } from "../../core/stores/read-whole.ts";
import example from "../../infra/config.example.ts";
import { mailarkApp } from "../../infra/mailark-app.ts";
import { storeUrl } from "../../infra/names.ts";
import { dispatchBackup } from "../../lambdas/dispatch/dispatch-backup.ts";
import type { Fleet, Parameters } from "../../lambdas/dispatch/fleet.ts";
import { s3ControlStore } from "../../lambdas/runtime/s3-control-store.ts";
import { vaultReader } from "../../lambdas/runtime/s3-vault.ts";
import { verifySnapshot } from "../../lambdas/verify/verify-snapshot.ts";
import { type RunningCloud, startCloud } from "../../sandbox/cloud/cloud.ts";
import { iamService } from "../../sandbox/cloud/services/iam/iam-service.ts";
import { stsService } from "../../sandbox/cloud/services/sts/sts-service.ts";
import type { Approval } from "../../shipper/approval.ts";
import { type CommandLine, commandLine } from "../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../fixtures/mailboxes.ts";
import { useCredentials } from "../fixtures/s3-place.ts";
import { s3Client } from "../fixtures/sandbox-s3.ts";
import { ownDirectory, scratchDirectory } from "../fixtures/scratch.ts";

/** Keys are names here: who may use them is S3's to ask. */
const kms = () => ({ name: "kms", types: ["AWS::KMS::Key", "AWS::KMS::Alias"], make() {} });

let cloud: RunningCloud;
let remove: () => void;
beforeAll(async () => {
  const directory = ownDirectory();
  remove = directory.remove;
  const assembly = join(directory.path, "cdk.out");
  mailarkApp(example, { outdir: assembly, context: { "aws:cdk:bundling-stacks": [] } }).synth();
  cloud = await startCloud({
    assembly,
    directory: directory.path,
    choose: (stacks) => stacks.filter(({ name }) => name.endsWith("-vault")),
    services: [iamService, stsService, kms],
  });
  vi.stubEnv("AWS_ENDPOINT_URL", cloud.endpoints.api);
  vi.stubEnv("AWS_ENDPOINT_URL_S3", cloud.endpoints.s3);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await cloud.close();
  remove();
});

let machines = 0;
let host: CommandLine;
beforeEach(() => {
  host = commandLine(scratchDirectory());
  makeFolder(`${host.vmail}/example.com/alice/Maildir`);
  writeFile(`${host.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
});

/** From now on this machine has the credentials of one that is new. */
function newMachine() {
  machines += 1;
  const machine = `i-${String(machines).padStart(17, "0")}`;
  const own = cloud.credential("mailark-host", machine);
  useCredentials(own);
  return { machine, own, hostId: `${cloud.account.session("mailark-host", machine).roleId}:${machine}` };
}

const bucket = (kind: string) => `${example.name}-${kind}-${example.account}-${example.region}`;
/** As the controller reads it. */
function vault() {
  useCredentials(cloud.root);
  return vaultReader({ data: bucket("data"), keyring: bucket("keyring"), region: example.region });
}

function controller() {
  const administrator = s3Client(cloud.s3, cloud.root);
  const control = s3ControlStore(administrator, bucket("control"));
  const nothing = { measure: async () => undefined, announce: async () => {} };
  const ports = { vault: vault(), control, clock: systemClock, ...nothing };
  return {
    control,
    judge: (address: SnapshotAddress) => verifySnapshot(ports, { address }),
    async approve({ key, record }: Approval) {
      const written = { Bucket: bucket("control"), Key: key, Body: JSON.stringify(record), IfNoneMatch: "*" };
      await administrator.send(new PutObjectCommand(written));
    },
  };
}

/** As the host signed it. */
async function runRecords(hostId: string): Promise<RunRecord[]> {
  const records = (await keysBelow(runsPrefix(hostId))).map(async (key) =>
    parseDocument("run", parseJson(splitDocument(await readWhole(vault(), key, 1024 * 1024)).signed)),
  );
  return Promise.all(records);
}

async function keysBelow(prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const row of vault().list(prefix)) if ("key" in row) keys.push(row.key);
  return keys;
}

/** What is pasted, as the shell takes it: the object's content, and its key. */
function pasted(text: string) {
  const [, record = ""] = /<<'END'\n(.*)\nEND\n/.exec(text) ?? [];
  const [, key = ""] = /^aws s3api put-object .*--key (\S+) .*--if-none-match '\*'$/m.exec(text) ?? [];
  return { key, record: JSON.parse(record) };
}

test("a host of the vault is called as its credentials are, and what it prints approves it", async () => {
  const { hostId } = newMachine();
  const introduced = await host.initInto([storeUrl(example)]);
  expect(introduced).toMatchObject({ code: 0 });
  expect(readFileSync(host.configPath, "utf8")).toContain(`id: ${hostId}\n`);
  const backup = await host.configured(["backup", "--json"], { env: { MAILARK_REQUEST: "r-1" } });
  expect(backup).toMatchObject({ code: 0, json: { hostId } });

  const again = await host.configured(["enroll"]);
  const { key, record } = pasted(again.stdout);
  expect(pasted(introduced.stdout)).toEqual({ key, record });
  const fingerprint = /^fingerprint +(.*)$/m.exec(again.stdout)![1];
  expect(record).toMatchObject({ hostId, name: "mail.example.com", fingerprints: [fingerprint] });
  expect((await host.configured(["enrol", "--json"])).json).toMatchObject({ approval: { key, record } });

  const { judge, approve } = controller();
  const [{ component, snapshotId }] = backup.json.components;
  expect(await judge({ hostId, component, snapshotId })).toMatchObject({ outcome: "unenrolled" });
  await approve({ key, record });
  expect(await judge({ hostId, component, snapshotId })).toMatchObject({ outcome: "intact" });
  expect(await runRecords(hostId)).toMatchObject([
    { requestId: "r-1", components: [{ component, snapshotId, outcome: "complete" }] },
  ]);
});

test("what was found intact comes back to its host with the next start, and the record says what came of it", async () => {
  const { hostId, machine, own } = newMachine();
  const introduced = await host.initInto([storeUrl(example)]);
  const first = await host.configured(["backup", "--json"]);
  const [{ component, snapshotId }] = first.json.components;
  const { control, judge, approve } = controller();
  await approve(pasted(introduced.stdout));
  await judge({ hostId, component, snapshotId });

  const started: Parameters[] = [];
  const fleet: Fleet = {
    machines: async () => [{ id: machine, online: true }],
    running: async () => new Set(),
    start: async (_, parameters) => `c-${started.push(parameters)}`,
  };
  const request = { requestId: "r-2", requestedBy: "a test", tier: "mail", components: ["queue", "mail"] } as const;
  await dispatchBackup({ fleet, control, clock: systemClock }, request, { endsAt: systemClock.now() + 60_000 });

  useCredentials(own);
  const { Components, Base, RequestId } = started[0]!;
  const env = { MAILARK_BASE: Base, MAILARK_REQUEST: RequestId };
  const second = await host.configured(["backup", "--configured", ...Components.split(" "), "--json"], { env });
  expect(second).toMatchObject({ code: 0, json: { requestId: "r-2", components: [{ offered: snapshotId }] } });
  const [, record] = await runRecords(hostId);
  expect(record).toMatchObject({ requestId: "r-2", components: [{ component, offered: snapshotId, kind: "full" }] });
  expect(await judge({ hostId, component, snapshotId: second.json.components[0].snapshotId })).toMatchObject({
    outcome: "intact",
  });
});

test("a machine that took over another's configuration is told so by each command that stores, and stores nothing", async () => {
  const { hostId: before } = newMachine();
  expect(await host.initInto([storeUrl(example)])).toMatchObject({ code: 0 });
  const stored = await keysBelow(hostPrefix(before));
  const { hostId: after } = newMachine();
  for (const command of ["backup", "enrol"]) {
    const said = await host.configured([command]);
    expect(said).toMatchObject({ code: 6, stdout: "" });
    expect(said.stderr).toContain("Error: the credentials of this machine are not those of the configured host\n");
    expect(said.stderr).toContain(`configured is ${before}, the credentials are of ${after}\n`);
    expect(said.stderr).toContain("mailark init");
  }
  const examined = await host.configured(["doctor", "store"]);
  expect(examined.stdout).toContain(`the credentials are of ${after}`);
  expect(await keysBelow(hostPrefix(before))).toEqual(stored);
  expect(await keysBelow(hostPrefix(after))).toEqual([]);
});

test("a machine that calls itself as it likes is refused by the vault, and told what its URL lacks", async () => {
  newMachine();
  const said = await host.initInto([storeUrl(example).replace("&host-id=sts", "")]);
  expect(said).toMatchObject({ code: 6, stdout: "", stderr: expect.stringContaining("host-id=sts") });
  expect(existsSync(host.configPath)).toBe(false);
});

test("a machine whose credentials are the account owner's is no host of the vault, and has no configuration afterwards", async () => {
  useCredentials(cloud.root);
  const said = await host.initInto([storeUrl(example)]);
  expect(said).toMatchObject({ code: 6, stdout: "" });
  expect(said.stderr).toContain("Error: the credentials of this machine are not of a role's session\n");
  expect(existsSync(host.configPath)).toBe(false);
});
