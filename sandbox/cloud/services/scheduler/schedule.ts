import { type Destination, destinationOf } from "../../destination.ts";
import type { Resource } from "../../template/stack.ts";
import { inPlace, only } from "../../understood.ts";
import type { NextTime } from "./cron.ts";
import { scheduleTimes } from "./schedule-times.ts";

export interface Schedule {
  readonly name: string;
  readonly arn: string;
  readonly group: string;
  /** ARN of the group: what a role's trust can ask for as `aws:SourceArn`. */
  readonly groupArn: string;
  readonly enabled: boolean;
  readonly times: NextTime;
  /** Seconds after its time within which it is invoked. */
  readonly window: number;
  readonly target: ScheduleTarget;
}

export interface ScheduleTarget extends Destination {
  /** ARN of the role whose session invokes. */
  readonly role: string;
  /** With keywords in it ({@link withContext}). Absent: a notification of the scheduler's own. */
  readonly input?: string;
}

const known = [
  ...["Description", "EndDate", "FlexibleTimeWindow", "GroupName", "Name", "ScheduleExpression"],
  ...["ScheduleExpressionTimezone", "StartDate", "State", "Target"],
];

/** @throws Error that begins with the resource's place, for a property that is not understood. */
export function scheduleOf(resource: Resource, created: number): Schedule {
  const { ref, attributes, properties } = resource;
  only(resource, known);
  return inPlace(resource, () => {
    const { GroupName: group = "default", State = "ENABLED", StartDate, EndDate } = properties;
    if (State !== "ENABLED" && State !== "DISABLED") throw new Error(`unknown state ${State}`);
    return {
      name: ref,
      arn: attributes.Arn as string,
      group,
      groupArn: `arn:aws:scheduler:${resource.region}:${resource.account}:schedule-group/${group}`,
      enabled: State === "ENABLED",
      times: scheduleTimes({
        expression: properties.ScheduleExpression,
        zone: properties.ScheduleExpressionTimezone ?? "UTC",
        created,
        ...(StartDate !== undefined && { start: dateOf(StartDate) }),
        ...(EndDate !== undefined && { end: dateOf(EndDate) }),
      }),
      window: windowOf(resource),
      target: targetOf(resource),
    };
  });
}

function windowOf(resource: Resource): number {
  const window = resource.properties.FlexibleTimeWindow ?? {};
  only(resource, ["MaximumWindowInMinutes", "Mode"], window);
  const { Mode, MaximumWindowInMinutes: minutes } = window;
  if (Mode === "OFF" && minutes === undefined) return 0;
  if (Mode === "FLEXIBLE" && Number.isInteger(minutes) && minutes >= 1 && minutes <= 1440) return minutes * 60;
  throw new Error(`no flexible time window: ${JSON.stringify(window)}`);
}

function targetOf(resource: Resource): ScheduleTarget {
  const target = resource.properties.Target ?? {};
  only(resource, ["Arn", "DeadLetterConfig", "Input", "RetryPolicy", "RoleArn"], target);
  const { RoleArn, Input } = target;
  const destination = destinationOf(resource, target);
  if (!/^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/.test(RoleArn)) throw new Error(`no role: ${RoleArn}`);
  if (Input !== undefined) checkInput(Input, destination.arn);
  return {
    ...destination,
    role: RoleArn,
    ...(Input !== undefined && { input: Input }),
  };
}

/** What keywords stand for; sources: "Adding context attributes in EventBridge Scheduler". */
export interface InvocationContext {
  readonly "schedule-arn": string;
  /** Whole seconds. */
  readonly "scheduled-time": string;
  /** Of this attempt alone. */
  readonly "execution-id": string;
  /** From 1. */
  readonly "attempt-number": string;
}

const keyword = /<aws\.scheduler\.([^<>]*)>/g;
const keywords = ["schedule-arn", "scheduled-time", "execution-id", "attempt-number"];

export function withContext(input: string, context: InvocationContext): string {
  return input.replace(keyword, (_, name: keyof InvocationContext) => context[name]);
}

function checkInput(input: string, target: string): void {
  const unknown = [...input.matchAll(keyword)].find(([, name]) => !keywords.includes(name!));
  if (unknown !== undefined) throw new Error(`an unknown keyword: ${unknown[0]}`);
  if (!target.startsWith("arn:aws:lambda:")) return;
  try {
    JSON.parse(input.replace(keyword, "0"));
  } catch (cause) {
    throw new Error("Input of a function is no JSON", { cause });
  }
}

function dateOf(written: unknown): number {
  const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z$/.test(`${written}`)
    ? Date.parse(`${written}`)
    : Number.NaN;
  if (Number.isNaN(time)) throw new Error(`no date in UTC: ${written}`);
  return time;
}
