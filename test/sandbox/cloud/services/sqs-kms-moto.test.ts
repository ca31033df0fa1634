import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, test } from "vitest";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { kmsService } from "../../../../sandbox/cloud/services/kms/kms-service.ts";
import { sqsService } from "../../../../sandbox/cloud/services/sqs/sqs-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import { expectAgreement, type Moto, motoIsHere, startMoto } from "../../../fixtures/moto.ts";
import { raw } from "../../../fixtures/raw-s3.ts";
import { accountId, region, smallCloud } from "../../../fixtures/small-cloud.ts";

type Answer = Readonly<Record<string, unknown>>;
/** One call of a service by the JSON protocol; what is refused is the name of its error. */
type Call = (operation: string, input?: object) => Promise<Answer>;

interface Place {
  readonly call: Call;
}

interface QueuePlace extends Place {
  readonly QueueName: string;
  readonly QueueUrl: string;
}

interface KeyPlace extends Place {
  readonly alias: string;
  readonly KeyId: string;
  readonly Arn: string;
}

const targets = { sqs: ["AmazonSQS", "1.0"], kms: ["TrentService", "1.1"] } as const;

const speaker =
  (endpoint: string, service: keyof typeof targets, who?: NonNullable<Parameters<typeof raw>[1]["who"]>): Call =>
  async (operation, input = {}) => {
    const body = JSON.stringify(input);
    const [target, version] = targets[service];
    const { status, text } = await raw(endpoint, {
      ...{ method: "POST", path: "/", region, service, body, ...(who && { who }) },
      payloadHash: createHash("sha256").update(body).digest("hex"),
      headers: { "x-amz-target": `${target}.${operation}`, "content-type": `application/x-amz-json-${version}` },
    });
    // Whoever fails himself answers with a page.
    if (status >= 500) return { refused: status };
    const answer = JSON.parse(text || "{}") ?? {};
    return status === 200 ? answer : { refused: answer.__type.replace(/^.*#/, "") };
  };

const only = (answer: Answer, ...fields: string[]): Answer =>
  "refused" in answer ? answer : Object.fromEntries(fields.map((field) => [field, answer[field]]));
const send = ({ call, QueueUrl }: QueuePlace, more: object = {}) =>
  call("SendMessage", { QueueUrl, MessageBody: "hello", ...more });
const receive = async ({ call, QueueUrl }: QueuePlace, more: object = {}) => {
  const answer = await call("ReceiveMessage", { QueueUrl, ...more });
  return { answer, messages: (answer.Messages ?? []) as readonly Answer[] };
};
const kind = { kind: { DataType: "String", StringValue: "x" }, age: { DataType: "Number", StringValue: "7" } };

const ofQueues: Record<string, (place: QueuePlace) => Promise<unknown>> = {
  "a message": async (place) => only(await send(place), "MD5OfMessageBody", "MD5OfMessageAttributes"),
  "a message with attributes": async (place) =>
    only(await send(place, { MessageAttributes: kind }), "MD5OfMessageBody", "MD5OfMessageAttributes"),
  "a message that comes": async (place) => {
    await send(place);
    const { messages } = await receive(place);
    return messages.map((each) => only(each, "Body", "MD5OfBody", "Attributes", "MessageAttributes"));
  },
  "what is known of a message that comes": async (place) => {
    await send(place);
    await receive(place, { VisibilityTimeout: 0 });
    const { messages } = await receive(place, { AttributeNames: ["All"] });
    const attributes = messages[0]!.Attributes as Record<string, string>;
    return [Object.keys(attributes).toSorted(), attributes.ApproximateReceiveCount];
  },
  "attributes that come": async (place) => {
    await send(place, { MessageAttributes: kind });
    const { messages } = await receive(place, { MessageAttributeNames: ["All"] });
    return messages.map((each) => only(each, "MessageAttributes", "MD5OfMessageAttributes"));
  },
  "one attribute that comes": async (place) => {
    await send(place, { MessageAttributes: kind });
    const { messages } = await receive(place, { MessageAttributeNames: ["age"] });
    return messages.map((each) => only(each, "MessageAttributes", "MD5OfMessageAttributes"));
  },
  "a message that is hidden": async (place) => {
    await send(place);
    await receive(place);
    return (await receive(place)).answer;
  },
  "a message that is delayed": async (place) => {
    await send(place, { DelaySeconds: 60 });
    return (await receive(place)).answer;
  },
  "a message that was deleted": async (place) => {
    await send(place);
    const { messages } = await receive(place, { VisibilityTimeout: 0 });
    const { call, QueueUrl } = place;
    const deleted = await call("DeleteMessage", { QueueUrl, ReceiptHandle: messages[0]!.ReceiptHandle });
    return [deleted, (await receive(place)).answer];
  },
  "a deletion by no receipt": ({ call, QueueUrl }) => call("DeleteMessage", { QueueUrl, ReceiptHandle: "none" }),
  "several messages": async (place) => {
    for (const MessageBody of ["a", "b", "c"]) await send(place, { MessageBody });
    return (await receive(place, { MaxNumberOfMessages: 10 })).messages.map(({ Body }) => Body).toSorted();
  },
  "too many messages at once": async (place) => (await receive(place, { MaxNumberOfMessages: 11 })).answer,
  "no messages at once": async (place) => (await receive(place, { MaxNumberOfMessages: 0 })).answer,
  "an empty message": async (place) => send(place, { MessageBody: "" }),
  "no message": ({ call, QueueUrl }) => call("SendMessage", { QueueUrl }),
  "the longest message": async (place) =>
    only(await send(place, { MessageBody: "x".repeat(1024 * 1024) }), "MD5OfMessageBody"),
  "a message that is too long": (place) => send(place, { MessageBody: "x".repeat(1024 * 1024 + 1) }),
  "a delay that is too long": (place) => send(place, { DelaySeconds: 901 }),
  "a queue that is purged": async (place) => {
    await send(place);
    const { call, QueueUrl } = place;
    return [await call("PurgeQueue", { QueueUrl }), (await receive(place)).answer];
  },
  "a queue that is not there": ({ call, QueueUrl }) =>
    call("SendMessage", { QueueUrl: `${QueueUrl}2`, MessageBody: "x" }),
  "the URL of a queue that is not there": ({ call }) => call("GetQueueUrl", { QueueName: "none" }),
  "the end of a queue's URL": async ({ call, QueueName }) =>
    String((await call("GetQueueUrl", { QueueName })).QueueUrl).endsWith(`/${QueueName}`),
  "what is counted": async (place) => {
    for (const MessageBody of ["a", "b", "c"]) await send(place, { MessageBody });
    await receive(place);
    await send(place, { DelaySeconds: 60 });
    const AttributeNames = ["", "NotVisible", "Delayed"].map((end) => `ApproximateNumberOfMessages${end}`);
    return place.call("GetQueueAttributes", { QueueUrl: place.QueueUrl, AttributeNames });
  },
  "a message that is hidden for too long": async (place) =>
    (await receive(place, { VisibilityTimeout: 43_201 })).answer,
  "how it is set": ({ call, QueueUrl }) =>
    call("GetQueueAttributes", {
      QueueUrl,
      AttributeNames: ["VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds", "SqsManagedSseEnabled"],
    }),
  "how long a message it takes": ({ call, QueueUrl }) =>
    call("GetQueueAttributes", { QueueUrl, AttributeNames: ["MaximumMessageSize"] }),
  "an attribute that there is not": ({ call, QueueUrl }) =>
    call("GetQueueAttributes", { QueueUrl, AttributeNames: ["Colour"] }),
};

const described = async ({ call, KeyId }: KeyPlace, as = KeyId): Promise<unknown> => {
  const answer = await call("DescribeKey", { KeyId: as });
  if ("refused" in answer) return answer;
  const fields = ["Enabled", "Description", "KeyUsage", "KeyState", "Origin", "KeyManager", "KeySpec"];
  return only(answer.KeyMetadata as Answer, ...fields, "EncryptionAlgorithms", "MultiRegion");
};
const end = ({ call, KeyId }: KeyPlace, more: object = {}) => call("ScheduleKeyDeletion", { KeyId, ...more });
/** Days from now, or the refusal. */
const inDays = (answer: Answer) =>
  "refused" in answer ? answer : Math.round(((answer.DeletionDate as number) * 1000 - Date.now()) / 86_400_000);
const anonymous = ({ KeyId, Arn }: KeyPlace, answer: Answer): Answer => {
  const text = JSON.stringify({ ...answer, DeletionDate: undefined })
    .replace(Arn, "ARN")
    .replace(KeyId, "ID");
  return JSON.parse(text);
};

const ofKeys: Record<string, (place: KeyPlace) => Promise<unknown>> = {
  "a key": (place) => described(place),
  "a key by its alias": (place) => described(place, place.alias),
  "a key by its ARN": (place) => described(place, place.Arn),
  "an alias that there is not": (place) => described(place, "alias/none"),
  "a key that there is not": (place) => described(place, "00000000-0000-0000-0000-000000000000"),
  "a key that is switched off, and on": async (place) => {
    const { call, KeyId } = place;
    const off = [await call("DisableKey", { KeyId }), await described(place)];
    return [...off, await call("EnableKey", { KeyId }), await described(place)];
  },
  "a key that is to be deleted": async (place) => [
    inDays(await end(place, { PendingWindowInDays: 7 })),
    await described(place),
  ],
  "a key that is to be deleted some time": async (place) => inDays(await end(place)),
  "what is said of a key that is to be deleted": async (place) => anonymous(place, await end(place)),
  "a key that is to be deleted too soon": async (place) =>
    anonymous(place, await end(place, { PendingWindowInDays: 6 })),
  "a key that is to be deleted too late": async (place) =>
    anonymous(place, await end(place, { PendingWindowInDays: 31 })),
  "a key that is to be deleted twice": async (place) => {
    await end(place);
    return inDays(await end(place));
  },
  "a key that is to be deleted, and switched on": async (place) => {
    await end(place);
    return place.call("EnableKey", { KeyId: place.KeyId });
  },
  "a key that is to be deleted, and switched off": async (place) => {
    await end(place);
    return place.call("DisableKey", { KeyId: place.KeyId });
  },
  "a key that is taken back": async (place) => {
    await end(place);
    await place.call("CancelKeyDeletion", { KeyId: place.KeyId });
    return described(place);
  },
  "what is said of a key that is taken back": async (place) => {
    await end(place);
    return anonymous(place, await place.call("CancelKeyDeletion", { KeyId: place.KeyId }));
  },
  "a key that nobody wants to delete, and is taken back": async (place) =>
    anonymous(place, await place.call("CancelKeyDeletion", { KeyId: place.KeyId })),
  "whether a key turns": async ({ call, KeyId }) =>
    only(await call("GetKeyRotationStatus", { KeyId }), "KeyRotationEnabled"),
};

/** Where moto and the sandbox differ, and why the sandbox does as it does. */
const differences: Readonly<Record<string, string>> = {
  "what is known of a message that comes": "moto tells who sent it, as AWS does; the sandbox keeps no sender",
  "an empty message": "moto takes it; the API reference wants at least one character",
  "no message": "moto fails at it; the API reference has it as required",
  "what is said of a key that is to be deleted": "moto leaves out state and window, and gives the id for the ARN",
  "a key that is to be deleted too soon":
    "moto does nothing, and says that it is done; the API reference wants 7 to 30 days",
  "a key that is to be deleted too late":
    "moto does nothing, and says that it is done; the API reference wants 7 to 30 days",
  "a key that is to be deleted twice": "moto does it; the table of key states: KMSInvalidStateException",
  "a key that is to be deleted, and switched on": "moto does it; the table of key states: KMSInvalidStateException",
  "a key that is to be deleted, and switched off": "moto does it; the table of key states: KMSInvalidStateException",
  "what is said of a key that is taken back": "moto gives the id; the API reference: the ARN",
  "a key that nobody wants to delete, and is taken back":
    "moto does it; the table of key states: KMSInvalidStateException",
};

describe.runIf(motoIsHere)("as moto does", () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
  });
  afterAll(() => moto.stop());

  /** What came of each on both sides: each has a queue or a key of its own. */
  async function expectTheSame<P>(
    scenarios: Readonly<Record<string, (place: P) => Promise<unknown>>>,
    place: (index: number) => Promise<readonly [our: P, their: P]>,
  ) {
    for (const [index, [name, scenario]] of Object.entries(scenarios).entries()) {
      const [our, their] = await Promise.all((await place(index)).map(scenario));
      expectAgreement(differences, name, [our, their]);
    }
  }

  test("a queue answers to senders and receivers", async () => {
    const names = Object.keys(ofQueues).map((_, index) => `letters-${index}`);
    const queue = (QueueName: string) => ({ Type: "AWS::SQS::Queue", Properties: { QueueName } });
    const resources = Object.fromEntries(names.map((name, index) => [`Letters${index}`, queue(name)]));
    const cloud = await smallCloud(resources, { services: [iamService, stsService, kmsService, sqsService] });
    const [ours, theirs] = [speaker(cloud.endpoints.api, "sqs", cloud.root), speaker(moto.endpoint, "sqs")];
    const place = async (call: Call, QueueName: string) => ({
      call,
      QueueName,
      QueueUrl: (await call("GetQueueUrl", { QueueName })).QueueUrl as string,
    });
    await expectTheSame(ofQueues, async (index) => {
      await theirs("CreateQueue", { QueueName: names[index] });
      return Promise.all([place(ours, names[index]!), place(theirs, names[index]!)]);
    });
  });

  test("a key is described, switched off, ended and taken back", async () => {
    const everything = { Effect: "Allow", Principal: { AWS: accountId }, Action: "kms:*", Resource: "*" };
    const KeyPolicy = { Version: "2012-10-17", Statement: [everything] };
    const Description = "seals wares";
    const resources = Object.keys(ofKeys).flatMap((_, index) => [
      [`Key${index}`, { Type: "AWS::KMS::Key", Properties: { KeyPolicy, Description } }] as const,
      [
        `Alias${index}`,
        {
          Type: "AWS::KMS::Alias",
          Properties: { AliasName: `alias/wares-${index}`, TargetKeyId: { Ref: `Key${index}` } },
        },
      ] as const,
    ]);
    const services = [iamService, stsService, kmsService];
    const cloud = await smallCloud(Object.fromEntries(resources), { services });
    const [ours, theirs] = [speaker(cloud.endpoints.api, "kms", cloud.root), speaker(moto.endpoint, "kms")];
    const place = async (call: Call, alias: string) => {
      const { KeyMetadata } = await call("DescribeKey", { KeyId: alias });
      const { KeyId, Arn } = KeyMetadata as { KeyId: string; Arn: string };
      return { call, alias, KeyId, Arn };
    };
    await expectTheSame(ofKeys, async (index) => {
      const alias = `alias/wares-${index}`;
      const kind = { KeyUsage: "ENCRYPT_DECRYPT", KeySpec: "SYMMETRIC_DEFAULT", MultiRegion: false };
      const { KeyMetadata } = await theirs("CreateKey", { Description, ...kind });
      await theirs("CreateAlias", { AliasName: alias, TargetKeyId: (KeyMetadata as { KeyId: string }).KeyId });
      return Promise.all([place(ours, alias), place(theirs, alias)]);
    });
  });
});
