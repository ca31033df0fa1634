import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import { eventSender } from "../../../lambdas/runtime/events.ts";

const bus = mockClient(EventBridgeClient);
const send = eventSender(new EventBridgeClient({ region: "eu-central-1" }));
const details = Array.from({ length: 12 }, (_, number) => ({ number }));

beforeEach(() => {
  bus.reset();
});

describe("events of the controller", () => {
  test("go to the default bus under its name, ten at a time", async () => {
    bus.on(PutEventsCommand).resolves({ FailedEntryCount: 0 });
    await send("Snapshot Judged", details);
    const sent = bus.commandCalls(PutEventsCommand).map(({ args }) => args[0].input.Entries ?? []);
    expect(sent.map((entries) => entries.length)).toEqual([10, 2]);
    expect(sent.flat()).toEqual(
      details.map((detail) => ({
        Source: "mailark",
        DetailType: "Snapshot Judged",
        Detail: JSON.stringify(detail),
      })),
    );
  });

  test("that were not all taken are an error, and may be sent again", async () => {
    bus.on(PutEventsCommand).resolves({ FailedEntryCount: 1 });
    await expect(send("Snapshot Judged", details)).rejects.toMatchObject({ code: "STORE_BUSY", retryable: true });
  });
});
