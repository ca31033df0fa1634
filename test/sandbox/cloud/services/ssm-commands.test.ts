import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CancelCommandCommand,
  DescribeInstanceInformationCommand,
  GetParameterCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  SendCommandCommand,
} from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ssmFleet } from "../../../../lambdas/runtime/ssm-fleet.ts";
import type { CloudEvent } from "../../../../sandbox/cloud/service.ts";
import { account, region, synthesizedStacks } from "../../../fixtures/synthesized-account.ts";
import { drillHost, neighbours } from "./ssm-neighbours.ts";
import { refusal, type SsmPlace, ssmPlace } from "./ssm-place.ts";

let place: SsmPlace;

beforeAll(async () => {
  place = await ssmPlace([...synthesizedStacks(), neighbours({ Drill: drillHost })]);
}, 120_000);
afterAll(() => place?.close());

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
type Machines = Parameters<SsmPlace["send"]>[2];

const shell = (to: Machines, Line: string, more = {}) => place.send(place.operator(), "shell", to, { Line }, more);
const several = (count: number) => Array.from({ length: count }, () => place.machine());
const arn = (id: string) => `arn:aws:ec2:${region}:${account}:instance/${id}`;

describe("what the dispatching function calls", () => {
  const fleet = () =>
    ssmFleet(place.dispatcher(), { document: "mailark-backup", tag: { key: "mailark", value: "host" } });

  test("finds the machines that bear the tag, over several pages, and says which are there", async () => {
    const online = several(51);
    const away = place.machine();
    away.disconnect();
    const other = place.machine({ tags: { mailark: "drill" } });
    const untagged = place.machine({ tags: {} });
    await place.cloud.advance(11 * minute);
    const found = new Map((await fleet().machines()).map((each) => [each.id, each.online]));
    expect(online.every(({ instanceId }) => found.get(instanceId) === true)).toBe(true);
    expect(found.get(away.instanceId)).toBe(false);
    expect(found.has(other.instanceId) || found.has(untagged.instanceId)).toBe(false);
  });

  test("starts the backup, and sees where it runs", async () => {
    const programs = { mailark: "echo done" };
    const [here, away] = [place.machine({ programs }), place.machine({ programs })];
    away.disconnect();
    const id = await fleet().start([here.instanceId, away.instanceId], {
      Components: "mail",
      Base: "",
      RequestId: "r-2",
    });
    await place.cloud.settle();
    expect(await fleet().running()).toEqual(new Set([away.instanceId]));
    expect(await place.outcome(id, here)).toMatchObject({ Status: "Success", Comment: "request r-2" });
    away.connect();
    await place.cloud.settle();
    expect(await fleet().running()).toEqual(new Set());
    expect((await place.commandOf(id)).Status).toBe("Success");
  });
});

