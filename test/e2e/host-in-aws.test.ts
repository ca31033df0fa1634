import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { hostPrefix, runsPrefix } from "../../core/keys.ts";
import { parseDocument } from "../../core/manifest.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { parseJson, splitDocument } from "../../core/signed-document.ts";
import { readWhole } from "../../core/stores/read-whole.ts";
import example from "../../infra/config.example.ts";
import { mailarkApp } from "../../infra/mailark-app.ts";
import { storeUrl } from "../../infra/names.ts";
import { s3ControlStore } from "../../lambdas/runtime/s3-control-store.ts";
import { vaultReader } from "../../lambdas/runtime/s3-vault.ts";
import { verifySnapshot } from "../../lambdas/verify/verify-snapshot.ts";
import { type RunningCloud, startCloud } from "../../sandbox/cloud/cloud.ts";
import { iamService } from "../../sandbox/cloud/services/iam/iam-service.ts";
import { stsService } from "../../sandbox/cloud/services/sts/sts-service.ts";
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

/** From now on this machine has the credentials of one that is new; returns its storage id. */
function newMachine(): string {
  machines += 1;
  const session = `i-${String(machines).padStart(17, "0")}`;
  useCredentials(cloud.credential("mailark-host", session));
  return `${cloud.account.session("mailark-host", session).roleId}:${session}`;
}

const bucket = (kind: string) => `${example.name}-${kind}-${example.account}-${example.region}`;
/** As the controller reads it. */
function vault() {
  useCredentials(cloud.root);
  return vaultReader({ data: bucket("data"), keyring: bucket("keyring"), region: example.region });
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
  const hostId = newMachine();
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

  const administrator = s3Client(cloud.s3, cloud.root);
  const control = s3ControlStore(administrator, bucket("control"));
  const ports = {
    vault: vault(),
    control,
    clock: systemClock,
    measure: async () => undefined,
    announce: async () => {},
  };
  const [{ component, snapshotId }] = backup.json.components;
  const address = { hostId, component, snapshotId };
  expect(await verifySnapshot(ports, { address })).toMatchObject({ outcome: "unenrolled" });
  const approving = { Bucket: bucket("control"), Key: key, Body: JSON.stringify(record), IfNoneMatch: "*" };
  await administrator.send(new PutObjectCommand(approving));
  expect(await verifySnapshot(ports, { address })).toMatchObject({ outcome: "intact" });

  // What the controller reads of the run.
  const [runKey = "", ...others] = await keysBelow(runsPrefix(hostId));
  expect(others).toEqual([]);
  const run = parseDocument("run", parseJson(splitDocument(await readWhole(vault(), runKey, 1024 * 1024)).signed));
  expect(run).toMatchObject({ requestId: "r-1", components: [{ component, snapshotId, outcome: "complete" }] });
});

test("a machine that took over another's configuration is told so by each command that stores, and stores nothing", async () => {
  const before = newMachine();
  expect(await host.initInto([storeUrl(example)])).toMatchObject({ code: 0 });
  const stored = await keysBelow(hostPrefix(before));
  const after = newMachine();
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

test("a machine whose credentials are the account owner's is no host of the vault, and has no configuration afterwards", async () => {
  useCredentials(cloud.root);
  const said = await host.initInto([storeUrl(example)]);
  expect(said).toMatchObject({ code: 6, stdout: "" });
  expect(said.stderr).toContain("Error: the credentials of this machine are not of a role's session\n");
  expect(existsSync(host.configPath)).toBe(false);
});
