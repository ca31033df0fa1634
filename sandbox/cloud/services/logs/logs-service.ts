import {
  type ApiCall,
  CallRefused,
  type Cloud,
  type Delivery,
  refuseUnlessAllowed,
  type Service,
} from "../../service.ts";
import { only, onlyInput, placeOf } from "../../understood.ts";
import { embeddedMetrics } from "./embedded-metrics.ts";

export interface LogEvent {
  readonly logStreamName: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly message: string;
}

interface Group {
  /** Milliseconds for which an event is kept; absent: for ever. */
  readonly retention?: number;
  events: LogEvent[];
}

/** In days ("AWS::Logs::LogGroup"). */
const retentions = [
  ...[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
];

/**
 * CloudWatch Logs. What is delivered to a log group is the input of `PutLogEvents`; metrics in the embedded format are measured. Of its API it knows
 * `FilterLogEvents`, for a group and a time.
 */
export function logsService(cloud: Cloud): Service {
  const groups = new Map<string, Group>();
  const arnOf = (group: string) => `arn:aws:logs:${cloud.region}:${cloud.accountId}:log-group:${group}`;

  /** What is not too old. */
  function eventsOf(group: Group): readonly LogEvent[] {
    const { retention = Number.POSITIVE_INFINITY } = group;
    group.events = group.events.filter(({ timestamp }) => cloud.clock.now() - timestamp < retention);
    return group.events;
  }

  return {
    name: "logs",
    types: ["AWS::Logs::LogGroup"],

    make(resource) {
      only(resource, ["LogGroupName", "RetentionInDays", "Tags"]);
      const { RetentionInDays } = resource.properties;
      const days = RetentionInDays === undefined ? undefined : Number(RetentionInDays);
      if (days !== undefined && !retentions.includes(days)) {
        throw new Error(`${placeOf(resource)}: RetentionInDays is ${RetentionInDays}, which is not offered`);
      }
      groups.set(resource.ref, { ...(days !== undefined && { retention: days * 86_400_000 }), events: [] });
    },

    async answer(call: ApiCall) {
      if (call.operation !== "FilterLogEvents")
        throw new Error(`the ${call.operation} of CloudWatch Logs is not known`);
      onlyInput(call, ["endTime", "logGroupName", "startTime"]);
      const { logGroupName, startTime = 0, endTime = Number.POSITIVE_INFINITY } = call.input;
      const need = {
        action: "logs:FilterLogEvents",
        resource: `${arnOf(logGroupName as string)}:log-stream:`,
        context: {},
      };
      refuseUnlessAllowed(cloud, call.caller, need);
      const group = groups.get(logGroupName as string);
      if (group === undefined) {
        throw new CallRefused("ResourceNotFoundException", "The specified log group does not exist.");
      }
      const within = ({ timestamp }: LogEvent) => timestamp >= (startTime as number) && timestamp < (endTime as number);
      return { events: eventsOf(group).filter(within) };
    },

    async accept({ to, payload, as }: Delivery) {
      const name = to.slice(arnOf("").length);
      const { logStreamName, logEvents } = JSON.parse(payload) as {
        logStreamName: string;
        logEvents: readonly Omit<LogEvent, "logStreamName">[];
      };
      const stream = `${to}:log-stream:${logStreamName}`;
      const known = groups.get(name);
      const needs = [
        ...(known === undefined ? [{ action: "logs:CreateLogGroup", resource: `${to}:log-stream:` }] : []),
        { action: "logs:CreateLogStream", resource: stream },
        { action: "logs:PutLogEvents", resource: stream },
      ];
      for (const each of needs) {
        const need = { ...each, context: {} };
        refuseUnlessAllowed(cloud, as, need);
      }
      const group = known ?? { events: [] };
      groups.set(name, group);
      for (const event of logEvents) {
        group.events.push({ logStreamName, ...event });
        for (const datum of embeddedMetrics(event.message)) cloud.measure(datum);
      }
    },
  };
}
