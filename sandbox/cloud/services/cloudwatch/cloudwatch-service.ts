import type { Cloud, Service } from "../../service.ts";
import type { Resource } from "../../template/stack.ts";
import { only, placeOf } from "../../understood.ts";
import { alarmOf } from "./alarm.ts";
import { Alarms } from "./alarms.ts";
import { Metrics } from "./metrics.ts";
import { operations } from "./operations.ts";

const minute = 60_000;

/** Metrics and the alarms on them, which are looked at when each minute is full. */
export function cloudwatchService(cloud: Cloud): Service {
  const metrics = new Metrics();
  const alarms = new Alarms(cloud, metrics);
  const { clock } = cloud;
  const nextMinute = () => clock.at((Math.floor(clock.now() / minute) + 1) * minute, look);
  const look = () => {
    alarms.look();
    nextMinute();
  };
  return {
    name: "monitoring",
    types: ["AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"],
    make(resource) {
      if (resource.type === "AWS::CloudWatch::Dashboard") demandDashboard(resource);
      else alarms.add(alarmOf(resource, clock.now()));
    },
    begin() {
      nextMinute();
    },
    measure(datum) {
      metrics.add(datum, datum.value, clock.now());
    },
    async answer(call) {
      const operation = operations[call.operation];
      if (operation === undefined) throw new Error(`cloudwatch: unknown operation ${call.operation}`);
      return operation({ cloud, alarms, metrics, call });
    },
  };
}

/** A dashboard shows what is measured: it must be one that the console can read. */
function demandDashboard(resource: Resource): void {
  only(resource, ["DashboardBody", "DashboardName"]);
  const { widgets } = JSON.parse(resource.properties.DashboardBody);
  if (!Array.isArray(widgets)) throw new Error(`${placeOf(resource)}: a dashboard without widgets`);
}
