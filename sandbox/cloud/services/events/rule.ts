import { type Destination, destinationOf } from "../../destination.ts";
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

export interface Target extends Destination {
  /** ARN of the role whose session hands over. Absent: EventBridge does, for itself. */
  readonly role?: string;
  readonly input: TargetInput;
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
  const { RoleArn, Input, InputPath, InputTransformer } = target;
  only(
    resource,
    ["Arn", "DeadLetterConfig", "Id", "Input", "InputPath", "InputTransformer", "RetryPolicy", "RoleArn"],
    target,
  );
  only(resource, ["InputPathsMap", "InputTemplate"], InputTransformer ?? {});
  return {
    ...destinationOf(resource, target),
    ...(RoleArn !== undefined && { role: RoleArn }),
    input: targetInput({ Input, InputPath, InputTransformer }, rule),
  };
}