describe("a command", () => {
  test("becomes Success on its nodes and as a whole, and says so in events", async () => {
    const hosts = several(2);
    const before = place.events.length;
    const id = await shell(hosts, "true", { Comment: "by hand" });
    const command = await place.commandOf(id);
    expect(command).toMatchObject({
      Status: "Success",
      StatusDetails: "Success",
      TargetCount: 2,
      CompletedCount: 2,
      ErrorCount: 0,
      Comment: "by hand",
    });
    const told = (event: CloudEvent) => event.detail as Record<string, unknown>;
    const events = place.events.slice(before).filter((event) => told(event)["command-id"] === id);
    expect(events.every(({ source }) => source === "aws.ssm")).toBe(true);
    const requested = new Date(command.RequestedDateTime!).toISOString();
    const of = (kind: string) =>
      events.filter((event) => event["detail-type"] === `EC2 Command ${kind}Status-change Notification`);
    for (const { instanceId } of hosts) {
      const own = of("Invocation ").filter((event) => told(event)["instance-id"] === instanceId);
      expect(own.map((event) => told(event).status)).toEqual(["InProgress", "Success"]);
      expect(own[0]).toEqual({
        source: "aws.ssm",
        "detail-type": "EC2 Command Invocation Status-change Notification",
        resources: [arn(instanceId)],
        detail: {
          "command-id": id,
          "document-name": "shell",
          "instance-id": instanceId,
          "requested-date-time": requested,
          status: "InProgress",
        },
      });
    }
    const whole = of("");
    expect(whole.map((event) => told(event).status)).toEqual(["InProgress", "Success"]);
    expect(whole[1]).toMatchObject({
      resources: hosts.map(({ instanceId }) => arn(instanceId)),
      detail: {
        "command-id": id,
        "document-name": "shell",
        "expire-after": new Date(command.ExpiresAfter!).toISOString(),
        parameters: { Line: ["true"] },
        "requested-date-time": requested,
      },
    });
  });

  test("that reaches nobody in time is not run any more", async () => {
    const host = place.machine();
    host.disconnect();
    const id = await shell([host], "true", { TimeoutSeconds: 600 });
    await place.cloud.advance(599 * second);
    expect((await place.commandOf(id)).Status).toBe("Pending");
    await place.cloud.advance(second);
    expect(await place.outcome(id, host)).toMatchObject({
      Status: "TimedOut",
      StatusDetails: "DeliveryTimedOut",
      ResponseCode: -1,
    });
    const { Status, StatusDetails, DeliveryTimedOutCount, ErrorCount } = await place.commandOf(id);
    expect([Status, StatusDetails, DeliveryTimedOutCount, ErrorCount]).toEqual(["TimedOut", "DeliveryTimedOut", 1, 0]);
    host.connect();
    expect(await place.outcome(id, host)).toMatchObject({
      StatusDetails: "DeliveryTimedOut",
      StandardOutputContent: "",
    });
  });

  test("whose node is cut off while it runs is known once it is back", async () => {
    const host = place.machine({ patience: 100 });
    const id = await shell([host], 'until [ -e "$PLACE/go" ]; do sleep 0.1; done; echo done; touch "$PLACE/ended"');
    await place.cloud.settle();
    host.disconnect();
    writeFileSync(join(host.directory, "go"), "");
    await vi.waitFor(() => expect(existsSync(join(host.directory, "ended"))).toBe(true), 10_000);
    expect(await place.outcome(id, host)).toMatchObject({ Status: "InProgress", StandardOutputContent: "" });
    host.connect();
    const back = async () => expect((await place.outcome(id, host)).StandardOutputContent).toBe("done\n");
    await vi.waitFor(back, 10_000);
  });

  test("whose node is cut off for good is given up when delivery and execution would have had their time", async () => {
    const host = place.machine({ patience: 100 });
    const id = await shell([host], "echo done", { TimeoutSeconds: 600 });
    host.disconnect();
    await place.cloud.advance(659 * second);
    expect((await place.outcome(id, host)).Status).toBe("InProgress");
    await place.cloud.advance(second);
    expect((await place.outcome(id, host)).StatusDetails).toBe("DeliveryTimedOut");
  });

  test("is undeliverable to a machine that is no more", async () => {
    const host = place.machine();
    host.disconnect();
    const id = await shell([host], "true");
    await host.terminate();
    expect(await place.outcome(id, host)).toMatchObject({ Status: "Failed", StatusDetails: "Undeliverable" });
    expect(await refusal(shell([host], "true"))).toBe("InvalidInstanceId");
  });

  test("is cancelled wherever it has not ended", async () => {
    const [busy, away, done] = [place.machine({ patience: 300 }), place.machine(), place.machine()];
    away.disconnect();
    const id = await shell([busy, away, done], `[ "$PLACE" = "${done.directory}" ] || sleep 1000`);
    await place.cloud.settle();
    await place.operator().send(new CancelCommandCommand({ CommandId: id }));
    expect(await place.outcome(id, busy)).toMatchObject({ Status: "Cancelled", ResponseCode: 137 });
    expect(await place.outcome(id, away)).toMatchObject({ Status: "Cancelled", ResponseCode: -1 });
    expect(await place.outcome(id, done)).toMatchObject({ Status: "Success" });
    expect((await place.commandOf(id)).Status).toBe("Cancelled");
  });

  test("runs on as many nodes at a time as it may", async () => {
    const [first, next] = several(2);
    first!.disconnect();
    const id = await shell([first!, next!], "true", { MaxConcurrency: "1" });
    expect((await place.outcome(id, next!)).Status).toBe("Pending");
    first!.connect();
    expect((await place.outcome(id, next!)).Status).toBe("Success");
  });

  test("is not begun on further nodes when too many have failed", async () => {
    const hosts = several(4);
    const id = await shell(hosts, "exit 1", { MaxConcurrency: "1", MaxErrors: "1" });
    const details = await Promise.all(hosts.map(async (host) => (await place.outcome(id, host)).StatusDetails));
    expect(details).toEqual(["Failed", "Failed", "Terminated", "Terminated"]);
    expect(await place.commandOf(id)).toMatchObject({ Status: "Failed", StatusDetails: "Failed", ErrorCount: 2 });
  });

  test("is incomplete where fewer have failed than it allows", async () => {
    const hosts = several(4);
    const id = await shell(hosts, `[ "$PLACE" != "${hosts[0]!.directory}" ]`, { MaxErrors: "50%" });
    expect((await place.commandOf(id)).StatusDetails).toBe("Incomplete");
  });

  test("goes to the machines that bear a tag", async () => {
    const [meant, other] = [place.machine({ tags: { task: "a" } }), place.machine({ tags: { task: "b" } })];
    const to = (value: string) =>
      shell([], "true", { InstanceIds: undefined, Targets: [{ Key: "tag:task", Values: [value] }] });
    const id = await to("a");
    expect((await place.outcome(id, meant)).Status).toBe("Success");
    expect(await refusal(place.outcome(id, other))).toBe("InvocationDoesNotExist");
    expect(await place.commandOf(await to("c"))).toMatchObject({ StatusDetails: "NoInstancesInTag", TargetCount: 0 });
  });

  test.each<[string, () => Promise<unknown>]>([
    ["InvalidDocument", () => place.send(place.operator(), "nothing", several(1))],
    ["InvalidInstanceId", () => shell([{ instanceId: "i-99999999999999999" }], "true")],
    ["DuplicateInstanceId", () => shell([...Array(2).fill(place.machine())], "true")],
    ["ValidationException", () => shell(several(1), "true", { TimeoutSeconds: 29 })],
    ["ValidationException", () => shell(several(51), "true")],
    ["ValidationException", () => shell([], "true")],
    ["InvalidCommandId", () => place.commandOf("0".repeat(36))],
  ])("is refused with %s, case %#", async (name, call) => {
    expect(await refusal(call())).toBe(name);
  });
});

