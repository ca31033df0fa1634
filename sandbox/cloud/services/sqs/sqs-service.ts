import {
  type ApiCall,
  CallRefused,
  type Cloud,
  type Delivery,
  refuseUnlessAllowed,
  type Service,
} from "../../service.ts";
import type { Resource } from "../../template/stack.ts";
import { only, onlyInput, placeOf } from "../../understood.ts";
import { refusedUse } from "../kms/keys.ts";
import { type Message, type MessageAttribute, md5, md5OfAttributes, Queue } from "./queue.ts";

/** Without any call or message for so long, SQS measures no more ("Available CloudWatch metrics for Amazon SQS"). */
const idleAfter = 6 * 60 * 60_000;
const minute = 60_000;

interface Place {
  readonly arn: string;
  readonly url: string;
  readonly name: string;
  /** `undefined`: SQS seals it with a key of its own. */
  readonly key: string | undefined;
  readonly queue: Queue;
  touchedAt: number;
}

type Call = Pick<ApiCall, "caller"> & { readonly context?: Readonly<Record<string, string>> };

/** Standard queues ("Amazon SQS API reference"). Its metrics are measured at each full minute. */
export function sqsService(cloud: Cloud): Service {
  const places = new Map<string, Place>();
  const now = () => cloud.clock.now();

  /** @throws CallRefused where a policy does not let the caller do it, or the key's does not let him seal or open. */
  function demand({ arn, key }: Place, action: string, { caller, context = {} }: Call): void {
    const need = { action: `sqs:${action}`, resource: arn, context };
    refuseUnlessAllowed(cloud, caller, need);
    const actions = keyUse[action];
    if (key === undefined || actions === undefined) return;
    const refusal = refusedUse(cloud, { key, caller, actions, via: "sqs", sealing: { "aws:sqs:arn": arn }, context });
    if (refusal !== undefined) throw new CallRefused(`Kms${refusal}`, `the key of ${arn}: ${refusal}`);
  }

  function send(place: Place, body: string, attributes: Message["attributes"], delay?: number): Message {
    if (Buffer.byteLength(body) > place.queue.settings.maximumBytes) {
      throw new CallRefused("InvalidParameterValue", "the message is larger than the queue takes");
    }
    cloud.measure(datumOf(place, "NumberOfMessagesSent", 1));
    return place.queue.send(body, attributes, now(), delay);
  }

  function measure(): void {
    for (const place of places.values()) {
      const { visible, hidden, delayed } = place.queue.counts(now());
      if (visible + hidden + delayed === 0 && now() - place.touchedAt > idleAfter) continue;
      cloud.measure(datumOf(place, "ApproximateNumberOfMessagesVisible", visible));
      cloud.measure(datumOf(place, "ApproximateNumberOfMessagesNotVisible", hidden));
    }
    cloud.clock.at((Math.floor(now() / minute) + 1) * minute, measure);
  }

  return {
    name: "sqs",
    types: ["AWS::SQS::Queue", "AWS::SQS::QueuePolicy"],
    make(resource) {
      if (resource.type === "AWS::SQS::QueuePolicy") return only(resource, ["PolicyDocument", "Queues"]);
      const place = placeOfQueue(resource, now());
      places.set(place.arn, place);
    },
    begin() {
      cloud.clock.at(Math.ceil(now() / minute) * minute, measure);
    },
    async answer(call) {
      const operation = operations[call.operation];
      if (operation === undefined) throw new Error(`sqs: unknown operation ${call.operation}`);
      onlyInput(call, operation.inputs);
      const { QueueUrl, QueueName } = call.input as Record<string, string | undefined>;
      const place = [...places.values()].find(({ url, name }) => sameQueue(url, QueueUrl) || name === QueueName);
      if (place === undefined) throw new CallRefused("QueueDoesNotExist", "there is no such queue");
      demand(place, call.operation, call);
      place.touchedAt = now();
      return operation.answer({ place, call, now: now(), send: (...message) => send(place, ...message) });
    },
    async accept({ to, payload, attributes = {}, as, context }: Delivery) {
      const place = places.get(to);
      if (place === undefined) throw new CallRefused("QueueDoesNotExist", "there is no such queue");
      demand(place, "SendMessage", { caller: as, context });
      const texts = Object.entries(attributes).map(([name, StringValue]) => [
        name,
        { DataType: "String", StringValue },
      ]);
      send(place, payload, Object.fromEntries(texts));
    },
  };
}

