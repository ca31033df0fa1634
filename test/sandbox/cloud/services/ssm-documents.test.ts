import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateIdentity } from "../../../../core/age/age.ts";
import { outputOf } from "../../../../sandbox/fleet/outputs.ts";
import { isRoot } from "../../../../sandbox/host/account.ts";
import { writeMaildir } from "../../../../sandbox/host/maildir.ts";
import { awsProgram } from "../../../fixtures/aws-program.ts";
import { clientOf } from "../../../fixtures/small-cloud.ts";
import { account, region, synthesizedStacks } from "../../../fixtures/synthesized-account.ts";
import { drillHost, neighbours } from "./ssm-neighbours.ts";
import { refusal, type SsmPlace, ssmPlace } from "./ssm-place.ts";
import { type Releases, sha256Of, startReleases } from "./ssm-releases.ts";
import { documentWithoutPatterns } from "./ssm-unbound.ts";

type Machine = ReturnType<SsmPlace["machine"]>;

let place: SsmPlace;
let onEc2: Awaited<ReturnType<typeof enrolled>>;
const drillKey = generateIdentity();

beforeAll(async () => {
  const stacks = synthesizedStacks();
  const unbound = documentWithoutPatterns(stacks, "mailark-restore", "restore-unbound");
  // The program goes by this machine's time.
  place = await ssmPlace([...stacks, neighbours({ Drill: drillHost, Unbound: unbound })], Date.now());
  onEc2 = await enrolled("i-0123456789abcdef0");
  const [key] = place.cloud.stacks.flatMap(({ resources }) => resources).filter(({ type }) => type === "AWS::KMS::Key");
  place.ssm.putParameter({
    name: "/mailark/drill-key",
    value: `${drillKey.identity}\n`,
    keyArn: key!.attributes.Arn as string,
  });
}, 120_000);
afterAll(() => place?.close());

const entry = new URL("../../../../shipper/mailark.ts", import.meta.url).pathname;
const mailark = `exec '${process.execPath}' '${entry}' "$@"`;
/** As it is on a mail host; profiles are in a file of the test's, where the agent has none. */
const ofHost = `export AWS_SHARED_CREDENTIALS_FILE="\${AWS_SHARED_CREDENTIALS_FILE:-$PLACE/credentials}"
exec '${process.execPath}' '${entry}' --config "$PLACE/config.yaml" "$@"`;

/** A mail host that is set up and has stored its mail, by the document. */
async function enrolled(instanceId: string) {
  const machine = place.machine({ instanceId, programs: { mailark: ofHost, aws: awsProgram() }, lasting: true });
  writeMaildir(`${machine.directory}/vmail/example.com/alice/Maildir`, {
    seed: instanceId,
    messages: 3,
    folders: [],
    medianBytes: 400,
  });
  const init = `mailark init --json --yes --name mx --store '${outputOf(place.cloud, "Store")}' --state "$PLACE/state" --component mail --mail-root "$PLACE/vmail" --drill-recipient ${drillKey.recipient}`;
  const made = await place.outcome(await place.send(place.operator(), "shell", [machine], { Line: init }), machine);
  expect(made).toMatchObject({ Status: "Success", StandardErrorContent: "" });
  const { hostId, fingerprint, recoveryKey } = JSON.parse(made.StandardOutputContent!);
  const parameters = { Components: "mail", RequestId: "r-1" };
  const id = await place.send(place.dispatcher(), "mailark-backup", [machine], parameters);
  const backup = await place.outcome(id, machine);
  return { machine, hostId, recoveryKey, backup, known: { Host: hostId, Fingerprint: fingerprint } };
}

/** What became of a document there, sent by the operator. */
async function run(document: string, on: Machine, parameters: Record<string, string> = {}) {
  return place.outcome(await place.send(place.operator(), document, [on], parameters), on);
}

/** A machine for drills: no mail host, and nothing is configured there. */
const drillMachine = () =>
  place.machine({ roleName: "drill-host", tags: {}, programs: { mailark, aws: awsProgram() } });

/** As the operator leaves the recovery key on a machine, for an hour. */
function keyOn({ directory }: Machine): string {
  const path = join(directory, "recovery.key");
  writeFileSync(path, `${onEc2.recoveryKey}\n`, { mode: 0o600 });
  return path;
}

