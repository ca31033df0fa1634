import { describe, expect, test } from "vitest";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { functionArn, mayLog, queue, shop } from "../../../fixtures/one-function.ts";

describe("an event", () => {
  const failing = "exports.handler = async () => { throw new Error('sold out') }";
  const events = (more: Record<string, Json> = {}): Record<string, Json> => ({
    Events: {
      Type: "AWS::Lambda::EventInvokeConfig",
      Properties: {
        FunctionName: { Ref: "Shop" },
        Qualifier: "$LATEST",
        DestinationConfig: { OnFailure: { Destination: queue } },
        ...more,
      },
    },
  });
  const minute = 60_000;

  test("that fails is tried again after one minute and after two more, and then told to the failure destination", async () => {
    const { send, cloud, sum, delivered } = await shop({ code: failing, resources: events() });
    await send({ wares: 7 });
    for (const [wait, runs] of [
      [0, 1],
      [minute - 1, 1],
      [1, 2],
      [2 * minute - 1, 2],
      [1, 3],
      [600 * minute, 3],
    ] as const) {
      await cloud.advance(wait);
      expect(sum("Invocations")).toBe(runs);
    }
    expect(delivered).toMatchObject([{ to: queue, as: { kind: "session", session: "shop" } }]);
    expect(JSON.parse(delivered[0]!.payload)).toMatchObject({
      timestamp: "2030-03-01T12:03:00.000Z",
      requestContext: {
        condition: "RetriesExhausted",
        approximateInvokeCount: 3,
        functionArn: `${functionArn}:$LATEST`,
      },
      requestPayload: { wares: 7 },
      responseContext: { statusCode: 200, functionError: "Unhandled" },
      responsePayload: { errorType: "Error", errorMessage: "sold out" },
    });
    expect([sum("AsyncEventsReceived"), sum("AsyncEventAge"), sum("AsyncEventsDropped")]).toEqual([1, 4 * minute, 1]);
  });

  test("that is too old is tried no more", async () => {
    const resources = events({ MaximumEventAgeInSeconds: 90 });
    const { send, cloud, sum, delivered } = await shop({ code: failing, resources });
    await send({});
    await cloud.advance(10 * minute);
    expect(sum("Invocations")).toBe(2);
    expect(JSON.parse(delivered[0]!.payload).requestContext.condition).toBe("EventAgeExceeded");
  });

  test("that is throttled is tried again until there is room, which counts as no attempt", async () => {
    const code = "exports.handler = (event) => new Promise((r) => setTimeout(r, 400, event))";
    const properties = { ReservedConcurrentExecutions: 1 };
    const { send, cloud, sum } = await shop({ code, properties, resources: events({ MaximumRetryAttempts: 0 }) });
    await Promise.all([1, 2, 3].map((each) => send(each)));
    await cloud.advance(minute);
    expect(sum("Invocations")).toBe(3);
    expect(sum("Throttles")).toBeGreaterThan(0);
    expect(sum("Errors")).toBe(0);
  });

  test("that is given up lies among the dead letters as it came, with what happened in attributes", async () => {
    const resources = events({ MaximumRetryAttempts: 0, DestinationConfig: {} });
    const properties = { DeadLetterConfig: { TargetArn: queue } };
    const { send, cloud, delivered } = await shop({ code: failing, properties, resources });
    await send({ wares: 7 });
    await cloud.advance(0);
    expect(delivered).toMatchObject([
      { payload: '{"wares":7}', attributes: { ErrorCode: "200", ErrorMessage: "sold out" } },
    ]);
  });

  test("that is given up by a function whose role may not tell is lost, and the cloud says so", async () => {
    const resources = events({ MaximumRetryAttempts: 0 });
    const { send, cloud, delivered, sum, notes } = await shop({ code: failing, resources, may: [mayLog] });
    await send({});
    await cloud.advance(0);
    expect(delivered).toEqual([]);
    expect(sum("DestinationDeliveryFailures")).toBe(1);
    expect(notes).toContainEqual(
      expect.stringMatching(/^lambda: what shop leaves for .*:dead is lost: shop\/shop may not sqs:SendMessage/),
    );
  });
});