test.each<[string, string, Record<string, unknown>]>([
  ["an operation", "DeleteDocument", { Name: "shell" }],
  ["an input", "SendCommand", { DocumentName: "shell", InstanceIds: [], ServiceRoleArn: "arn:aws:iam::1:role/x" }],
  ["a target", "SendCommand", { DocumentName: "shell", Targets: [{ Key: "resource-groups:Name", Values: ["x"] }] }],
])("%s that is not understood is a defect of the sandbox", async (_, operation, input) => {
  place.machine();
  const caller = place.cloud.account.session("operator", "alice");
  await expect(place.ssm.answer!({ operation, input, caller })).rejects.toThrow(
    /not known here|Unrecognized|not understood/,
  );
});

describe("lists", () => {
  test("have a page at a time, and a token is of one list", async () => {
    const hosts = several(3);
    const CommandId = await shell(hosts, "true");
    await place.cloud.settle();
    const list = (more: object) =>
      place.operator().send(new ListCommandInvocationsCommand({ CommandId, MaxResults: 2, ...more }));
    const first = await list({});
    const last = await list({ NextToken: first.NextToken });
    expect([...first.CommandInvocations!, ...last.CommandInvocations!].map((each) => each.InstanceId)).toEqual(
      hosts.map(({ instanceId }) => instanceId),
    );
    expect(last.NextToken).toBeUndefined();
    expect(await refusal(list({ NextToken: first.NextToken, MaxResults: 2, Details: true }))).toBe("InvalidNextToken");
  });

  test("of commands are narrowed by document, status and time, the newest first", async () => {
    const host = place.machine();
    const older = await shell([host], "true");
    await place.cloud.advance(minute);
    const since = new Date(Date.parse("2026-11-21T02:00:00.000Z")).toISOString();
    const newer = await shell([host], "exit 1");
    await place.cloud.settle();
    const list = async (
      ...Filters: { key: "DocumentName" | "Status" | "InvokedAfter" | "InvokedBefore"; value: string }[]
    ) => {
      const asked = new ListCommandsCommand({ InstanceId: host.instanceId, ...(Filters.length > 0 && { Filters }) });
      return (await place.operator().send(asked)).Commands!.map(({ CommandId }) => CommandId);
    };
    expect(await list()).toEqual([newer, older]);
    expect(await list({ key: "Status", value: "Failed" })).toEqual([newer]);
    expect(await list({ key: "DocumentName", value: "telling" })).toEqual([]);
    expect(await list({ key: "InvokedBefore", value: since })).toEqual([]);
  });

  test("show both outputs of a step in one text of at most 2,500 characters", async () => {
    const host = place.machine();
    const CommandId = await shell([host], "yes | head -n 5000; echo wrong >&2; exit 1");
    await place.cloud.settle();
    const { CommandInvocations } = await place
      .operator()
      .send(new ListCommandInvocationsCommand({ CommandId, Details: true }));
    const [plugin] = CommandInvocations![0]!.CommandPlugins!;
    expect(plugin).toMatchObject({ Name: "shell", Status: "Failed", ResponseCode: 1 });
    expect(plugin!.Output).toMatch(/^(y\n)+y?\n---Output truncated---\n----------ERROR-------\nwrong\n$/);
    expect(plugin!.Output).toHaveLength(2500);
  });
});