test.each([
  ["on EC2, where the metadata service has its credentials", async () => onEc2],
  ["elsewhere, where the agent keeps them in a file", () => enrolled("mi-0123456789abcdef0")],
])(
  "a host %s is set up, and backs up by the synthesized document",
  async (_, host) => {
    const { machine, hostId, backup } = await host();
    expect(backup).toMatchObject({ Status: "Success", ResponseCode: 0, StandardErrorContent: "" });
    expect(backup.StandardOutputContent).toContain("mail");
    const { roleId } = place.cloud.account.session("mailark-host", machine.instanceId);
    expect(hostId).toBe(`${roleId}:${machine.instanceId}`);
    const s3 = new S3Client({ ...clientOf(place.cloud), endpoint: place.cloud.endpoints.s3, forcePathStyle: true });
    const { Contents } = await s3.send(
      new ListObjectsV2Command({ Bucket: `mailark-data-${account}-${region}`, Prefix: `hosts/${hostId}/mail/` }),
    );
    s3.destroy();
    expect(Contents?.filter(({ Key }) => Key!.endsWith("/manifest.json"))).toHaveLength(1);
  },
  120_000,
);

test("a doctor finds nothing that a host lacks", async () => {
  const doctor = await run("mailark-doctor", onEc2.machine);
  expect(doctor).toMatchObject({ Status: "Success", ResponseCode: 0, StandardErrorContent: "" });
  expect(doctor.StandardOutputContent).toMatch(/^store +create-only +fine /m);
  expect(doctor.StandardOutputContent).toMatch(/^store +reading +fine +these credentials may not$/m);
  expect(doctor.StandardOutputContent).toMatch(/^Ready: 0 problems, /m);
});

test("a doctor's findings are the output, with what mends them, and its status is that there are some", async () => {
  const doctor = await run("mailark-doctor", place.machine({ programs: { mailark: ofHost } }));
  expect(doctor).toMatchObject({ Status: "Failed", ResponseCode: 1, StandardErrorContent: "" });
  expect(doctor.StandardOutputContent).toMatch(/^CONFIG_MISSING: .*\n {2}Do: `mailark init` writes one/m);
});

describe("a drill", () => {
  test("opens the backup with the drill key of the parameter store, as the machine, and leaves nothing", async () => {
    const machine = drillMachine();
    const before = readdirSync("/var/tmp");
    const ProbePasswordFile = join(machine.directory, "password");
    writeFileSync(ProbePasswordFile, "secret\n", { mode: 0o600 });
    const more = { Components: "mail", Probe: "alice@example.com", ProbePasswordFile };
    const drill = await run("mailark-drill", machine, { ...onEc2.known, ...more });
    // The mail alone is no whole host.
    expect(drill).toMatchObject({ Status: "Failed", ResponseCode: 3, StandardErrorContent: "" });
    expect(drill.StandardOutputContent).toMatch(/^mail +proven /m);
    expect(drill.StandardOutputContent).toMatch(/^Not proven: .* 0 failed, /m);
    expect(drill.StandardOutputContent).not.toContain("AGE-SECRET-KEY");
    expect(readdirSync(machine.directory).toSorted()).toEqual(["aws", "mailark", "password"]);
    expect(readdirSync("/var/tmp").filter((name) => !before.includes(name))).toEqual([]);
  });

  test("is refused the key on a mail host, and reads nothing", async () => {
    const drill = await run("mailark-drill", onEc2.machine, onEc2.known);
    expect(drill).toMatchObject({ Status: "Failed", ResponseCode: 1, StandardOutputContent: "" });
    expect(drill.StandardErrorContent).toContain("AccessDenied");
  });
});

describe("a restore", () => {
  const words = (machine: Machine, To: string) => ({
    ...onEc2.known,
    ...{ Component: "mail", To, IdentityFile: keyOn(machine) },
  });
  const messagesIn = (directory: string) => readdirSync(join(directory, "example.com/alice/Maildir/cur")).length;

  test("brings a component back into a directory, by a profile where the machine's own role may only store", async () => {
    const { machine } = onEc2;
    const { accessKeyId, secretAccessKey, sessionToken } = place.cloud.credential("drill-host", "alice");
    const profile = `[reader]
aws_access_key_id = ${accessKeyId}
aws_secret_access_key = ${secretAccessKey}
aws_session_token = ${sessionToken}
`;
    writeFileSync(join(machine.directory, "credentials"), profile, { mode: 0o600 });
    const To = join(machine.directory, "back");
    const outcome = await run("mailark-restore", machine, { ...words(machine, To), Profile: "reader" });
    expect(outcome).toMatchObject({ Status: "Success", ResponseCode: 0, StandardErrorContent: "" });
    expect(messagesIn(To)).toBe(3);
  });

  test("takes a value for a value, also where no pattern stops it", async () => {
    const machine = drillMachine();
    const To = join(machine.directory, "$(touch x);'\"; touch y; *");
    expect(await refusal(run("mailark-restore", machine, words(machine, To)))).toBe("InvalidParameters");
    const outcome = await run("restore-unbound", machine, words(machine, To));
    expect(outcome).toMatchObject({ Status: "Success", ResponseCode: 0 });
    expect(messagesIn(To)).toBe(3);
  });
});

