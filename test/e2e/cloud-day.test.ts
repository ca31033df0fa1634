import { CloudWatchClient, DescribeAlarmsCommand } from "@aws-sdk/client-cloudwatch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ComponentName, hostRecordKey } from "../../core/keys.ts";
import { generateSigningKey, signerOf } from "../../core/signed-document.ts";
import type { ObjectWriter } from "../../core/stores/store.ts";
import { type CloudFleet, startCloudFleet } from "../fixtures/cloud-fleet.ts";
import { enrolledHost, storedSnapshot } from "../fixtures/enrolled-host.ts";
import { mailIn } from "../fixtures/operator-mail.ts";
import { clientOf } from "../fixtures/small-cloud.ts";

const hour = 3_600_000;
let fleet: CloudFleet;

beforeAll(async () => {
  // A Monday, in the winter of Berlin.
  fleet = await startCloudFleet("2027-03-01T00:00:00.000Z");
});
afterAll(() => fleet?.stop());

/** The last good snapshots of the host's component, the newest first. */
async function goodOf(component: ComponentName): Promise<readonly string[]> {
  const [latest] = await fleet.records(`control/latest/${fleet.host.hostId}/${component}.json`);
  return (latest?.good ?? []).map(({ snapshotId }: { snapshotId: string }) => snapshotId);
}

describe("a day of the controller", () => {
  test("starts backups by its schedules, finds each intact, and tells the next one what it may build on", async () => {
    await fleet.cloud.advance(7 * hour);
    const { hostId, node } = fleet.host;
    const dispatches = (await fleet.records("control/dispatches/")).toSorted((a, b) => (a.at < b.at ? -1 : 1));
    expect(dispatches.map(({ at, requestedBy }) => [at.slice(11, 13), requestedBy])).toEqual([
      ["00", "schedule mailark-databases"],
      ["03", "schedule mailark-files"],
      ["04", "schedule mailark-mail"],
      ["06", "schedule mailark-databases"],
    ]);
    const [second, first] = await goodOf("mysql");
    expect(dispatches.map(({ commands }) => commands)).toEqual(
      ["", "", "", `mysql=${first}`].map((base) => [
        { commandId: expect.anything(), machines: [node.instanceId], base },
      ]),
    );

    const verdicts = await fleet.records(`control/verdicts/${hostId}/`);
    expect(verdicts.map(({ component, outcome }) => [component, outcome])).toEqual(
      ["certs", "configs", "mail", "mysql", "mysql"].map((component) => [component, "intact"]),
    );
    const runs = await fleet.stored(`hosts/${hostId}/runs/`);
    expect(runs.map(({ requestId }) => requestId)).toEqual(dispatches.map(({ requestId }) => requestId));
    expect(runs.at(-1)?.components).toMatchObject([
      { component: "mysql", outcome: "complete", offered: first, snapshotId: second },
    ]);
  });

  test("rings no alarm, and writes to nobody but that all is well", async () => {
    expect(mailIn(fleet.cloud).filter(({ subject }) => !subject.startsWith("OK: "))).toEqual([]);
    const { MetricAlarms } = await new CloudWatchClient(clientOf(fleet.cloud)).send(new DescribeAlarmsCommand({}));
    expect(MetricAlarms?.length).toBeGreaterThan(5);
    expect(MetricAlarms?.filter(({ StateValue }) => StateValue !== "OK").map(({ AlarmName }) => AlarmName)).toEqual([]);
  });

  test("lets a host create, and nothing else", () => {
    const byHost = fleet.cloud.used.filter(({ role }) => role.endsWith("/mailark-host"));
    const inS3 = byHost.map(({ action }) => action).filter((action) => action.startsWith("s3:"));
    expect([...new Set(inS3)]).toEqual(["s3:PutObject"]);
  });

  test("judges once what is told twice", async () => {
    const before = await fleet.records("control/verdicts/");
    const [manifest] = await fleet.keys(`hosts/${fleet.host.hostId}/mail/`, "/manifest.json");
    await fleet.tellAgain(manifest!);
    expect(await fleet.records("control/verdicts/")).toEqual(before);
    expect(await goodOf("mail")).toHaveLength(1);
  });
});

