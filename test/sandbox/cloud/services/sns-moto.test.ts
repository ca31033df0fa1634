import {
  CreateTopicCommand,
  ListSubscriptionsByTopicCommand,
  PublishCommand,
  type PublishCommandInput,
  SNSClient,
} from "@aws-sdk/client-sns";
import { afterAll, beforeAll, describe, test } from "vitest";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { snsService } from "../../../../sandbox/cloud/services/sns/sns-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import { expectAgreement, type Moto, motoIsHere, startMoto } from "../../../fixtures/moto.ts";
import { clientOf, region, smallCloud } from "../../../fixtures/small-cloud.ts";

const publish =
  (more: Partial<PublishCommandInput>) =>
  async (sns: SNSClient, TopicArn: string): Promise<unknown> => {
    const { MessageId } = await sns.send(new PublishCommand({ TopicArn, Message: "hello", ...more }));
    return MessageId?.length;
  };
const scenarios: Record<string, (sns: SNSClient, topic: string) => Promise<unknown>> = {
  "a message": publish({}),
  "a message with a subject": publish({ Subject: "Greetings" }),
  "a message with an attribute": publish({ MessageAttributes: { kind: { DataType: "String", StringValue: "x" } } }),
  "the longest message": publish({ Message: "x".repeat(256 * 1024) }),
  "a message that is too long": publish({ Message: "x".repeat(256 * 1024 + 1) }),
  "a subject that is too long": publish({ Subject: "x".repeat(101) }),
  "an empty message": publish({ Message: "" }),
  "a subject of two lines": publish({ Subject: "two\nlines" }),
  "a topic that is not there": (sns, topic) => publish({})(sns, `${topic}2`),
  "nobody subscribed": async (sns, TopicArn) =>
    (await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }))).Subscriptions,
};

/** Where moto and the sandbox differ, and why the sandbox does as it does. */
const differences: Record<string, string> = {
  "an empty message": "moto publishes it; the API reference wants a message that is not empty",
  "a subject of two lines":
    "moto publishes it; the API reference wants ASCII without line breaks, and nothing but 100 characters of it",
};

describe.runIf(motoIsHere)("what SNS answers to a publisher, moto answers as well:", () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
  });
  afterAll(() => moto.stop());

  test.each(Object.keys(scenarios))("%s", async (name) => {
    await moto.reset();
    const News = { Type: "AWS::SNS::Topic", Properties: { TopicName: "news" } };
    const cloud = await smallCloud({ News }, { services: [iamService, stsService, snsService] });
    const ours = new SNSClient(clientOf(cloud));
    const theirs = new SNSClient({
      ...{ endpoint: moto.endpoint, region, maxAttempts: 1 },
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
    });
    const { TopicArn } = await theirs.send(new CreateTopicCommand({ Name: "news" }));
    const told = await Promise.all(
      (
        [
          [ours, cloud.stacks[0]!.resources[0]!.ref],
          [theirs, TopicArn!],
        ] as const
      ).map(([sns, arn]) => scenarios[name]!(sns, arn).catch((error: Error) => error.name)),
    );
    for (const each of [ours, theirs]) each.destroy();
    expectAgreement(differences, name, told);
  });
});
