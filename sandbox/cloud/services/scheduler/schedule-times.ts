import { cronTimes, type NextTime } from "./cron.ts";
import { timeZone } from "./time-zone.ts";

export interface TimesOptions {
  /** `rate(6 hours)`, `at(2026-11-20T13:00:00)` or `cron(0 3 * * ? *)`. */
  readonly expression: string;
  /** Name of the time zone of `at` and `cron`. */
  readonly zone: string;
  /** When the schedule came to be, in milliseconds since 1970. */
  readonly created: number;
  /** Milliseconds since 1970 before and after which there is nothing. One-time schedules have neither, whatever is written. */
  readonly start?: number;
  readonly end?: number;
}

/**
 * When a schedule is due ("Schedule types in EventBridge Scheduler"). A rate begins at its start date; without one at once: "your
 * schedule starts invoking the target immediately". Its days are 24 hours, whatever clocks on walls do.
 *
 * @throws Error for what is no expression, and for one time that is over or does not exist.
 */
export function scheduleTimes({ expression, zone, created, start, end }: TimesOptions): NextTime {
  const wall = timeZone(zone);
  const [, kind, inside = ""] = /^(rate|at|cron)\(([^()]*)\)$/.exec(expression) ?? [];
  if (kind === "at") {
    const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$/.test(inside)
      ? wall.instant(Date.parse(`${inside}Z`))
      : undefined;
    if (time === undefined) throw new Error(`no time in ${zone}: ${expression}`);
    if (time < created) throw new Error(`is over: ${expression}`);
    return (after) => (time > after ? time : undefined);
  }
  const times =
    kind === "rate" ? rateTimes(inside, start ?? created) : kind === "cron" ? cronTimes(inside, wall) : undefined;
  if (times === undefined) throw new Error(`no schedule expression: ${expression}`);
  return (after) => {
    const time = times(Math.max(after, (start ?? 0) - 1));
    return time === undefined || time > (end ?? Number.POSITIVE_INFINITY) ? undefined : time;
  };
}

const units: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

function rateTimes(inside: string, base: number): NextTime {
  const [, value, unit, plural] = /^([1-9]\d*) (minute|hour|day)(s?)$/.exec(inside) ?? [];
  if (unit === undefined || (plural === "" && value !== "1")) throw new Error(`no rate: ${inside}`);
  const every = Number(value) * units[unit]!;
  return (after) => (after < base ? base : base + (Math.floor((after - base) / every) + 1) * every);
}
