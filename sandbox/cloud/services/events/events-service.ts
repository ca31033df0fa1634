import type { Caller } from "../../iam/caller.ts";
import { digestOf, uuidOf } from "../../made-up.ts";
import { insist } from "../../retries.ts";
import { CallRefused, type Cloud, type CloudEvent, type Service } from "../../service.ts";
import { serviceSession } from "../../service-session.ts";
import { entriesOf } from "./put-events.ts";
import { type Rule, ruleOf, type Target } from "./rule.ts";
import type { Envelope } from "./target-input.ts";

const itself = { kind: "service", service: "events.amazonaws.com" } as const satisfies Caller;

/** EventBridge's default bus and its rules. */
export function eventsService(cloud: Cloud): Service & Required<Pick<Service, "publish" | "answer">> {
  const rules: Rule[] = [];
  let count = 0;

  /** Ids are the same in each run that puts the same number of events. */
  function envelope({ source, detail, resources = [], ...event }: CloudEvent, time: number): Envelope {
    count += 1;
    return {
      version: "0",
      id: uuidOf(digestOf(`${cloud.accountId}/${cloud.region}/event/${count}`)),
      "detail-type": event["detail-type"],
      source,
      account: cloud.accountId,
      time: `${new Date(time).toISOString().slice(0, 19)}Z`,
      region: cloud.region,
      resources,
      detail,
    };
  }

  async function put(event: Envelope): Promise<void> {
    const found = rules.filter(({ enabled, matches }) => enabled && matches(event as never));
    await Promise.all(
      found.flatMap((rule) => {
        measure(rule, "MatchedEvents");
        measure(rule, "TriggeredRules");
        return rule.targets.map((target) => deliver(rule, target, event));
      }),
    );
  }

  function deliver(rule: Rule, target: Target, event: Envelope): Promise<void> {
    return insist(cloud, {
      policy: target.policy,
      async attempt(number) {
        if (number > 1) measure(rule, "RetryInvocationAttempts");
        const payload = target.input(event);
        const as = target.role === undefined ? itself : sessionFor(rule, target.role);
        await cloud.deliver({ to: target.arn, payload, as, context: target.role ? {} : contextOf(rule, target.arn) });
        measure(rule, "Invocations");
        cloud.note(`events: ${rule.name} hands "${event["detail-type"]}" to ${target.arn}`);
      },
      async giveUp({ error, retries, exhausted }) {
        measure(rule, "Invocations");
        measure(rule, "FailedInvocations");
        cloud.note(`events: ${rule.name} gives "${event["detail-type"]}" up for ${target.arn}: ${error.message}`);
        await bury(rule, target, event, {
          RULE_ARN: rule.arn,
          TARGET_ARN: target.arn,
          ERROR_CODE: error.code,
          ERROR_MESSAGE: error.message,
          RETRY_ATTEMPTS: String(retries),
          ...(exhausted && { EXHAUSTED_RETRY_CONDITION: exhausted }),
        });
      },
    });
  }

  async function bury(rule: Rule, { deadLetters }: Target, event: Envelope, attributes: Record<string, string>) {
    if (deadLetters === undefined) return;
    const context = contextOf(rule, deadLetters);
    try {
      await cloud.deliver({ to: deadLetters, payload: JSON.stringify(event), attributes, as: itself, context });
      measure(rule, "InvocationsSentToDlq");
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error;
      measure(rule, "InvocationsFailedToBeSentToDlq");
      cloud.note(`events: ${rule.name} could not leave a dead letter in ${deadLetters}: ${error.message}`);
    }
  }

  function sessionFor(rule: Rule, role: string): Caller {
    return serviceSession(cloud, itself.service, role, rule.arn, sourceOf(rule));
  }

  function sourceOf(rule: Rule): Record<string, string> {
    return { "aws:SourceArn": rule.arn, "aws:SourceAccount": cloud.accountId };
  }

  /** To a topic EventBridge says nothing: its documentation knows no condition there ("Amazon SNS permissions"). */
  function contextOf(rule: Rule, to: string): Record<string, string> {
    return to.startsWith("arn:aws:sns:") ? {} : sourceOf(rule);
  }

  /** A metric that is only sent where it is not zero. */
  function measure({ name }: Rule, metric: string): void {
    cloud.measure({ namespace: "AWS/Events", name: metric, dimensions: { RuleName: name }, value: 1 });
  }

  return {
    name: "events",
    types: ["AWS::Events::Rule"],
    make: (resource) => void rules.push(ruleOf(resource)),
    publish: (event) => put(envelope(event, cloud.clock.now())),
    async answer(call) {
      if (call.operation !== "PutEvents") throw new Error(`events: unknown operation ${call.operation}`);
      const Entries = entriesOf(cloud, call).map((entry) => {
        if (!("event" in entry)) return entry;
        const event = envelope(entry.event, entry.time);
        cloud.note(`event: ${event.source} "${event["detail-type"]}"`);
        cloud.goOn(put(event));
        return { EventId: event.id };
      });
      return { FailedEntryCount: Entries.filter((each) => "ErrorCode" in each).length, Entries };
    },
  };
}
