import {
  ConfirmSubscriptionCommand,
  ListSubscriptionsByTopicCommand,
  PublishCommand,
  SNSClient,
} from "@aws-sdk/client-sns";
import { describe, expect, onTestFinished, test } from "vitest";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import { CallRefused, type Cloud, type Datum, type Service } from "../../../../sandbox/cloud/service.ts";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { kmsService } from "../../../../sandbox/cloud/services/kms/kms-service.ts";
import { lettersTo, refuseMail } from "../../../../sandbox/cloud/services/sns/inbox.ts";
import { snsService } from "../../../../sandbox/cloud/services/sns/sns-service.ts";
import { sqsService } from "../../../../sandbox/cloud/services/sqs/sqs-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { accountId, clientOf, region, roleOf, smallCloud } from "../../../fixtures/small-cloud.ts";

const start = Date.parse("2026-11-22T00:00:00Z");
const minute = 60_000;
const topicArn = `arn:aws:sns:${region}:${accountId}:news`;
const queueArn = `arn:aws:sqs:${region}:${accountId}:letters`;
const topic = (more: object = {}): Json => ({ Type: "AWS::SNS::Topic", Properties: { TopicName: "news", ...more } });
const to = (Protocol: string, Endpoint: string, more: object = {}): Json => ({
  Type: "AWS::SNS::Subscription",
  Properties: { TopicArn: { Ref: "News" }, Protocol, Endpoint, ...more },
});
const policy = (Statement: Json): Json => ({ Version: "2012-10-17", Statement: [Statement] as never });
const queueFor = (Principal: Json): Record<string, Json> => ({
  Letters: { Type: "AWS::SQS::Queue", Properties: { QueueName: "letters" } },
  LettersPolicy: {
    Type: "AWS::SQS::QueuePolicy",
    Properties: {
      Queues: [{ Ref: "Letters" }],
      PolicyDocument: policy({ Effect: "Allow", Principal, Action: "sqs:SendMessage", Resource: queueArn }),
    },
  },
});

async function cloudWith(resources: Record<string, Json>, more: readonly (() => Service)[] = []) {
  const measured: Datum[] = [];
  const ear = (): Service => ({ name: "ear", types: [], make() {}, measure: (datum) => void measured.push(datum) });
  let sqs: Service | undefined;
  const queues = (cloud: Cloud) => {
    sqs = sqsService(cloud);
    return sqs;
  };
  const cloud = await smallCloud(resources, {
    clock: virtualClock(start),
    services: [iamService, stsService, kmsService, snsService, queues, ear, ...more],
  });
  const received = async () => {
    const input = { QueueUrl: `http://sqs/${accountId}/letters`, MaxNumberOfMessages: 10 };
    const caller = { kind: "root", account: accountId } as const;
    const { Messages = [] } = await sqs!.answer!({ operation: "ReceiveMessage", input, caller });
    return (Messages as { Body: string }[]).map(({ Body }) => Body);
  };
  const client = (who = cloud.root) => {
    const sns = new SNSClient(clientOf(cloud, who));
    onTestFinished(() => sns.destroy());
    return sns;
  };
  const count = (name: string) => measured.filter((each) => each.namespace === "AWS/SNS" && each.name === name).length;
  const letters = (address: string) => lettersTo(cloud.directory, address);
  const publish = async (Message: string, more: object = {}) => {
    const answer = await client().send(new PublishCommand({ TopicArn: topicArn, Message, ...more }));
    await cloud.settle();
    return answer;
  };
  return { cloud, client, count, letters, publish, received };
}

const tokenIn = (text: string) => /Token: (\S+)/.exec(text)?.[1] ?? JSON.parse(text).Token;

