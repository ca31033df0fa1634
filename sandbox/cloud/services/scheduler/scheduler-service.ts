import { digestOf, uuidOf } from "../../made-up.ts";
import { type Failure, insist, isTransient } from "../../retries.ts";
import { CallRefused, type Cloud, type Service } from "../../service.ts";
import { serviceSession } from "../../service-session.ts";
import { inPlace, only } from "../../understood.ts";
import { type Schedule, scheduleOf, withContext } from "./schedule.ts";

/** EventBridge Scheduler: schedules and their groups, as a stack describes them. Nobody calls its API here. */
export function schedulerService(cloud: Cloud): Service & Required<Pick<Service, "begin" | "close">> {
  const schedules: Schedule[] = [];
  const groups = new Set(["default"]);
  let open = true;

  /** Asks to be called when the schedule is due next, and so on. */
  function arm(schedule: Schedule, after: number): void {
    const time = schedule.times(after);
    if (time === undefined) return;
    cloud.clock.at(time, () => {
      if (!open) return;
      const delay = draw(schedule, time) * 1000;
      cloud.clock.at(time + delay, () => {
        if (open) cloud.goOn(invoke(schedule, time));
      });
      arm(schedule, time);
    });
  }

  function invoke(schedule: Schedule, time: number): Promise<void> {
    const { target } = schedule;
    const last = { payload: "", id: "" };
    return insist(cloud, {
      policy: target.policy,
      async attempt(number) {
        last.id = digestOf(`${schedule.arn} ${time} ${number}`).slice(0, 16);
        last.payload = payloadOf(schedule, time, last.id, number);
        measure(schedule, "InvocationAttemptCount");
        try {
          await cloud.deliver({ to: target.arn, payload: last.payload, as: sessionOf(schedule), context: {} });
        } catch (error) {
          if (error instanceof CallRefused)
            measure(schedule, isThrottling(error) ? "TargetErrorThrottledCount" : "TargetErrorCount");
          throw error;
        }
        cloud.note(`scheduler: ${schedule.name} of ${written(time)} invoked ${target.arn}, attempt ${number}`);
      },
      async giveUp(failure) {
        measure(schedule, "InvocationDroppedCount");
        cloud.note(`scheduler: ${schedule.name} of ${written(time)} was given up: ${failure.error.message}`);
        await bury(schedule, time, last, failure);
      },
    });
  }

  /** The role must let the scheduler in, and its session must be able to send: a dead letter is the role's, too. */
  async function bury(schedule: Schedule, time: number, last: { payload: string; id: string }, failure: Failure) {
    const { deadLetters, arn } = schedule.target;
    if (deadLetters === undefined) return;
    const attributes = {
      ERROR_CODE: failure.error.code,
      ERROR_MESSAGE: failure.error.message,
      EXECUTION_ID: last.id,
      ...(failure.exhausted && { EXHAUSTED_RETRY_CONDITION: failure.exhausted }),
      IS_PAYLOAD_TRUNCATED: "false",
      RETRY_ATTEMPTS: String(failure.retries),
      SCHEDULED_TIME: written(time),
      SCHEDULE_ARN: schedule.arn,
      TARGET_ARN: arn,
    };
    try {
      await cloud.deliver({ to: deadLetters, payload: last.payload, attributes, as: sessionOf(schedule), context: {} });
      measure(schedule, "InvocationsSentToDeadLetterCount");
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error;
      measure(schedule, "InvocationsFailedToBeSentToDeadLetterCount");
      cloud.note(`scheduler: ${schedule.name} could not leave a dead letter in ${deadLetters}: ${error.message}`);
    }
  }

  function payloadOf({ arn, target }: Schedule, time: number, id: string, number: number): string {
    const context = {
      "schedule-arn": arn,
      "scheduled-time": written(time),
      "execution-id": id,
      "attempt-number": String(number),
    };
    if (target.input !== undefined) return withContext(target.input, context);
    return JSON.stringify({
      version: "0",
      id: uuidOf(digestOf(`${arn} ${time}`)),
      "detail-type": "Scheduled Event",
      source: "aws.scheduler",
      account: cloud.accountId,
      time: written(time),
      region: cloud.region,
      resources: [arn],
      detail: "{}",
    });
  }

  /** "Confused deputy prevention in EventBridge Scheduler": the source is the group, never the schedule. */
  function sessionOf({ arn, groupArn, target }: Schedule) {
    const source = { "aws:SourceArn": groupArn, "aws:SourceAccount": cloud.accountId };
    return serviceSession(cloud, "scheduler.amazonaws.com", target.role, arn, source);
  }

  function measure({ group }: Schedule, metric: string): void {
    cloud.measure({ namespace: "AWS/Scheduler", name: metric, dimensions: { ScheduleGroup: group }, value: 1 });
  }

  return {
    name: "scheduler",
    types: ["AWS::Scheduler::ScheduleGroup", "AWS::Scheduler::Schedule"],
    make(resource) {
      if (resource.type === "AWS::Scheduler::ScheduleGroup") {
        only(resource, ["Name", "Tags"]);
        groups.add(resource.ref);
        return;
      }
      const schedule = scheduleOf(resource, cloud.clock.now());
      // CreateSchedule does not take a role that it could not use.
      inPlace(resource, () => sessionOf(schedule));
      schedules.push(schedule);
    },
    begin() {
      const lost = schedules.find(({ group }) => !groups.has(group));
      if (lost !== undefined) throw new Error(`${lost.name}: there is no group ${lost.group} of schedules`);
      for (const each of schedules) if (each.enabled) arm(each, cloud.clock.now() - 1);
    },
    async close() {
      open = false;
    },
  };
}

/** Seconds into the window, the same in each run. */
function draw({ arn, window }: Schedule, time: number): number {
  return window === 0 ? 0 : Number.parseInt(digestOf(`${arn} ${time}`).slice(0, 8), 16) % window;
}

function isThrottling(error: CallRefused): boolean {
  return isTransient(error) && error.status < 500;
}

function written(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
