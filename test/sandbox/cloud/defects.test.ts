import { GetScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { describe, expect, test } from "vitest";
import { virtualClock } from "../../../sandbox/cloud/clock.ts";
import { type RunningCloud, startCloud } from "../../../sandbox/cloud/cloud.ts";
import type { Service } from "../../../sandbox/cloud/service.ts";
import type { Json } from "../../../sandbox/cloud/template/assembly.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";
import { clientOf, smallAssembly } from "../../fixtures/small-cloud.ts";

const scheduler: Service = { name: "scheduler", types: [], make() {}, routes: [], answer: async () => ({}) };
const documents = (name: string): Service => ({ name, types: ["AWS::SSM::Document"], make() {} });
const start = (resources: Readonly<Record<string, Json>>, services: readonly Service[]) =>
  startCloud({
    ...{ assembly: smallAssembly(resources), directory: scratchDirectory(), clock: virtualClock(0) },
    services: services.map((each) => () => each),
  });

describe("what the sandbox does not know", () => {
  const parameter = new GetParameterCommand({ Name: "a" });
  const schedule = new GetScheduleCommand({ Name: "a" });

  test.each<[string, RegExp, (cloud: RunningCloud) => Promise<unknown>]>([
    ["a service", /no service is called ssm/, (cloud) => new SSMClient(clientOf(cloud)).send(parameter)],
    ["a path", /known as GET \/schedules\/a/, (cloud) => new SchedulerClient(clientOf(cloud)).send(schedule)],
  ])("of a call, %s, is told to the caller, and again at the end", async (_, message, call) => {
    const cloud = await start({}, [scheduler]);
    await expect(call(cloud)).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } });
    await expect(cloud.close()).rejects.toMatchObject({ errors: [{ message: expect.stringMatching(message) }] });
  });

  test("of a delivery is told to the sender", async () => {
    const cloud = await start({}, [scheduler]);
    const as = { kind: "service", service: "events.amazonaws.com" } as const;
    const sent = cloud.deliver({ to: "arn:aws:sqs:eu-central-1:1:a", payload: "", as, context: {} });
    await expect(sent).rejects.toThrow("nobody takes a delivery to arn:aws:sqs:eu-central-1:1:a");
    await cloud.close();
  });

  test("of the work that goes on by itself is told at the end", async () => {
    const cloud = await start({}, []);
    cloud.goOn(Promise.reject(new Error("torn")));
    await cloud.settle();
    await expect(cloud.close()).rejects.toMatchObject({ errors: [{ message: "torn" }] });
  });

  test.each<[string, readonly Service[], string]>([
    ["nobody", [], "shop.Wish: no service makes AWS::SSM::Document"],
    ["more than one", ["ssm", "other"].map(documents), "shop.Wish: ssm and other makes AWS::SSM::Document"],
  ])("of the template, a type that %s makes, stops it", async (_, services, message) => {
    const resources = { Wish: { Type: "AWS::SSM::Document", Properties: {} } };
    await expect(start(resources, services)).rejects.toThrow(message);
  });

  test("of a bucket's notifications stops it", async () => {
    const bucket = (NotificationConfiguration: Json) => ({
      Wares: { Type: "AWS::S3::Bucket", Properties: { BucketName: "wares", NotificationConfiguration } },
    });
    await expect(start(bucket({ TopicConfigurations: [] }), [])).rejects.toThrow(
      "shop.Wares: TopicConfigurations is not understood",
    );
  });
});
