import { randomUUID } from "node:crypto";
import type { Caller } from "../../iam/caller.ts";
import { type ApiCall, CallRefused, type Cloud, nameOf, type Service } from "../../service.ts";
import type { Resource } from "../../template/stack.ts";
import { only, onlyInput, placeOf } from "../../understood.ts";
import { refusedUse } from "../kms/keys.ts";
import { askToConfirm, type Notice, notify, subscriptionOf, type Topic, topicOf } from "./topic.ts";

type Words = Omit<Notice, "id" | "at">;

const largestMessage = 256 * 1024;

/**
 * Topics and who is subscribed ("Amazon SNS API reference"). Who publishes is judged by the topic's policy and, where the
 * topic is sealed, by its key's. It is stricter than AWS in one thing: a topic without a policy takes nothing of a service.
 */
export function snsService(cloud: Cloud): Service {
  const topics = new Map<string, Topic>();
  const subscribed: Resource[] = [];

  const topicNamed = (arn: unknown): Topic => {
    const topic = topics.get(String(arn));
    if (topic === undefined) throw new CallRefused("NotFound", "there is no such topic", 404);
    return topic;
  };

  /** @throws CallRefused where a policy does not let the caller do it. */
  const demand = (caller: Caller, action: string, { arn }: Topic, context: Readonly<Record<string, string>> = {}) => {
    if (!cloud.allows(caller, { action: `sns:${action}`, resource: arn, context })) {
      throw new CallRefused("AuthorizationError", `${nameOf(caller)} may not sns:${action} on ${arn}`, 403);
    }
  };

  function publish(topic: Topic, notice: Words, caller: Caller, context: Readonly<Record<string, string>> = {}) {
    demand(caller, "Publish", topic, context);
    const { arn, key, name } = topic;
    const actions = ["kms:GenerateDataKey", "kms:Decrypt"] as const;
    const sealing = { "aws:sns:topicArn": arn };
    const refusal =
      key === undefined ? undefined : refusedUse(cloud, { key, caller, actions, via: "sns", sealing, context });
    if (refusal !== undefined)
      throw new CallRefused(`KMS${refusal}`, `${nameOf(caller)}, the key of ${arn}: ${refusal}`);
    if (notice.text === "") throw new CallRefused("InvalidParameter", "an empty message");
    if (Buffer.byteLength(notice.text) > largestMessage)
      throw new CallRefused("InvalidParameter", "the message is too long");
    cloud.measure({
      namespace: "AWS/SNS",
      name: "NumberOfMessagesPublished",
      dimensions: { TopicName: name },
      value: 1,
    });
    const id = randomUUID();
    const listening = topic.subscriptions.filter(({ token }) => token === undefined);
    for (const each of listening) cloud.goOn(notify(cloud, topic, each, { ...notice, id, at: cloud.clock.now() }));
    return { MessageId: id };
  }

  return {
    name: "sns",
    types: ["AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription"],
    make(resource) {
      if (resource.type === "AWS::SNS::TopicPolicy") return only(resource, ["PolicyDocument", "Topics"]);
      if (resource.type === "AWS::SNS::Subscription") return void subscribed.push(resource);
      const topic = topicOf(resource);
      topics.set(topic.arn, topic);
    },
    begin() {
      for (const resource of subscribed) {
        const topic = topics.get(resource.properties.TopicArn);
        if (topic === undefined)
          throw new Error(`${placeOf(resource)}: there is no topic ${resource.properties.TopicArn}`);
        const subscription = subscriptionOf(resource);
        topic.subscriptions.push(subscription);
        if (subscription.token !== undefined) askToConfirm(cloud, topic, subscription);
      }
    },
    async answer(call) {
      const { input, caller } = call;
      switch (call.operation) {
        case "Publish": {
          onlyInput(call, ["Message", "MessageAttributes", "Subject", "TopicArn"]);
          return publish(topicNamed(input.TopicArn), wordsOf(call), caller);
        }
        case "ConfirmSubscription": {
          // Who has the token may: no policy is asked.
          onlyInput(call, ["Token", "TopicArn"]);
          const { subscriptions } = topicNamed(input.TopicArn);
          const found = subscriptions.find(({ token }) => token !== undefined && token === input.Token);
          if (found === undefined) throw new CallRefused("InvalidParameter", "Invalid token");
          found.token = undefined;
          return { SubscriptionArn: found.arn };
        }
        case "ListSubscriptionsByTopic": {
          onlyInput(call, ["TopicArn"]);
          const topic = topicNamed(input.TopicArn);
          demand(caller, call.operation, topic);
          return { Subscriptions: topic.subscriptions.map((each) => listed(each, topic, cloud.accountId)) };
        }
        default:
          throw new Error(`sns: unknown operation ${call.operation}`);
      }
    },
    async accept({ to, payload: text, subject, attributes, as, context }) {
      publish(topicNamed(to), { text, subject, attributes }, as, context);
    },
  };
}

function wordsOf({ input }: ApiCall): Words {
  const { Message = "", Subject, MessageAttributes = {} } = input as PublishInput;
  if (Subject !== undefined && !/^[\x21-\x7e][\x20-\x7e]{0,98}$/.test(Subject)) {
    throw new CallRefused("InvalidParameter", "Invalid parameter: Subject");
  }
  const texts = Object.entries(MessageAttributes).map(([name, { DataType, StringValue }]) => {
    if (DataType !== "String" || StringValue === undefined) throw new Error(`sns: an attribute of type ${DataType}`);
    return [name, StringValue] as const;
  });
  return { text: Message, subject: Subject, ...(texts.length > 0 && { attributes: Object.fromEntries(texts) }) };
}

interface PublishInput {
  readonly Message?: string;
  readonly Subject?: string;
  readonly MessageAttributes?: Readonly<Record<string, { readonly DataType: string; readonly StringValue?: string }>>;
}

function listed({ arn, protocol, endpoint, token }: Topic["subscriptions"][number], topic: Topic, Owner: string) {
  const SubscriptionArn = token === undefined ? arn : "PendingConfirmation";
  return { SubscriptionArn, Owner, Protocol: protocol, Endpoint: endpoint, TopicArn: topic.arn };
}
