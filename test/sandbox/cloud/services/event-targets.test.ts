import { describe, expect, test } from "vitest";
import { CallRefused } from "../../../../sandbox/cloud/service.ts";
import { hour, minute, queue, ruleArn, sale, second, shop, start, topic } from "../../../fixtures/event-shop.ts";
import { accountId, region } from "../../../fixtures/small-cloud.ts";

const busy = new CallRefused("ServiceUnavailable", "not now", 503);

describe("what a target is handed", () => {
  const transformer = (InputTemplate: string, InputPathsMap = {}) => ({
    InputTransformer: { InputTemplate, InputPathsMap },
  });
  const map = {
    sum: "$.detail.sum",
    what: "$.detail.what",
    to: "$.detail.to",
    by: "$.detail.by",
    none: "$.detail.none",
  };

  test.each<[string, object, string]>([
    ["a constant", { Input: '{ "a": 1 }' }, '{ "a": 1 }'],
    ["a part", { InputPath: "$.detail.by" }, '{"n":1}'],
    ["a text that is part of it, quoted", { InputPath: "$.detail.to[1]" }, '"y"'],
    ["all of a list", { InputPath: "$.detail.to[*]" }, '["x","y"]'],
    ["a text, with its quotes", transformer('"<sum> for <none>!"', map), '"12 for !"'],
    ["a text with a value that has quotes", transformer('"of <what>"', map), '"of a "tea""'],
    ["a text with a list and an object", transformer('"<to>, <by>"', map), '"[x,y], {n:1}"'],
    ["JSON, minified", transformer('{ "a": <sum>, "b": [<to>, "<sum>"] }', map), '{"a":12,"b":[["x","y"],"12"]}'],
    ["JSON without a value", transformer('{"a": <none>, "b": "<none>"}', map), '{"a":"","b":""}'],
    ["JSON with a text escaped", transformer('{"a": <what>}', map), '{"a":"a \\"tea\\""}'],
    ["an escaped quote", transformer('{"a": "\\"<sum>\\""}', map), '{"a":"\\"12\\""}'],
    ["name and ARN of the rule", transformer('"<aws.events.rule-name> <aws.events.rule-arn>"'), `"sold ${ruleArn}"`],
    ["the time", transformer('{"at": <aws.events.event.ingestion-time>}'), '{"at":"2026-03-01T12:00:00Z"}'],
  ])("is %s", async (_, target, payload) => {
    const { put, until, deliveries } = await shop({}, target);
    await put(sale);
    await until(start);
    expect(deliveries).toMatchObject([{ payload }]);
  });

  test("is the event in a field, whole or without its detail", async () => {
    const template = '{"all": <aws.events.event.json>, "outside": <aws.events.event>}';
    const { put, until, deliveries } = await shop({}, transformer(template));
    await put(sale);
    await until(start);
    const { all, outside } = JSON.parse(deliveries[0]!.payload);
    expect(all.detail.sum).toBe(12);
    expect({ ...outside, detail: all.detail }).toEqual(all);
    expect(outside).not.toHaveProperty("detail");
  });

  test("is nothing where a value breaks the JSON: that is a failure, and no retry helps", async () => {
    const { put, until, deliveries, measured } = await shop({}, transformer('{"a": "<what>"}', map));
    await put(sale);
    await until(start + 24 * hour);
    expect(deliveries).toEqual([]);
    expect(measured("FailedInvocations")).toHaveLength(1);
  });

  test.each<[string, object, string]>([
    ["two ways at once", { Input: "1", InputPath: "$" }, "only one of"],
    ["a constant that is no JSON", { Input: "a" }, "Input is no JSON"],
    ["a path that is not supported", { InputPath: "$.detail[?(@.a)]" }, "no path that is supported"],
    ["an unknown variable", transformer('"<sum>"'), "unknown <sum>"],
    ["a reserved name", transformer('"x"', { awsname: "$" }), "no name of a variable"],
    ["a text without its end", transformer('"x'), "a text ends with a quote"],
    ["a template that is no JSON", transformer("{a}"), "InputTemplate is no JSON"],
    ["the event inside quotes", transformer('"<aws.events.event.json>"'), "may only be a value"],
    ["a setting that is not known", { InputTransformer: { Template: "1" } }, "Template is not understood"],
  ])("is refused with %s when the rule is made", async (_, target, reason) => {
    await expect(shop({}, target)).rejects.toThrow(reason);
  });
});