describe.runIf(isRoot)("an installation", () => {
  let releases: Releases;
  let first: Buffer;
  let second: Buffer;
  beforeAll(async () => {
    releases = await startReleases();
    [first, second] = [releases.small("1.0.0"), releases.small("2.0.0")];
  });
  afterAll(() => releases?.close());

  const bare = () =>
    place.machine({
      environment: { CURL_CA_BUNDLE: releases.authority },
      places: { "/opt": "opt", "/usr/local/bin": "bin" },
    });
  async function machineWith(archive: Buffer) {
    const machine = bare();
    const outcome = await install(machine, archive);
    return { machine, outcome };
  }
  const install = (machine: Machine, archive: Buffer, { Url, Sha256 } = releases.serve(archive)) =>
    run("mailark-install", machine, { Url, Sha256 });
  const versionOn = async (machine: Machine) =>
    (await run("shell", machine, { Line: "mailark --version" })).StandardOutputContent;
  const unpackedOn = ({ directory }: Machine) => readdirSync(join(directory, "opt/mailark/releases"));

  test("unpacks, tries and switches to a release, which everybody may run and only root may change", async () => {
    const { machine, outcome } = await machineWith(releases.whole("0.9.0"));
    const told = { StandardOutputContent: "0.9.0\n", StandardErrorContent: "" };
    expect(outcome).toMatchObject({ Status: "Success", ResponseCode: 0, ...told });
    expect(await versionOn(machine)).toBe("0.9.0\n");
    const Line = "find /opt/mailark /usr/local/bin ! -type l \\( -perm /022 -o ! -perm -004 \\)";
    expect(await run("shell", machine, { Line })).toMatchObject({ Status: "Success", StandardOutputContent: "" });
  });

  test("of another release keeps the one before, for what still runs from it, and none that is older", async () => {
    const { machine } = await machineWith(first);
    const [old] = unpackedOn(machine);
    mkdirSync(join(machine.directory, "opt/mailark/releases/of-an-installation-that-was-killed"));
    expect(await install(machine, second)).toMatchObject({ Status: "Success", StandardOutputContent: "2.0.0\n" });
    expect(await versionOn(machine)).toBe("2.0.0\n");
    expect(unpackedOn(machine)).toHaveLength(2);
    expect(unpackedOn(machine)).toContain(old);
    // The same again is another directory: nothing is taken from under what runs.
    expect(await install(machine, second)).toMatchObject({ Status: "Success" });
    expect(unpackedOn(machine)).toHaveLength(2);
    expect(unpackedOn(machine)).not.toContain(old);
  });

  test.each<[string, number, () => { archive: Buffer; Sha256?: string }]>([
    ["whose SHA-256 is another one", 4, () => ({ archive: second, Sha256: sha256Of(first) })],
    ["that is cut off", 1, () => ({ archive: second.subarray(0, second.length / 2) })],
    ["that lacks a file", 1, () => ({ archive: releases.small("3.0.0", ["main.ts"]) })],
  ])("of an archive %s replaces nothing and leaves nothing", async (_, ResponseCode, bad) => {
    const { machine } = await machineWith(first);
    const before = unpackedOn(machine);
    const { archive, Sha256 } = bad();
    const served = releases.serve(archive);
    const outcome = await install(machine, archive, { ...served, ...(Sha256 && { Sha256 }) });
    expect(outcome).toMatchObject({ Status: "Failed", ResponseCode });
    expect(outcome.StandardOutputContent).not.toBe("");
    expect(unpackedOn(machine)).toEqual(before);
    expect(await versionOn(machine)).toBe("1.0.0\n");
  });

  test("is refused while another one is under way", async () => {
    const { machine } = await machineWith(first);
    const holder = spawn("flock", [join(machine.directory, "opt/mailark/install.lock"), "sh", "-c", "echo; read -r x"]);
    await once(holder.stdout, "data");
    expect(await install(machine, second)).toMatchObject({ Status: "Failed", ResponseCode: 5 });
    holder.stdin.end("\n");
    await once(holder, "exit");
    expect(await versionOn(machine)).toBe("1.0.0\n");
  });
});