describe("a subscription by mail", () => {
  test("gets nothing before somebody has confirmed it with what was mailed, and everything then", async () => {
    const { client, letters, publish, count } = await cloudWith({ News: topic(), Ann: to("email", "ann@example.com") });
    await publish("too early");
    const [asked, ...none] = letters("ann@example.com");
    expect(none).toEqual([]);
    const pending = await client().send(new ListSubscriptionsByTopicCommand({ TopicArn: topicArn }));
    expect(pending.Subscriptions?.map(({ SubscriptionArn }) => SubscriptionArn)).toEqual(["PendingConfirmation"]);

    const confirm = (Token: string) => client().send(new ConfirmSubscriptionCommand({ TopicArn: topicArn, Token }));
    await expect(confirm("0".repeat(64))).rejects.toMatchObject({ name: "InvalidParameterException" });
    const { SubscriptionArn } = await confirm(tokenIn(asked!.text));
    expect(SubscriptionArn).toMatch(new RegExp(`^${topicArn}:`));
    await publish("hello\nworld", { Subject: "Greetings" });
    expect(letters("ann@example.com").slice(1)).toEqual([
      expect.objectContaining({ subject: "Greetings", text: "hello\nworld", to: "ann@example.com", at: start }),
    ]);
    expect([count("NumberOfMessagesPublished"), count("NumberOfNotificationsDelivered")]).toEqual([2, 1]);
  });

  test("that takes no mail is tried for more than six hours, and counted as failed once", async () => {
    const { cloud, client, letters, publish, count } = await cloudWith({
      News: topic(),
      Ann: to("email", "ann@example.com"),
    });
    const Token = tokenIn(letters("ann@example.com")[0]!.text);
    await client().send(new ConfirmSubscriptionCommand({ TopicArn: topicArn, Token }));
    refuseMail(cloud.directory, "ann@example.com");
    await publish("hello");
    await cloud.advance(6 * 60 * minute);
    expect(count("NumberOfNotificationsFailed")).toBe(0);
    await cloud.advance(3 * 60 * minute);
    expect([count("NumberOfNotificationsFailed"), count("NumberOfNotificationsDelivered")]).toEqual([1, 0]);
    expect(letters("ann@example.com")).toHaveLength(1);
  });
});

test("a URL gets the envelope of a notification, once it has confirmed what it was sent", async () => {
  const { client, letters, publish } = await cloudWith({ News: topic(), Hook: to("https", "https://example.com/a?b") });
  const [asked] = letters("https://example.com/a?b");
  expect(JSON.parse(asked!.text)).toMatchObject({ Type: "SubscriptionConfirmation", TopicArn: topicArn });
  await client().send(new ConfirmSubscriptionCommand({ TopicArn: topicArn, Token: tokenIn(asked!.text) }));
  await publish("hello", { MessageAttributes: { kind: { DataType: "String", StringValue: "x" } } });
  expect(JSON.parse(letters("https://example.com/a?b")[1]!.text)).toMatchObject({
    Type: "Notification",
    Message: "hello",
    MessageAttributes: { kind: { Type: "String", Value: "x" } },
  });
});

describe("a queue that is subscribed", () => {
  const withQueue = (service: string, more: object = {}) =>
    cloudWith({ News: topic(), ...queueFor({ Service: service }), Box: to("sqs", queueArn, more) });

  test("gets the envelope at once where its policy lets the topic in, or the message alone if it wants that", async () => {
    const one = await withQueue("sns.amazonaws.com");
    await one.publish("hello");
    expect(JSON.parse((await one.received())[0]!)).toMatchObject({ Type: "Notification", Message: "hello" });
    const other = await withQueue("sns.amazonaws.com", { RawMessageDelivery: true });
    await other.publish("hello");
    expect(await other.received()).toEqual(["hello"]);
  });

  test("counts as failed at once where its policy does not", async () => {
    const { publish, received, count } = await withQueue("events.amazonaws.com");
    await publish("hello");
    expect(await received()).toEqual([]);
    expect([count("NumberOfNotificationsDelivered"), count("NumberOfNotificationsFailed")]).toEqual([0, 1]);
  });
});

test("a function that is subscribed gets records, and again after a while where it was throttled", async () => {
  const arn = `arn:aws:lambda:${region}:${accountId}:function:reader`;
  const payloads: string[] = [];
  const reader = (): Service => ({
    ...{ name: "lambda", types: [], make() {} },
    async accept({ payload }) {
      payloads.push(payload);
      if (payloads.length < 5) throw new CallRefused("TooManyRequestsException", "later", 429);
    },
  });
  const { cloud, publish, count } = await cloudWith({ News: topic(), Reader: to("lambda", arn) }, [reader]);
  const { MessageId } = await publish("hello");
  await cloud.advance(3000);
  const [first, ...again] = payloads.map((each) => JSON.parse(each).Records[0]);
  expect(first).toMatchObject({ EventSource: "aws:sns", Sns: { Message: "hello", MessageId, TopicArn: topicArn } });
  expect(again).toEqual(Array(4).fill(first));
  expect([count("NumberOfNotificationsDelivered"), count("NumberOfNotificationsFailed")]).toEqual([1, 0]);
});

