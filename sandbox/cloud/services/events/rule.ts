import { deadLettersOf, isQueue, type RetryPolicy, retryPolicyOf } from "../../retries.ts";
import type { Json } from "../../template/assembly.ts";
import type { Resource } from "../../template/stack.ts";
import { inPlace, only } from "../../understood.ts";
import { type EventPattern, eventPattern } from "./event-pattern.ts";
import { type TargetInput, targetInput } from "./target-input.ts";

/** A rule of the default bus. */
export interface Rule {
  readonly name: string;
  readonly arn: string;
  readonly enabled: boolean;
  readonly matches: EventPattern;
  readonly targets: readonly Target[];
}

export interface Target {
  /** ARN of a function, a queue or a topic. */
  readonly arn: string;
  /** ARN of the role whose session hands over. Absent: EventBridge does, for itself. */
  readonly role?: string;
  readonly input: TargetInput;
  readonly policy: RetryPolicy;
  /** ARN of a queue. Absent: what can not be delivered is dropped. */
  readonly deadLetters?: string;
}

/** @throws Error that begins with the resource's place, for a property that is not understood. */
export function ruleOf(resource: Resource): Rule {
  const { ref, attributes, properties } = resource;
  only(resource, ["Description", "EventBusName", "EventPattern", "Name", "State", "Tags", "Targets"]);
  return inPlace(resource, () => {
    const { EventBusName = "default", EventPattern, State = "ENABLED", Targets = [] } = properties;
    if (EventBusName !== "default") throw new Error(`no bus but the default one is there: ${EventBusName}`);
    if (EventPattern === undefined) throw new Error("a rule without a pattern");
    if (State !== "ENABLED" && State !== "DISABLED") throw new Error(`unknown state ${State}`);
    if (Targets.length > 5) throw new Error("a rule has five targets at most");
    const ids = new Set(Targets.map(({ Id }: { Id: unknown }) => Id));
    if (ids.size < Targets.length || ids.has(undefined)) throw new Error("each target needs an Id of its own");
    const rule = { name: ref, arn: attributes.Arn as string };
    return {
      ...rule,
      enabled: State === "ENABLED",
      matches: eventPattern(EventPattern as Json),
      // biome-ignore lint/suspicious/noExplicitAny: checked there
      targets: Targets.map((target: any) => targetOf(resource, target, rule)),
    };
  });
}

// biome-ignore lint/suspicious/noExplicitAny: checked here
function targetOf(resource: Resource, target: any, rule: Pick<Rule, "name" | "arn">): Target {
  const { Arn, RoleArn, Input, InputPath, InputTransformer, RetryPolicy, DeadLetterConfig } = target;
  only(
    resource,
    ["Arn", "DeadLetterConfig", "Id", "Input", "InputPath", "InputTransformer", "RetryPolicy", "RoleArn"],
    target,
  );
  only(resource, ["InputPathsMap", "InputTemplate"], InputTransformer ?? {});
  if (!isTarget(Arn)) throw new Error(`a target that is not understood: ${Arn}`);
  const deadLetters = deadLettersOf(resource, DeadLetterConfig);
  return {
    arn: Arn,
    ...(RoleArn !== undefined && { role: RoleArn }),
    input: targetInput({ Input, InputPath, InputTransformer }, rule),
    policy: retryPolicyOf(resource, RetryPolicy),
    ...(deadLetters !== undefined && { deadLetters }),
  };
}

/** Whether it is the ARN of a function, a topic, or a queue that keeps no order: what rules and schedules here can reach. */
export function isTarget(arn: unknown): arn is string {
  return (
    isQueue(arn) ||
    (typeof arn === "string" && /^arn:aws:(lambda:[^:]+:\d{12}:function|sns:[^:]+:\d{12}):[\w-]+$/.test(arn))
  );
}
