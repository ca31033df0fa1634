import { randomBytes, randomUUID } from "node:crypto";
import { CallRefused, type Cloud } from "../../service.ts";
import type { Resource } from "../../template/stack.ts";
import { only, placeOf } from "../../understood.ts";
import { post } from "./inbox.ts";
import { delayAfter } from "./patience.ts";

export interface Topic {
  readonly arn: string;
  readonly name: string;
  readonly displayName: string;
  /** `undefined`: not sealed. */
  readonly key: string | undefined;
  readonly subscriptions: Subscription[];
}

export interface Subscription {
  readonly arn: string;
  readonly protocol: "email" | "http" | "https" | "lambda" | "sqs";
  readonly endpoint: string;
  /** The message alone, not the envelope. */
  readonly raw: boolean;
  /** What the endpoint must say to get anything. `undefined`: it has, or need not. */
  token: string | undefined;
}

/** What was published. */
export interface Notice {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly text: string;
  readonly subject?: string | undefined;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

export function topicOf(resource: Resource): Topic {
  only(resource, ["DisplayName", "KmsMasterKeyId", "Tags", "TopicName"]);
  const { DisplayName: displayName = "", KmsMasterKeyId: key } = resource.properties;
  const { TopicArn: arn, TopicName: name } = resource.attributes as { TopicArn: string; TopicName: string };
  return { arn, name, displayName, key, subscriptions: [] };
}

export function subscriptionOf(resource: Resource): Subscription {
  only(resource, ["Endpoint", "Protocol", "RawMessageDelivery", "TopicArn"]);
  const { Endpoint: endpoint, Protocol: protocol, RawMessageDelivery: raw = false } = resource.properties;
  if (!["email", "http", "https", "lambda", "sqs"].includes(protocol)) {
    throw new Error(`${placeOf(resource)}: unknown protocol: ${protocol}`);
  }
  // Of this account, they are confirmed by being subscribed.
  const confirmed = protocol === "sqs" || protocol === "lambda";
  return { arn: resource.ref, protocol, endpoint, raw, token: confirmed ? undefined : randomBytes(32).toString("hex") };
}

/** Asks an endpoint outside whether it wants what comes. */
export function askToConfirm(cloud: Cloud, topic: Topic, { protocol, endpoint, token }: Subscription): void {
  const text =
    protocol === "email"
      ? `You have chosen to subscribe to the topic:\n${topic.arn}\n\nTo confirm this subscription, call ConfirmSubscription with\nToken: ${token}`
      : JSON.stringify({
          ...envelope(topic, "SubscriptionConfirmation", randomUUID(), cloud.clock.now()),
          Token: token,
        });
  leave(cloud, topic, endpoint, "AWS Notification - Subscription Confirmation", text);
}

/** Hands a notice to one subscription, and does it again for as long as SNS would. Resolves after the first attempt. */
export async function notify(
  cloud: Cloud,
  topic: Topic,
  subscription: Subscription,
  notice: Notice,
  attempt = 1,
): Promise<void> {
  const measure = (name: string) =>
    cloud.measure({ namespace: "AWS/SNS", name, dimensions: { TopicName: topic.name }, value: 1 });
  const { protocol, endpoint } = subscription;
  const failure = await hand(cloud, topic, subscription, notice);
  if (failure === undefined) {
    measure("NumberOfNotificationsDelivered");
    cloud.note(`sns: ${topic.name} told ${endpoint}: ${notice.subject ?? notice.text}`);
    return;
  }
  const delay = failure.mayPass ? delayAfter(attempt, protocol) : undefined;
  // Of URLs each attempt counts, of others the last ("Amazon SNS metrics").
  if (delay === undefined || protocol.startsWith("http")) measure("NumberOfNotificationsFailed");
  if (delay === undefined) return cloud.note(`sns: ${topic.name} could not tell ${endpoint}: ${failure.why}`);
  cloud.clock.at(cloud.clock.now() + delay, () => cloud.goOn(notify(cloud, topic, subscription, notice, attempt + 1)));
}

/** `undefined`: it has it. */
async function hand(
  cloud: Cloud,
  topic: Topic,
  { arn, protocol, endpoint, raw }: Subscription,
  { id, at, text, subject, attributes }: Notice,
): Promise<{ readonly why: string; readonly mayPass: boolean } | undefined> {
  const enveloped = {
    ...envelope(topic, "Notification", id, at),
    ...(subject !== undefined && { Subject: subject }),
    Message: text,
    ...(attributes && { MessageAttributes: texts(attributes) }),
  };
  if (protocol !== "sqs" && protocol !== "lambda") {
    const body = protocol === "email" || raw ? text : JSON.stringify(enveloped);
    const taken = leave(cloud, topic, endpoint, subject ?? "AWS Notification Message", body);
    return taken ? undefined : { why: "it takes no mail", mayPass: true };
  }
  const record = { EventVersion: "1.0", EventSubscriptionArn: arn, EventSource: "aws:sns", Sns: enveloped };
  const envelopeText = JSON.stringify(protocol === "lambda" ? { Records: [record] } : enveloped);
  try {
    await cloud.deliver({
      to: endpoint,
      payload: raw ? text : envelopeText,
      ...(raw && attributes && { attributes }),
      as: { kind: "service", service: "sns.amazonaws.com" },
      context: { "aws:SourceArn": topic.arn, "aws:SourceAccount": cloud.accountId },
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof CallRefused)) throw error;
    // What the receiver's owner has to mend is not tried again ("client-side errors").
    return { why: `${error.code}: ${error.message}`, mayPass: error.status >= 500 || error.status === 429 };
  }
}

function envelope({ arn }: Topic, Type: string, MessageId: string, at: number) {
  return { Type, MessageId, TopicArn: arn, Timestamp: new Date(at).toISOString() };
}

function leave({ directory, clock }: Cloud, { displayName }: Topic, to: string, subject: string, text: string) {
  const from = `${displayName || "AWS Notifications"} <no-reply@sns.amazonaws.com>`;
  return post(directory, { from, to, at: clock.now(), subject, text });
}

const texts = (attributes: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(attributes).map(([name, Value]) => [name, { Type: "String", Value }]));