describe("permissions", () => {
  test("the dispatching function starts the backup, on machines that bear the tag, and nothing else", async () => {
    const send = (document: string, tags: Record<string, string>, parameters = {}) =>
      refusal(
        place.send(place.dispatcher(), document, [place.machine({ tags, programs: { mailark: "true" } })], parameters),
      );
    expect(await send("mailark-backup", { mailark: "host" })).toBe("allowed");
    expect(await send("mailark-backup", {})).toBe("AccessDeniedException");
    expect(await send("mailark-backup", { mailark: "drill" })).toBe("AccessDeniedException");
    for (const name of ["mailark-restore", "mailark-install", "mailark-drill", "shell", "AWS-RunShellScript"]) {
      expect(await send(name, { mailark: "host" })).toBe("AccessDeniedException");
    }
    const { Targets, DocumentName } = { DocumentName: "mailark-backup", Targets: [{ Key: "tag:task", Values: ["x"] }] };
    place.machine({ tags: { task: "x" } });
    const byTag = place.dispatcher().send(new SendCommandCommand({ DocumentName, Targets }));
    expect(await refusal(byTag)).toBe("AccessDeniedException");
  });

  test("a host calls nothing", async () => {
    const host = place.machine();
    const own = place.client("mailark-host", host.instanceId);
    const calls = [
      place.send(own, "mailark-backup", [host]),
      own.send(new DescribeInstanceInformationCommand({})),
      own.send(new ListCommandInvocationsCommand({})),
      own.send(new ListCommandsCommand({})),
      own.send(new CancelCommandCommand({ CommandId: "0".repeat(36) })),
      own.send(new GetParameterCommand({ Name: "/mailark/drill-key", WithDecryption: true })),
    ];
    expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => "AccessDeniedException"));
  });

  test("a machine gets commands as far as its role lets its agent ask for them", async () => {
    const [mute, present, old] = ["mute-host", "present-host", "old-host"].map((roleName) =>
      place.machine({ roleName }),
    );
    expect(await refusal(shell([mute!], "true"))).toBe("InvalidInstanceId");
    const id = await shell([present!, old!], "true");
    expect((await place.outcome(id, old!)).Status).toBe("Success");
    expect((await place.outcome(id, present!)).Status).toBe("Pending");
    await place.cloud.advance(hour);
    expect((await place.outcome(id, present!)).StatusDetails).toBe("DeliveryTimedOut");
  });

  test("the drill key is read by a machine for drills, and by no host", async () => {
    const [vaultKey] = place.cloud.stacks
      .flatMap(({ resources }) => resources)
      .filter(({ type }) => type === "AWS::KMS::Key");
    for (const name of ["/mailark/drill-key", "/mailark/other"]) {
      place.ssm.putParameter({ name, value: "AGE-SECRET-KEY", keyArn: vaultKey!.attributes.Arn as string });
    }
    const get = async (role: string, Name: string) => {
      const asked = new GetParameterCommand({ Name, WithDecryption: true });
      return (await place.client(role, "i-0").send(asked)).Parameter!.Value;
    };
    expect(await get("drill-host", "/mailark/drill-key")).toBe("AGE-SECRET-KEY");
    expect(await refusal(get("drill-host", "/mailark/other"))).toBe("AccessDeniedException");
    expect(await refusal(get("mailark-host", "/mailark/drill-key"))).toBe("AccessDeniedException");
  });

  test("a secret parameter is opened by KMS, in the name of who reads it", async () => {
    const name = "/mailark/secret";
    const keyArn = place.cloud.stacks
      .flatMap(({ resources }) => resources)
      .find(({ type }) => type === "AWS::KMS::Key")!.attributes.Arn as string;
    place.ssm.putParameter({ name, value: "AGE-SECRET-KEY", keyArn });
    place.ssm.putParameter({ name: "/plain", value: "text" });
    const get = (who: string, Name: string, WithDecryption = true) =>
      place.client(who, "bob").send(new GetParameterCommand({ Name, WithDecryption }));
    const { Parameter } = await get("operator", name);
    const Type = "SecureString";
    expect(Parameter).toMatchObject({
      Name: name,
      Type,
      Value: "AGE-SECRET-KEY",
      Version: 1,
      ARN: `arn:aws:ssm:${region}:${account}:parameter${name}`,
    });
    expect((await get("operator", name, false)).Parameter!.Value).not.toContain("SECRET");
    expect((await get("operator", "/plain")).Parameter).toMatchObject({ Type: "String", Value: "text" });
    expect(await refusal(get("reader", name))).toBe("AccessDeniedException");
    expect(await refusal(get("operator", "/nothing"))).toBe("ParameterNotFound");
  });
});
