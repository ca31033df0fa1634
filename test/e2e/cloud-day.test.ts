import { CloudWatchClient, DescribeAlarmsCommand } from "@aws-sdk/client-cloudwatch";
import { ListCommandsCommand, SSMClient } from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ComponentName, hostRecordKey } from "../../core/keys.ts";
import { generateSigningKey, signerOf } from "../../core/signed-document.ts";
import type { ObjectWriter } from "../../core/stores/store.ts";
import { lambdaService } from "../../sandbox/cloud/services/lambda/lambda-service.ts";
import { type CloudFleet, startCloudFleet } from "../fixtures/cloud-fleet.ts";
import { enrolledHost, storedSnapshot } from "../fixtures/enrolled-host.ts";
import { idlePermissions } from "../fixtures/idle-permissions.ts";
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
    expect(dispatches[0].requestId).toMatch(/^mailark-databases\.2027-03-01T00:\d\d:00Z$/);
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

  test("starts once what is asked for several times at once", async () => {
    const request = { requestId: "mailark-files.2027-03-01T06:30:00Z", requestedBy: "a test", tier: "files" };
    const Payload = JSON.stringify({ ...request, components: ["certs"] });
    const invocation = { operation: "Invoke", input: { FunctionName: "mailark-dispatch", Payload } };
    const caller = { kind: "root", account: fleet.cloud.accountId } as const;
    const invoke = () => fleet.cloud.made(lambdaService).answer!({ ...invocation, caller });
    const answers = await Promise.all(Array.from({ length: 3 }, invoke));
    const [record, ...others] = answers.map((answer) => JSON.parse(answer.Payload as string));
    expect(record).toMatchObject({ ...request, commands: [{ machines: [fleet.host.node.instanceId] }] });
    expect(others).toEqual([record, record]);
    await fleet.cloud.settle();
    const { Commands } = await new SSMClient(clientOf(fleet.cloud)).send(new ListCommandsCommand({ MaxResults: 50 }));
    expect(Commands?.filter(({ Comment }) => Comment?.endsWith(request.requestId))).toHaveLength(1);
    const runs = await fleet.stored(`hosts/${fleet.host.hostId}/runs/`);
    expect(runs.filter(({ requestId }) => requestId === request.requestId)).toHaveLength(1);
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

describe("somebody with the policy of operators", () => {
  test("starts a backup over the API, sees what came of it, and what there is", async () => {
    const { hostId, node } = fleet.host;
    const request = { requestId: "before-the-upgrade", components: ["configs"] };
    const { status, body } = await fleet.call("/system/backup", request);
    expect({ status, body }).toMatchObject({
      status: 202,
      body: {
        ...{
          requestId: "before-the-upgrade",
          state: "started",
          requestedBy: expect.stringMatching(/operators\/alice$/),
        },
        ...{ commands: [{ machines: [node.instanceId] }], skipped: [] },
      },
    });
    await fleet.cloud.settle();
    const asked = await fleet.call("/system/backup/status?requestId=before-the-upgrade");
    const run = (await fleet.stored(`hosts/${hostId}/runs/`)).at(-1);
    const [{ snapshotId, bytesRead, bytesStored }] = run.components;
    const component = { component: "configs", outcome: "complete", kind: "full", snapshotId, bytesRead, bytesStored };
    const { runId, startedAt, finishedAt } = run;
    const said = { hostId, host: "mail-1", runId, receivedAt: expect.anything(), startedAt, finishedAt };
    const hosts = [{ ...said, components: [component] }];
    expect(asked).toEqual({ status: 200, body: { ...(body as object), hosts } });
    const { backups } = (await fleet.call("/system/backups")).body as { backups: readonly object[] };
    const [newest] = await goodOf("configs");
    expect(await goodOf("configs")).toHaveLength(2);
    expect(backups).toContainEqual({
      ...{ hostId, host: "mail-1", component: "configs" },
      good: [expect.objectContaining({ snapshotId: newest, kind: "full", bytesStored }), expect.anything()],
    });
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
  "HostWrite.Create s3:AbortMultipartUpload": "an upload that fails takes its parts back",
  "HostWrite.Seal kms:Decrypt": "S3 wants it for uploads in parts",
  "HostCommand.Channel ec2messages:AcknowledgeMessage": "an agent falls back to it",
  "HostCommand.Channel ec2messages:DeleteMessage": "an agent falls back to it",
  "HostCommand.Channel ec2messages:FailMessage": "an agent falls back to it",
  "HostCommand.Channel ec2messages:GetEndpoint": "an agent falls back to it",
  "HostCommand.Channel ec2messages:GetMessages": "an agent falls back to it",
  "HostCommand.Channel ec2messages:SendReply": "an agent falls back to it",
  "HostCommand.Channel ssmmessages:CreateDataChannel": "an agent opens one for each session",
  "HostCommand.Channel ssmmessages:OpenDataChannel": "an agent opens one for each session",
  "HostCommand.Presence ssm:UpdateInstanceInformation managed-instance/*": "no host was outside AWS",
  "Drill.DrillKey ssm:GetParameter": "nothing was drilled",
  "Drill.List s3:ListBucket": "nothing was drilled",
  "Drill.Read s3:GetObject": "nothing was drilled",
  "Drill.Unseal kms:Decrypt": "nothing was drilled",
  "DispatchRole.SendToHosts ssm:SendCommand managed-instance/*": "no host was outside AWS",
  "DispatchRole.Bury sqs:SendMessage": "every event was handled",
  "DispatchRole.SealTheDead kms:Decrypt": "every event was handled",
  "DispatchRole.SealTheDead kms:GenerateDataKey": "every event was handled",
  "VerifyRole.Bury sqs:SendMessage": "every event was handled",
  "VerifyRole.SealTheDead kms:Decrypt": "every event was handled",
  "VerifyRole.SealTheDead kms:GenerateDataKey": "every event was handled",
  "VerifyRole.ListVault s3:ListBucket mailark-keyring-111122223333-eu-central-1":
    "that a key is missing S3 says only to whom may list: to others it may be there",
  "VerifyRole.SealControl kms:Decrypt":
    "one key seals the vault and the control bucket, and UnsealVault allows the same",
  "ScheduleRole.Bury sqs:SendMessage": "every schedule reached its function",
  "ScheduleRole.SealTheDead kms:Decrypt": "every schedule reached its function",
  "ScheduleRole.SealTheDead kms:GenerateDataKey": "every schedule reached its function",
};

test("nobody may do what was not done, but for a reason", () => {
  expect(idlePermissions(fleet.cloud)).toEqual(Object.keys(unused).toSorted());
});