describe("to publish to a topic that is sealed", () => {
  const ec2 = { Service: "ec2.amazonaws.com" };
  const may = (Action: Json): Json => ({ Effect: "Allow", Action, Resource: "*" });
  const key = (statements: readonly Json[]): Json => ({
    Type: "AWS::KMS::Key",
    Properties: {
      KeyPolicy: {
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${accountId}:root` }, Action: "kms:*", Resource: "*" },
          ...statements,
        ],
      },
    },
  });
  const resources = (KmsMasterKeyId: Json, statements: readonly Json[] = []) => ({
    Key: key(statements),
    Alias: { Type: "AWS::KMS::Alias", Properties: { AliasName: "alias/news", TargetKeyId: { Ref: "Key" } } },
    News: topic({ KmsMasterKeyId }),
    Reader: roleOf("reader", ec2, [may("sns:Publish")]),
    Sealer: roleOf("sealer", ec2, [may(["sns:Publish", "kms:GenerateDataKey"])]),
    Writer: roleOf("writer", ec2, [may(["sns:Publish", "kms:GenerateDataKey*", "kms:Decrypt"])]),
    Stranger: roleOf("stranger", ec2, [may(["kms:GenerateDataKey*", "kms:Decrypt"])]),
  });
  const outcomes = async ({ cloud, client }: Awaited<ReturnType<typeof cloudWith>>) => {
    const tried: Record<string, string> = {};
    for (const role of ["reader", "sealer", "writer", "stranger"]) {
      const sns = client(cloud.credential(role, "s"));
      tried[role] = await sns.send(new PublishCommand({ TopicArn: topicArn, Message: "x" })).then(
        () => "published",
        (error: Error) => error.name,
      );
    }
    return tried;
  };

  test.each<Json>([{ Ref: "Key" }, { "Fn::GetAtt": ["Key", "Arn"] }, "alias/news"])(
    "one must be let in by the topic and may seal and open by the key %j",
    async (name) => {
      expect(await outcomes(await cloudWith(resources(name)))).toEqual({
        reader: "KMSAccessDeniedException",
        sealer: "KMSAccessDeniedException",
        writer: "published",
        stranger: "AuthorizationErrorException",
      });
    },
  );

  test("a key may ask by which service and for which topic", async () => {
    const deny = (key: string, value: string): Json => ({
      Effect: "Deny",
      Principal: "*",
      Action: "kms:Decrypt",
      Resource: "*",
      Condition: { StringEquals: { [key]: value } },
    });
    const writer = async (statement: Json) =>
      (await outcomes(await cloudWith(resources({ Ref: "Key" }, [statement])))).writer;
    expect(await writer(deny("kms:ViaService", `sns.${region}.amazonaws.com`))).toBe("KMSAccessDeniedException");
    expect(await writer(deny("kms:ViaService", `sqs.${region}.amazonaws.com`))).toBe("published");
    expect(await writer(deny("kms:EncryptionContext:aws:sns:topicArn", topicArn))).toBe("KMSAccessDeniedException");
    expect(await writer(deny("kms:EncryptionContext:aws:sns:topicArn", `${topicArn}2`))).toBe("published");
  });

  test("with the key that AWS keeps, being of the account is enough", async () => {
    expect(await outcomes(await cloudWith(resources("alias/aws/sns")))).toMatchObject({ reader: "published" });
  });

  test("with a key that is not there, nobody can", async () => {
    expect(await outcomes(await cloudWith(resources("alias/gone")))).toMatchObject({
      writer: "KMSNotFoundException",
    });
  });
});

test.each<[string, Record<string, Json>, RegExp]>([
  ["a property of a topic", { News: topic({ FifoTopic: true }) }, /^shop\.News: FifoTopic is not understood/],
  ["a property of a subscription", { News: topic(), S: to("email", "a@b.c", { FilterPolicy: {} }) }, /FilterPolicy/],
  ["a protocol", { News: topic(), S: to("sms", "+1") }, /^shop\.S: unknown protocol: sms/],
])("%s that is not known stops the cloud", async (_, resources, message) => {
  await expect(cloudWith(resources)).rejects.toThrow(message);
});

test("a message that is empty or too large, and a topic that is not there, are refused", async () => {
  const { publish } = await cloudWith({ News: topic() });
  await expect(publish("")).rejects.toMatchObject({ name: "InvalidParameterException" });
  await expect(publish("x".repeat(256 * 1024 + 1))).rejects.toMatchObject({ name: "InvalidParameterException" });
  await expect(publish("x", { Subject: "two\nlines" })).rejects.toMatchObject({ name: "InvalidParameterException" });
  await expect(publish("x", { TopicArn: `${topicArn}2` })).rejects.toMatchObject({ name: "NotFoundException" });
});
