import { GetScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { ListTopicsCommand, PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { describe, expect, test } from "vitest";
import { type ApiCall, CallRefused, type Service } from "../../../sandbox/cloud/service.ts";
import { clientOf, smallCloud } from "../../fixtures/small-cloud.ts";

/** A cloud with one service, and what that is asked. */
async function cloudWith(name: string, answer: Service["answer"], routes: Service["routes"] = []) {
  const calls: ApiCall[] = [];
  const service: Service = {
    ...{ name, types: [], make() {}, routes },
    answer(call) {
      calls.push(call);
      return answer!(call);
    },
  };
  const cloud = await smallCloud({}, { services: [() => service] });
  return { cloud, calls };
}

const nothing = async (): Promise<never> => {
  throw new CallRefused("ParameterNotFound", "there is none", 400);
};

describe("a call", () => {
  test("by JSON reaches its service with operation, members and caller", async () => {
    const { cloud, calls } = await cloudWith("ssm", async () => ({ Parameter: { Value: "blue" } }));
    const ssm = new SSMClient(clientOf(cloud));
    expect((await ssm.send(new GetParameterCommand({ Name: "colour" }))).Parameter).toEqual({ Value: "blue" });
    const caller = { kind: "root", account: cloud.accountId };
    expect(calls).toEqual([{ operation: "GetParameter", input: { Name: "colour" }, caller }]);
  });

  test("by Query brings lists and maps, and takes them back", async () => {
    const { cloud, calls } = await cloudWith("sns", async ({ operation }) =>
      operation === "Publish" ? { MessageId: "<1>" } : { Topics: [{ TopicArn: "a" }, { TopicArn: "b" }] },
    );
    const sns = new SNSClient(clientOf(cloud));
    const MessageAttributes = { kind: { DataType: "String", StringValue: "a & b" } };
    const sent = await sns.send(new PublishCommand({ TopicArn: "a", Message: "hello", MessageAttributes }));
    expect(sent.MessageId).toBe("<1>");
    expect(calls[0]?.input).toEqual({ TopicArn: "a", Message: "hello", MessageAttributes });
    expect((await sns.send(new ListTopicsCommand({}))).Topics).toEqual([{ TopicArn: "a" }, { TopicArn: "b" }]);
  });

  test("by REST finds its operation by method and path", async () => {
    const routes = [
      { operation: "DeleteSchedule", method: "DELETE", path: "/schedules/{Name}" },
      {
        operation: "GetSchedule",
        method: "GET",
        path: "/schedules/{Name}",
        input: ({ parameters, query }: { parameters: object; query: ReadonlyMap<string, string> }) => ({
          ...parameters,
          GroupName: query.get("groupName"),
        }),
      },
    ];
    const { cloud, calls } = await cloudWith("scheduler", async () => ({ ScheduleExpression: "rate(1 day)" }), routes);
    const scheduler = new SchedulerClient(clientOf(cloud));
    const found = await scheduler.send(new GetScheduleCommand({ Name: "a:b c", GroupName: "g" }));
    expect(found.ScheduleExpression).toBe("rate(1 day)");
    expect(calls[0]).toMatchObject({ operation: "GetSchedule", input: { Name: "a:b c", GroupName: "g" } });
  });

  test.each<[string, (cloud: Awaited<ReturnType<typeof cloudWith>>["cloud"]) => Promise<unknown>]>([
    ["ssm", (cloud) => new SSMClient(clientOf(cloud)).send(new GetParameterCommand({ Name: "a" }))],
    ["sns", (cloud) => new SNSClient(clientOf(cloud)).send(new ListTopicsCommand({}))],
    ["scheduler", (cloud) => new SchedulerClient(clientOf(cloud)).send(new GetScheduleCommand({ Name: "a" }))],
  ])("that %s refuses is refused in the words of its protocol", async (name, call) => {
    const routes = name === "scheduler" ? [{ operation: "GetSchedule", method: "GET", path: "/{a}/{b}" }] : [];
    const { cloud } = await cloudWith(name, nothing, routes);
    const refused = { name: "ParameterNotFound", message: "there is none", $metadata: { httpStatusCode: 400 } };
    await expect(call(cloud)).rejects.toMatchObject(refused);
  });

  test("whose body is not the one that was signed is refused", async () => {
    const { cloud, calls } = await cloudWith("ssm", async () => ({}));
    const ssm = new SSMClient(clientOf(cloud));
    ssm.middlewareStack.add(
      (next) => (args) => {
        (args.request as { body: string }).body = '{"Name":"other"}';
        return next(args);
      },
      { step: "finalizeRequest", priority: "low" },
    );
    await expect(ssm.send(new GetParameterCommand({ Name: "mine " }))).rejects.toMatchObject({
      name: "InvalidSignatureException",
    });
    expect(calls).toEqual([]);
  });
});
