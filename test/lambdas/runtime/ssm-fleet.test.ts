import {
  DescribeInstanceInformationCommand,
  ListCommandInvocationsCommand,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import { ssmFleet } from "../../../lambdas/runtime/ssm-fleet.ts";

const ssm = mockClient(SSMClient);
const fleet = ssmFleet(new SSMClient({ region: "eu-central-1" }), {
  document: "mailark-backup",
  tag: { key: "mailark", value: "host" },
});

beforeEach(() => {
  ssm.reset();
});

describe("the fleet in SSM", () => {
  test("is every machine with the tag, over all pages", async () => {
    ssm
      .on(DescribeInstanceInformationCommand)
      .resolvesOnce({ InstanceInformationList: [{ InstanceId: "i-1", PingStatus: "Online" }], NextToken: "more" })
      .resolvesOnce({ InstanceInformationList: [{ InstanceId: "mi-2", PingStatus: "ConnectionLost" }] });
    expect(await fleet.machines()).toEqual([
      { id: "i-1", online: true },
      { id: "mi-2", online: false },
    ]);
    const [first, second] = ssm.commandCalls(DescribeInstanceInformationCommand).map(({ args }) => args[0].input);
    expect(first?.Filters).toEqual([{ Key: "tag:mailark", Values: ["host"] }]);
    expect(second?.NextToken).toBe("more");
  });

  test("is busy where the document runs or waits, over all pages", async () => {
    ssm.on(ListCommandInvocationsCommand).callsFake(({ Filters: [document, status], NextToken }) => ({
      CommandInvocations: [{ InstanceId: `${document.value} ${status.value} ${NextToken ?? "first"}` }],
      ...(NextToken === undefined && { NextToken: "more" }),
    }));
    const busy = ["Pending first", "Pending more", "InProgress first", "InProgress more"];
    expect(await fleet.running()).toEqual(new Set(busy.map((each) => `mailark-backup ${each}`)));
  });

  test("gets the document with its parameters, and an hour to come back", async () => {
    ssm.on(SendCommandCommand).resolves({ Command: { CommandId: "c-1" } });
    const parameters = { Components: "mysql", Base: "", RequestId: "r-1" };
    expect(await fleet.start(["i-1"], parameters)).toBe("c-1");
    expect(ssm.commandCalls(SendCommandCommand)[0]?.args[0].input).toEqual({
      DocumentName: "mailark-backup",
      InstanceIds: ["i-1"],
      Parameters: { Components: ["mysql"], Base: [""], RequestId: ["r-1"] },
      Comment: "request r-1",
      TimeoutSeconds: 3600,
    });
  });
});