describe("what a host stores that is in hostile hands", () => {
  /** A pack that comes is another one, of as many bytes; or never comes. */
  const instead = (vault: ObjectWriter, packs: "damaged" | "missing"): ObjectWriter => ({
    async put(key, body, options) {
      if (!key.endsWith(".pack")) return vault.put(key, body, options);
      if (packs === "missing") return { bytes: 0, crc64nvme: undefined };
      const pieces = (body as readonly Uint8Array[]).map((piece) => Buffer.alloc(piece.length, "x"));
      return vault.put(key, pieces, options);
    },
  });

  test.each([
    ["intact", (vault: ObjectWriter) => vault, true, "intact"],
    ["damaged", (vault: ObjectWriter) => instead(vault, "damaged"), true, "corrupt"],
    ["incomplete", (vault: ObjectWriter) => instead(vault, "missing"), true, "incomplete"],
    ["signed by somebody else", (vault: ObjectWriter) => vault, false, "forged"],
  ])("is judged for what it is: %s", async (_, through, own, outcome) => {
    const { hostId, vault } = fleet.machine();
    const { signer, approval } = await enrolledHost(vault, hostId);
    await fleet.approve(hostRecordKey(hostId), approval);
    await storedSnapshot(through(vault), 1, {}, own ? signer : signerOf(generateSigningKey()), hostId);
    await fleet.cloud.settle();
    expect(await fleet.records(`control/verdicts/${hostId}/`)).toMatchObject([{ outcome }]);
    expect(await fleet.records(`control/latest/${hostId}/`)).toHaveLength(outcome === "intact" ? 1 : 0);
    const told = mailIn(fleet.cloud).filter(({ text }) => text.includes(`is ${outcome};`));
    expect(told).toHaveLength(outcome === "intact" ? 0 : 1);
  });

  test("is not believed before somebody has approved the host", async () => {
    const { hostId, vault } = fleet.machine();
    const { signer, approval } = await enrolledHost(vault, hostId);
    await storedSnapshot(vault, 1, {}, signer, hostId);
    await fleet.cloud.settle();
    expect(await fleet.records(`control/verdicts/${hostId}/`)).toEqual([]);
    await fleet.approve(hostRecordKey(hostId), approval);
    await fleet.cloud.advance(24 * hour);
    expect(await fleet.records(`control/verdicts/${hostId}/`)).toMatchObject([{ outcome: "intact" }]);
  });
});

/** What a policy allowed and nobody did on that day by it, and why it stays. */
const unused: Readonly<Record<string, string>> = {
  "HostWrite s3:AbortMultipartUpload": "an upload that fails takes its parts back",
  "HostWrite kms:Decrypt": "S3 wants it for uploads in parts",
  "HostCommand ec2messages:AcknowledgeMessage": "an agent falls back to it",
  "HostCommand ec2messages:DeleteMessage": "an agent falls back to it",
  "HostCommand ec2messages:FailMessage": "an agent falls back to it",
  "HostCommand ec2messages:GetEndpoint": "an agent falls back to it",
  "HostCommand ec2messages:GetMessages": "an agent falls back to it",
  "HostCommand ec2messages:SendReply": "an agent falls back to it",
  "HostCommand ssmmessages:CreateDataChannel": "an agent opens one for each session",
  "HostCommand ssmmessages:OpenDataChannel": "an agent opens one for each session",
  "Drill s3:GetObject": "nothing was drilled",
  "Drill s3:ListBucket": "nothing was drilled",
  "Drill kms:Decrypt": "nothing was drilled",
  "Drill ssm:GetParameter": "nothing was drilled",
  "DispatchRole sqs:SendMessage": "every event was handled",
  "VerifyRole sqs:SendMessage": "every event was handled",
  "ScheduleRole sqs:SendMessage": "every schedule reached its function",
  "ScheduleRole kms:Decrypt": "every schedule reached its function",
  "ScheduleRole kms:GenerateDataKey": "every schedule reached its function",
  "ApiRole logs:CreateLogStream": "nobody called the API",
  "ApiRole logs:PutLogEvents": "nobody called the API",
  "ApiRole s3:GetObject": "nobody called the API",
  "ApiRole s3:ListBucket": "nobody called the API",
  "ApiRole kms:Decrypt": "nobody called the API",
  "ApiRole events:PutEvents": "nobody called the API",
  "Operator execute-api:Invoke": "nobody called the API",
};

test("nobody may do what was not done, but for a reason", () => {
  const { used, stacks } = fleet.cloud;
  const policies = stacks
    .flatMap(({ resources }) => resources)
    .filter(({ type }) => /^AWS::IAM::(Managed)?Policy$/.test(type));
  const idle = policies.flatMap(({ stack, logicalId, properties }) => {
    const holder = logicalId.replace(/(Default)?Policy[0-9A-F]{8}$/, "");
    const statements = properties.PolicyDocument.Statement as readonly { Effect: string; Action: string | string[] }[];
    const done = used.filter(({ by }) => by.some((name) => name.startsWith(`${stack}.${logicalId} `)));
    return statements
      .filter(({ Effect }) => Effect === "Allow")
      .flatMap(({ Action }) => Action)
      .filter((allowed) => !done.some(({ action }) => action === allowed))
      .map((action) => `${holder} ${action}`);
  });
  expect([...new Set(idle)].toSorted()).toEqual(Object.keys(unused).toSorted());
});