/** What a call does with the key of a queue that has one ("Configuring KMS permissions for Amazon SQS"). */
const keyUse: Readonly<Record<string, readonly `kms:${string}`[]>> = {
  SendMessage: ["kms:GenerateDataKey", "kms:Decrypt"],
  ReceiveMessage: ["kms:Decrypt"],
};

function placeOfQueue(resource: Resource, now: number): Place {
  only(resource, [
    ...["DelaySeconds", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MaximumMessageSize"],
    ...["MessageRetentionPeriod", "QueueName", "SqsManagedSseEnabled", "Tags", "VisibilityTimeout"],
  ]);
  const { DelaySeconds = 0, KmsMasterKeyId: key, MaximumMessageSize = 1024 * 1024, ...rest } = resource.properties;
  const { MessageRetentionPeriod = 345_600, SqsManagedSseEnabled, VisibilityTimeout = 30 } = rest;
  if (key !== undefined && SqsManagedSseEnabled) throw new Error(`${placeOf(resource)}: two ways to seal it`);
  const queue = new Queue({
    retention: MessageRetentionPeriod * 1000,
    visibilityTimeout: VisibilityTimeout * 1000,
    delay: DelaySeconds * 1000,
    maximumBytes: MaximumMessageSize,
  });
  const { Arn: arn, QueueName: name } = resource.attributes as { Arn: string; QueueName: string };
  return { arn, url: resource.ref, name, key, queue, touchedAt: now };
}

interface Asked {
  readonly place: Place;
  readonly call: ApiCall;
  readonly now: number;
  readonly send: (body: string, attributes: Message["attributes"], delay?: number) => Message;
}

interface Operation {
  readonly inputs: readonly string[];
  answer(asked: Asked): Readonly<Record<string, unknown>>;
}

const operations: Readonly<Record<string, Operation>> = {
  GetQueueUrl: { inputs: ["QueueName", "QueueOwnerAWSAccountId"], answer: ({ place }) => ({ QueueUrl: place.url }) },
  SendMessage: {
    inputs: ["QueueUrl", "MessageBody", "DelaySeconds", "MessageAttributes"],
    answer({ call, send }) {
      const { MessageBody = "", DelaySeconds, MessageAttributes = {} } = call.input as SendInput;
      if (MessageBody === "") throw new CallRefused("MissingParameter", "a message without a body");
      const { id } = send(MessageBody, MessageAttributes, millisecondsOf(DelaySeconds, longestDelay));
      const MD5OfMessageAttributes = md5OfAttributes(MessageAttributes);
      return {
        ...{ MessageId: id, MD5OfMessageBody: md5(MessageBody) },
        ...(MD5OfMessageAttributes && { MD5OfMessageAttributes }),
      };
    },
  },
  ReceiveMessage: {
    inputs: [
      ...["QueueUrl", "AttributeNames", "MaxNumberOfMessages", "MessageAttributeNames"],
      ...["MessageSystemAttributeNames", "VisibilityTimeout"],
    ],
    answer({ place, call, now }) {
      const { MaxNumberOfMessages: most = 1, VisibilityTimeout, ...names } = call.input as ReceiveInput;
      if (!(most >= 1 && most <= 10)) throw new CallRefused("InvalidParameterValue", "1 to 10 messages at once");
      const hidden = millisecondsOf(VisibilityTimeout, longestHidden);
      const system = [...(names.AttributeNames ?? []), ...(names.MessageSystemAttributeNames ?? [])];
      const Messages = place.queue
        .receive(most, now, hidden)
        .map((each) => messageOf(each, system, names.MessageAttributeNames ?? []));
      return Messages.length === 0 ? {} : { Messages };
    },
  },
  DeleteMessage: {
    inputs: ["QueueUrl", "ReceiptHandle"],
    answer({ place, call }) {
      if (place.queue.delete(String(call.input.ReceiptHandle))) return {};
      throw new CallRefused("ReceiptHandleIsInvalid", "this is no receipt of the queue's");
    },
  },
  PurgeQueue: {
    inputs: ["QueueUrl"],
    answer({ place }) {
      place.queue.purge();
      return {};
    },
  },
  GetQueueAttributes: {
    inputs: ["QueueUrl", "AttributeNames"],
    answer({ place: { arn, key, queue }, call, now }) {
      const { visible, hidden, delayed } = queue.counts(now);
      const { retention, visibilityTimeout, delay, maximumBytes } = queue.settings;
      const all: Record<string, string> = {
        QueueArn: arn,
        ApproximateNumberOfMessages: String(visible),
        ApproximateNumberOfMessagesNotVisible: String(hidden),
        ApproximateNumberOfMessagesDelayed: String(delayed),
        MessageRetentionPeriod: String(retention / 1000),
        VisibilityTimeout: String(visibilityTimeout / 1000),
        DelaySeconds: String(delay / 1000),
        MaximumMessageSize: String(maximumBytes),
        ...(key === undefined ? { SqsManagedSseEnabled: "true" } : { KmsMasterKeyId: key }),
      };
      const names = (call.input.AttributeNames ?? []) as readonly string[];
      const unknown = names.find((name) => name !== "All" && !attributeNames.includes(name));
      if (unknown !== undefined) throw new CallRefused("InvalidAttributeName", `unknown attribute ${unknown}`);
      return { Attributes: chosen(all, names) };
    },
  },
};

/** Seconds, as the API reference bounds them. */
const longestDelay = 900;
const longestHidden = 43_200;

function millisecondsOf(seconds: number | undefined, most: number): number | undefined {
  if (seconds === undefined) return undefined;
  if (seconds >= 0 && seconds <= most) return seconds * 1000;
  throw new CallRefused("InvalidParameterValue", `0 to ${most} seconds`);
}

/** What GetQueueAttributes can be asked for; the sandbox knows some of them. */
const attributeNames = [
  ...["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible"],
  ...["ContentBasedDeduplication", "CreatedTimestamp", "DeduplicationScope", "DelaySeconds", "FifoQueue"],
  ...["FifoThroughputLimit", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "LastModifiedTimestamp"],
  ...["MaximumMessageSize", "MessageRetentionPeriod", "Policy", "QueueArn", "ReceiveMessageWaitTimeSeconds"],
  ...["RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled", "VisibilityTimeout"],
];

interface SendInput {
  readonly MessageBody?: string;
  readonly DelaySeconds?: number;
  readonly MessageAttributes?: Readonly<Record<string, MessageAttribute>>;
}

interface ReceiveInput {
  readonly MaxNumberOfMessages?: number;
  readonly VisibilityTimeout?: number;
  readonly AttributeNames?: readonly string[];
  readonly MessageSystemAttributeNames?: readonly string[];
  readonly MessageAttributeNames?: readonly string[];
}

function messageOf(message: Message, system: readonly string[], wanted: readonly string[]) {
  const { id, body, receipt, sentAt, receives, firstReceivedAt } = message;
  const attributes = {
    SentTimestamp: String(sentAt),
    ApproximateReceiveCount: String(receives),
    ApproximateFirstReceiveTimestamp: String(firstReceivedAt),
  };
  const [Attributes, MessageAttributes] = [chosen(attributes, system), chosen(message.attributes, wanted)];
  return {
    MessageId: id,
    ReceiptHandle: receipt,
    MD5OfBody: md5(body),
    Body: body,
    ...(Attributes && { Attributes }),
    ...(MessageAttributes && { MessageAttributes, MD5OfMessageAttributes: md5OfAttributes(MessageAttributes) }),
  };
}

/** Those that were asked for by name, or `All`. @throws Error for a name with a wildcard. */
function chosen<T>(
  all: Readonly<Record<string, T>>,
  names: readonly string[],
): Readonly<Record<string, T>> | undefined {
  const pattern = names.find((name) => name.includes("*"));
  if (pattern !== undefined) throw new Error(`sqs: attributes by pattern are not understood: ${pattern}`);
  const found = Object.entries(all).filter(([name]) => names.includes("All") || names.includes(name));
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Whatever the host: clients ask at an address of this machine. */
const sameQueue = (url: string, given: string | undefined): boolean =>
  given !== undefined && new URL(given, "http://queue").pathname === new URL(url).pathname;

const datumOf = ({ name: QueueName }: Place, name: string, value: number) => ({
  namespace: "AWS/SQS",
  name,
  dimensions: { QueueName },
  value,
});
