import { describe, expect, test } from "vitest";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import type { Caller } from "../../../../sandbox/cloud/iam/caller.ts";
import type { Cloud, Datum, Service } from "../../../../sandbox/cloud/service.ts";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { kmsService } from "../../../../sandbox/cloud/services/kms/kms-service.ts";
import { sqsService } from "../../../../sandbox/cloud/services/sqs/sqs-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { accountId, region, roleOf, smallCloud } from "../../../fixtures/small-cloud.ts";

const start = Date.parse("2026-11-22T00:00:00Z");
const hour = 3_600_000;
const owner: Caller = { kind: "root", account: accountId };
const arn = `arn:aws:sqs:${region}:${accountId}:letters`;
const QueueUrl = `http://127.0.0.1:1/${accountId}/letters`;
const queue = (more: object = {}): Json => ({ Type: "AWS::SQS::Queue", Properties: { QueueName: "letters", ...more } });
const policy = (...Statement: Json[]): Json => ({
  Type: "AWS::SQS::QueuePolicy",
  Properties: { Queues: [{ Ref: "Letters" }], PolicyDocument: { Version: "2012-10-17", Statement } },
});

interface Received {
  readonly Body: string;
  readonly ReceiptHandle: string;
  readonly Attributes?: Record<string, string>;
  readonly MessageAttributes?: Record<string, { StringValue: string }>;
}

async function cloudWith(resources: Record<string, Json>) {
  const measured: Datum[] = [];
  const ear = (): Service => ({ name: "ear", types: [], make() {}, measure: (datum) => void measured.push(datum) });
  let sqs!: Service;
  const queues = (cloud: Cloud) => {
    sqs = sqsService(cloud);
    return sqs;
  };
  const services = [iamService, stsService, kmsService, queues, ear];
  const cloud = await smallCloud(resources, { clock: virtualClock(start), services });
  const call = (operation: string, input: object = {}, caller = owner) =>
    sqs.answer!({ operation, input: { QueueUrl, ...input }, caller });
  const receive = async (input: object = {}, caller = owner) => {
    const { Messages = [] } = await call("ReceiveMessage", { MaxNumberOfMessages: 10, ...input }, caller);
    return Messages as readonly Received[];
  };
  const bodies = async (input: object = {}) => (await receive(input)).map(({ Body }) => Body);
  const hand = (service: string, context: Record<string, string> = {}) =>
    cloud.deliver({
      ...{ to: arn, payload: "hello", attributes: { ERROR_CODE: "x" }, context },
      as: { kind: "service", service: `${service}.amazonaws.com` },
    });
  const values = (name: string) => measured.filter((each) => each.name === name).map(({ value }) => value);
  return { cloud, call, receive, bodies, hand, values };
}

describe("a message", () => {
  test("that was received is hidden for a while, comes again, and is gone when it is deleted", async () => {
    const { cloud, call, receive, bodies } = await cloudWith({ Letters: queue() });
    await call("SendMessage", { MessageBody: "hello" });
    expect(await bodies()).toEqual(["hello"]);
    expect(await bodies()).toEqual([]);
    await cloud.advance(29_999);
    expect(await bodies()).toEqual([]);
    await cloud.advance(1);
    const [again] = await receive({ AttributeNames: ["All"] });
    expect(again).toMatchObject({
      Body: "hello",
      Attributes: { ApproximateReceiveCount: "2", SentTimestamp: `${start}` },
    });
    await call("DeleteMessage", { ReceiptHandle: again!.ReceiptHandle });
    await cloud.advance(hour);
    expect(await bodies()).toEqual([]);
  });

  test("is kept as long as the queue says, by default four days", async () => {
    const short = await cloudWith({ Letters: queue({ MessageRetentionPeriod: 3600 }) });
    await short.call("SendMessage", { MessageBody: "hello" });
    await short.cloud.advance(hour - 1);
    expect(await short.bodies({ VisibilityTimeout: 0 })).toEqual(["hello"]);
    await short.cloud.advance(1);
    expect(await short.bodies()).toEqual([]);
    const usual = await cloudWith({ Letters: queue() });
    expect(await usual.call("GetQueueAttributes", { AttributeNames: ["MessageRetentionPeriod"] })).toEqual({
      Attributes: { MessageRetentionPeriod: String(4 * 24 * 3600) },
    });
  });

  test("that is delayed is not seen before", async () => {
    const { cloud, call, bodies } = await cloudWith({ Letters: queue({ DelaySeconds: 60 }) });
    await call("SendMessage", { MessageBody: "late" });
    await call("SendMessage", { MessageBody: "now", DelaySeconds: 0 });
    expect(await bodies()).toEqual(["now"]);
    await cloud.advance(60_000);
    expect((await bodies()).sort()).toEqual(["late", "now"]);
  });

  test("has the attributes that it was handed over with, for who asks for them", async () => {
    const { hand, receive } = await cloudWith({
      Letters: queue(),
      Policy: policy({
        Effect: "Allow",
        Principal: { Service: "events.amazonaws.com" },
        Action: "sqs:SendMessage",
        Resource: arn,
      }),
    });
    await hand("events");
    expect((await receive({ VisibilityTimeout: 0 }))[0]).not.toHaveProperty("MessageAttributes");
    const [message] = await receive({ MessageAttributeNames: ["All"] });
    expect(message!.MessageAttributes).toEqual({ ERROR_CODE: { DataType: "String", StringValue: "x" } });
  });
});

