import { describe, expect, test } from "vitest";
import { CallRefused } from "../../../../sandbox/cloud/service.ts";
import { queue, ruleArn, sale, shop, start, topic } from "../../../fixtures/event-shop.ts";
import { accountId, region } from "../../../fixtures/small-cloud.ts";

describe("an event", () => {
  test("reaches the target of the rule that it fits, in an envelope", async () => {
    const { put, until, deliveries, measured } = await shop();
    const answer = await put({ ...sale, Resources: ["tea"] });
    await until(start);
    const [entry] = answer.Entries as [{ EventId: string }];
    expect(answer.FailedEntryCount).toBe(0);
    expect(deliveries).toHaveLength(1);
    expect(JSON.parse(deliveries[0]!.payload)).toEqual({
      version: "0",
      id: entry.EventId,
      "detail-type": "Sold",
      source: "shop",
      account: accountId,
      time: "2026-03-01T12:00:00Z",
      region,
      resources: ["tea"],
      detail: JSON.parse(sale.Detail),
    });
    expect(entry.EventId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(measured("Invocations")).toEqual([
      { namespace: "AWS/Events", name: "Invocations", dimensions: { RuleName: "sold" }, value: 1 },
    ]);
  });

  test("is handed over by EventBridge itself, which says for which rule and account", async () => {
    const { put, until, deliveries } = await shop();
    await put(sale);
    await until(start);
    expect(deliveries[0]).toMatchObject({
      to: queue("sales"),
      as: { kind: "service", service: "events.amazonaws.com" },
      context: { "aws:SourceArn": ruleArn, "aws:SourceAccount": accountId },
    });
  });

  test("reaches a topic without a word of the rule", async () => {
    const { put, until, deliveries } = await shop({}, { Arn: topic });
    await put(sale);
    await until(start);
    expect(deliveries).toMatchObject([{ to: topic, context: {} }]);
  });

  test("that fits no rule, or one that is disabled, goes nowhere", async () => {
    const fitting = await shop();
    await fitting.put({ ...sale, Detail: '{"sum":10}' });
    await fitting.until(start);
    expect(fitting.deliveries).toEqual([]);
    const disabled = await shop({ State: "DISABLED" });
    await disabled.put(sale);
    await disabled.until(start);
    expect(disabled.deliveries).toEqual([]);
  });

  test("of a service comes by way of publish", async () => {
    const { service, deliveries } = await shop({ EventPattern: { source: ["aws.s3"] } });
    await service.publish({ source: "aws.s3", "detail-type": "Object Created", detail: {} });
    expect(deliveries).toHaveLength(1);
  });

  test("is handed over by a session of the target's role, if the role trusts for that rule", async () => {
    const { put, until, deliveries } = await shop({}, { RoleArn: `arn:aws:iam::${accountId}:role/carrier` });
    await put(sale);
    await until(start);
    expect(deliveries).toMatchObject([
      { as: { kind: "session", role: expect.stringMatching(/carrier$/) }, context: {} },
    ]);
  });

  test("is not handed over under a role that does not trust EventBridge", async () => {
    const { put, until, deliveries, measured, notes } = await shop(
      {},
      { RoleArn: `arn:aws:iam::${accountId}:role/stranger` },
    );
    await put(sale);
    await until(start);
    expect(deliveries).toEqual([]);
    expect(measured("FailedInvocations")).toHaveLength(1);
    expect(notes.join()).toContain("may not sts:AssumeRole");
  });
});

describe("PutEvents", () => {
  test.each<[string, object, string]>([
    ["no source", { Source: undefined }, "InvalidArgument"],
    ["no type", { DetailType: "" }, "InvalidArgument"],
    ["no detail", { Detail: undefined }, "InvalidArgument"],
    ["a detail that is no JSON", { Detail: "{" }, "MalformedDetail"],
    ["a detail that is no object", { Detail: "[1]" }, "MalformedDetail"],
    ["the source of a service", { Source: "aws.s3" }, "NotAuthorizedForSourceException"],
  ])("refuses an entry with %s, and takes the others", async (_, change, ErrorCode) => {
    const { put, until, deliveries } = await shop();
    const wrong = { ...sale, ...change };
    if (wrong.Source === undefined) {
      await expect(put(wrong)).rejects.toMatchObject({ name: "AccessDeniedException" });
      return;
    }
    const answer = await put(wrong, sale);
    await until(start);
    expect(answer).toMatchObject({ FailedEntryCount: 1, Entries: [{ ErrorCode }, { EventId: expect.any(String) }] });
    expect(deliveries).toHaveLength(1);
  });

  test("takes nothing where the caller may not put one of them", async () => {
    const { put, until, deliveries } = await shop({ EventPattern: { "detail-type": ["Sold"] } });
    await expect(put(sale, { ...sale, Source: "mint" })).rejects.toMatchObject({ name: "AccessDeniedException" });
    await until(start);
    expect(deliveries).toEqual([]);
  });

  test.each<[string, readonly object[]]>([
    ["no entries", []],
    ["eleven entries", Array(11).fill(sale)],
    ["256 KiB", [{ ...sale, Detail: JSON.stringify({ x: "x".repeat(256 * 1024 - 16) }) }]],
  ])("refuses a call with %s", async (_, entries) => {
    const { put } = await shop();
    await expect(put(...entries)).rejects.toMatchObject({
      name: "ValidationException",
      $metadata: { httpStatusCode: 400 },
    });
  });

  test("takes ten entries of a byte less than 256 KiB in all", async () => {
    const { put } = await shop();
    const other = { ...sale, Detail: "{}" };
    const fixed = 10 * Buffer.byteLength(sale.Source + sale.DetailType) + 9 * 2;
    const Detail = JSON.stringify({ x: "x".repeat(256 * 1024 - 1 - fixed - 8) });
    expect(await put({ ...sale, Detail }, ...Array(9).fill(other))).toMatchObject({ FailedEntryCount: 0 });
  });

  test.each<[string, object]>([
    ["a member", { TraceHeader: "Root=1" }],
    ["another bus", { EventBusName: "mine" }],
  ])("is a defect of the sandbox with %s that is not known", async (_, change) => {
    const { service } = await shop();
    const caller = { kind: "root", account: accountId } as const;
    const failed = service.answer({ operation: "PutEvents", input: { Entries: [{ ...sale, ...change }] }, caller });
    await expect(failed).rejects.toThrow();
    await expect(failed).rejects.not.toBeInstanceOf(CallRefused);
  });

  test("has the time that the caller gives", async () => {
    const { put, until, deliveries } = await shop();
    await put({ ...sale, Time: new Date("2026-02-28T01:02:03Z") });
    await until(start);
    expect(JSON.parse(deliveries[0]!.payload).time).toBe("2026-02-28T01:02:03Z");
  });
});