describe("a target that can not take an event", () => {
  const config = { DeadLetterConfig: { Arn: queue("dead") } };
  const toTarget = ({ to }: { to: string }) => to === queue("sales");

  test("gets it again, each time after twice as long, until it takes it", async () => {
    const { alone, put, until, deliveries, measured } = await shop({}, config);
    alone.refuse = () => (deliveries.length < 5 ? busy : undefined);
    await put(sale);
    await until(start + hour);
    expect(deliveries.map(({ at }) => (at - start) / second)).toEqual([0, 1, 3, 7, 15]);
    expect(new Set(deliveries.map(({ payload }) => payload)).size).toBe(1);
    expect(measured("RetryInvocationAttempts")).toHaveLength(4);
    expect(measured("FailedInvocations")).toEqual([]);
  });

  test("gets it 185 times more in 24 hours, and then it is a dead letter that says why", async () => {
    const { alone, put, until, deliveries, measured } = await shop({}, config);
    alone.refuse = (delivery) => (toTarget(delivery) ? busy : undefined);
    await put(sale);
    await until(start + 24 * hour);
    expect(deliveries.filter(toTarget)).toHaveLength(186);
    const dead = deliveries.at(-1)!;
    expect(dead).toMatchObject({
      to: queue("dead"),
      payload: deliveries[0]!.payload,
      as: { kind: "service", service: "events.amazonaws.com" },
      context: { "aws:SourceArn": ruleArn, "aws:SourceAccount": accountId },
      attributes: {
        RULE_ARN: ruleArn,
        TARGET_ARN: queue("sales"),
        ERROR_CODE: "ServiceUnavailable",
        ERROR_MESSAGE: "not now",
        EXHAUSTED_RETRY_CONDITION: "MaximumRetryAttempts",
        RETRY_ATTEMPTS: "185",
      },
    });
    expect(measured("FailedInvocations")).toHaveLength(1);
    expect(measured("InvocationsSentToDlq")).toHaveLength(1);
  });

  test("gets it as often, and for as long, as the policy says", async () => {
    for (const [RetryPolicy, attempts, exhausted] of [
      [{ MaximumRetryAttempts: 2 }, 3, "MaximumRetryAttempts"],
      [{ MaximumEventAgeInSeconds: 60 }, 6, "MaximumEventAgeInSeconds"],
      [{ MaximumRetryAttempts: 0 }, 1, "MaximumRetryAttempts"],
    ] as const) {
      const { alone, put, until, deliveries } = await shop({}, { ...config, RetryPolicy });
      alone.refuse = (delivery) => (toTarget(delivery) ? busy : undefined);
      await put(sale);
      await until(start + 2 * minute);
      expect(deliveries.filter(toTarget)).toHaveLength(attempts);
      expect(deliveries.at(-1)!.attributes?.EXHAUSTED_RETRY_CONDITION).toBe(exhausted);
    }
  });

  test.each([
    ["refuses EventBridge", new CallRefused("AccessDeniedException", "no", 403)],
    ["is not there", new CallRefused("ResourceNotFoundException", "gone", 404)],
  ])("since it %s gets it no more", async (_, refused) => {
    const { alone, put, until, deliveries } = await shop({}, config);
    alone.refuse = (delivery) => (toTarget(delivery) ? refused : undefined);
    await put(sale);
    await until(start);
    expect(deliveries.map(({ to }) => to)).toEqual([queue("sales"), queue("dead")]);
    expect(deliveries[1]!.attributes).toMatchObject({ ERROR_CODE: refused.code, RETRY_ATTEMPTS: "0" });
    expect(deliveries[1]!.attributes).not.toHaveProperty("EXHAUSTED_RETRY_CONDITION");
  });

  test("and whose queue of dead letters refuses too, is counted", async () => {
    const { alone, put, until, measured } = await shop({}, config);
    alone.refuse = () => new CallRefused("AccessDeniedException", "no", 403);
    await put(sale);
    await until(start);
    expect(measured("InvocationsFailedToBeSentToDlq")).toHaveLength(1);
    expect(measured("InvocationsSentToDlq")).toEqual([]);
  });

  test("is a defect of the sandbox where it fails in any other way", async () => {
    const { alone, service } = await shop();
    alone.refuse = () => new Error("a defect") as CallRefused;
    await expect(service.publish({ source: "shop", "detail-type": "x", detail: { sum: 11 } })).rejects.toThrow(
      "a defect",
    );
  });
});

describe("a rule", () => {
  test.each<[string, object, object, string]>([
    ["a schedule", { ScheduleExpression: "rate(1 day)" }, {}, "shop.Sold: ScheduleExpression is not understood"],
    ["another bus", { EventBusName: "mine" }, {}, "shop.Sold: no bus but the default one"],
    ["no pattern", { EventPattern: undefined }, {}, "shop.Sold: a rule without a pattern"],
    [
      "an unknown operator",
      { EventPattern: { a: [{ like: "x" }] } },
      {},
      "shop.Sold: EventPattern.a: unknown operator like",
    ],
    ["an unknown state", { State: "ON" }, {}, "shop.Sold: unknown state ON"],
    [
      "two targets of one name",
      {
        Targets: [
          { Id: "a", Arn: topic },
          { Id: "a", Arn: topic },
        ],
      },
      {},
      "an Id of its own",
    ],
    ["six targets", { Targets: Array(6).fill({ Id: "a", Arn: topic }) }, {}, "five targets at most"],
    [
      "a target of another kind",
      {},
      { Arn: `arn:aws:kinesis:${region}:${accountId}:stream/x` },
      "that is not understood",
    ],
    ["a queue that keeps an order", {}, { Arn: queue("x.fifo") }, "that is not understood"],
    ["dead letters in a topic", {}, { DeadLetterConfig: { Arn: topic } }, "no standard queue"],
    ["an unknown setting of a target", {}, { SqsParameters: {} }, "shop.Sold: SqsParameters is not understood"],
    ["too many retries", {}, { RetryPolicy: { MaximumRetryAttempts: 186 } }, "no number of retries: 186"],
    ["too short an age", {}, { RetryPolicy: { MaximumEventAgeInSeconds: 59 } }, "no age of an event: 59"],
    ["an unknown retry", {}, { RetryPolicy: { Retries: 1 } }, "shop.Sold: Retries is not understood"],
  ])("with %s is refused", async (_, properties, target, reason) => {
    await expect(shop(properties, target)).rejects.toThrow(reason);
  });
});