describe("a delivery", () => {
  const allow: Json = {
    Effect: "Allow",
    Principal: { Service: "events.amazonaws.com" },
    Action: "sqs:SendMessage",
    Resource: arn,
    Condition: { ArnEquals: { "aws:SourceArn": "arn:aws:events:eu-central-1:444455556666:rule/one" } },
  };
  const source = (rule: string) => ({ "aws:SourceArn": `arn:aws:events:${region}:${accountId}:rule/${rule}` });

  test("is taken of whom the policy names, for what it names", async () => {
    const { hand, bodies } = await cloudWith({ Letters: queue(), Policy: policy(allow) });
    const denied = { code: "AccessDeniedException", status: 403 };
    await expect(hand("events", source("two"))).rejects.toMatchObject(denied);
    await expect(hand("sns", source("one"))).rejects.toMatchObject(denied);
    expect(await bodies()).toEqual([]);
    await hand("events", source("one"));
    expect(await bodies()).toEqual(["hello"]);
  });

  test("to a sealed queue is refused where the key does not let the sender in", async () => {
    const key = (Principal: Json): Json => {
      const statement = { Effect: "Allow", Principal, Action: ["kms:GenerateDataKey", "kms:Decrypt"], Resource: "*" };
      return { Type: "AWS::KMS::Key", Properties: { KeyPolicy: { Version: "2012-10-17", Statement: [statement] } } };
    };
    const sealed = (Principal: Json) =>
      cloudWith({ Key: key(Principal), Letters: queue({ KmsMasterKeyId: { Ref: "Key" } }), Policy: policy(allow) });
    const closed = await sealed({ Service: "sns.amazonaws.com" });
    await expect(closed.hand("events", source("one"))).rejects.toMatchObject({ code: "KmsAccessDenied" });
    const open = await sealed({ Service: "events.amazonaws.com" });
    await open.hand("events", source("one"));
    await expect(open.receive()).rejects.toMatchObject({ code: "KmsAccessDenied" });
    const counted = await open.call("GetQueueAttributes", { AttributeNames: ["ApproximateNumberOfMessages"] });
    expect(counted).toEqual({ Attributes: { ApproximateNumberOfMessages: "1" } });
  });

  test("to a queue that is not there is refused", async () => {
    const { cloud } = await cloudWith({});
    const delivery = { to: arn, payload: "x", as: owner, context: {} };
    await expect(cloud.deliver(delivery)).rejects.toMatchObject({ code: "QueueDoesNotExist" });
  });
});

test("a caller may do what his policies say", async () => {
  const { cloud, call, receive } = await cloudWith({
    Letters: queue(),
    Sender: roleOf("sender", { Service: "ec2.amazonaws.com" }, [
      { Effect: "Allow", Action: "sqs:SendMessage", Resource: arn },
    ]),
  });
  const sender = cloud.account.session("sender", "s");
  await call("SendMessage", { MessageBody: "hello" }, sender);
  await expect(receive({}, sender)).rejects.toMatchObject({ code: "AccessDeniedException" });
  await expect(call("PurgeQueue", {}, sender)).rejects.toMatchObject({ code: "AccessDeniedException" });
  await call("PurgeQueue");
  expect(await receive()).toEqual([]);
});

test.each([
  ["SendMessage", { MessageBody: "late", DelaySeconds: 901 }, "InvalidParameterValue"],
  ["ReceiveMessage", { VisibilityTimeout: 43_201 }, "InvalidParameterValue"],
  ["DeleteMessage", { ReceiptHandle: "none" }, "ReceiptHandleIsInvalid"],
  ["GetQueueAttributes", { AttributeNames: ["Colour"] }, "InvalidAttributeName"],
])("%s is refused for %j", async (operation, input, code) => {
  const { call, bodies } = await cloudWith({ Letters: queue() });
  await expect(call(operation, input)).rejects.toMatchObject({ code });
  expect(await bodies()).toEqual([]);
});

test("what lies in a queue is measured each minute, and an idle queue no more after six hours", async () => {
  const { cloud, call, receive, values } = await cloudWith({ Letters: queue() });
  await call("SendMessage", { MessageBody: "hello" });
  await cloud.advance(60_000);
  await receive({ VisibilityTimeout: 90 });
  await cloud.advance(2 * 60_000);
  expect(values("ApproximateNumberOfMessagesVisible")).toEqual([1, 1, 0, 1]);
  expect(values("ApproximateNumberOfMessagesNotVisible")).toEqual([0, 0, 1, 0]);
  await call("PurgeQueue");
  await cloud.advance(6 * hour);
  const before = values("ApproximateNumberOfMessagesVisible").length;
  expect(before).toBe(4 + 6 * 60);
  await cloud.advance(hour);
  expect(values("ApproximateNumberOfMessagesVisible")).toHaveLength(before);
});

test.each<[string, Json, RegExp]>([
  ["a property", queue({ FifoQueue: true }), /^shop\.Letters: FifoQueue is not understood/],
  ["where dead letters go", queue({ RedrivePolicy: {} }), /RedrivePolicy is not understood/],
  ["two ways of sealing", queue({ KmsMasterKeyId: "k", SqsManagedSseEnabled: true }), /^shop\.Letters: two ways/],
])("%s that is not known stops the cloud", async (_, Letters, message) => {
  await expect(cloudWith({ Letters })).rejects.toThrow(message);
});

test("an input or an operation that is not known is a defect", async () => {
  const { call } = await cloudWith({ Letters: queue() });
  await expect(call("ReceiveMessage", { WaitTimeSeconds: 20 })).rejects.toThrow("WaitTimeSeconds is not understood");
  await expect(call("ListQueues")).rejects.toThrow("unknown operation ListQueues");
});
