import type { TimeZone } from "./time-zone.ts";

/** The first time after an instant; `undefined`: there will be none. Both in milliseconds since 1970. */
export type NextTime = (after: number) => number | undefined;

const day = 24 * 60 * 60_000;

/**
 * The times of a cron expression: minutes, hours, day of the month, month, day of the week, year ("Schedule types in
 * EventBridge Scheduler"), each at the begin of its minute. On the day on which the clock is put forward what falls into the hour that
 * does not exist is **skipped**; when it is put back what falls into the hour that comes twice is **run once**, the
 * first time ("How can I adjust my Amazon EventBridge schedule for daylight saving?"; which of the two it does not say).
 *
 * @param expression - what stands in the parentheses.
 * @throws Error for what is no such expression.
 */
export function cronTimes(expression: string, zone: TimeZone): NextTime {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 6) throw new Error(`a cron expression has six fields: ${expression}`);
  const [minute, hour, dayOfMonth, monthOfYear, dayOfWeek, yearField] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  if ((dayOfMonth === "?") === (dayOfWeek === "?")) {
    throw new Error(`one of day of the month and day of the week must be ?: ${expression}`);
  }
  const minutes = ordered(plain(minute, { least: 0, most: 59 }));
  const hours = ordered(plain(hour, { least: 0, most: 23 }));
  const months = plain(monthOfYear, { least: 1, most: 12, names: monthNames });
  const years = plain(yearField, { least: 1970, most: 2199 });
  const lastYear = Math.max(...years);
  const isDay = dayOfWeek === "?" ? daysOfMonth(dayOfMonth) : daysOfWeek(dayOfWeek);
  return (after) => {
    for (let date = startOf(zone.local(after) - day); ; date += day) {
      const on = dateOf(date);
      if (on.year > lastYear) return undefined;
      if (!years.has(on.year) || !months.has(on.month) || !isDay(on)) continue;
      for (const each of hours) {
        for (const past of minutes) {
          const time = zone.instant(date + (each * 60 + past) * 60_000);
          if (time !== undefined && time > after) return time;
        }
      }
    }
  };
}

interface OnDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  /** 1 is Sunday. */
  readonly weekday: number;
  /** How many days its month has. */
  readonly length: number;
}

function dateOf(date: number): OnDate {
  const at = new Date(date);
  const [year, month] = [at.getUTCFullYear(), at.getUTCMonth() + 1];
  const length = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return { year, month, day: at.getUTCDate(), weekday: at.getUTCDay() + 1, length };
}

const startOf = (local: number) => Math.floor(local / day) * day;
const ordered = (values: ReadonlySet<number>) => [...values].sort((one, other) => one - other);

const monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const dayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const weekdays = { least: 1, most: 7, names: dayNames };
const days = { least: 1, most: 31 };

interface Range {
  readonly least: number;
  readonly most: number;
  /** Of the values from `least` on. */
  readonly names?: readonly string[];
}

/** Values, ranges, and steps, with commas between them. */
function plain(field: string, range: Range): ReadonlySet<number> {
  return new Set(field.split(",").flatMap((part) => partOf(part, range)));
}

function partOf(part: string, range: Range): readonly number[] {
  const [, from, to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
  if (from === undefined || (from === "*" && to !== undefined))
    throw new Error(`no field of a cron expression: ${part}`);
  const first = from === "*" ? range.least : numberOf(from, range);
  const last = to !== undefined ? numberOf(to, range) : from === "*" || step !== undefined ? range.most : first;
  const by = step === undefined ? 1 : Number(step);
  if (last < first || by < 1) throw new Error(`no field of a cron expression: ${part}`);
  return Array.from({ length: Math.floor((last - first) / by) + 1 }, (_, index) => first + index * by);
}

function numberOf(text: string, { least, most, names = [] }: Range): number {
  const named = names.indexOf(text);
  const value = named >= 0 ? least + named : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw new Error(`not within ${least} to ${most}: ${text}`);
  return value;
}

type IsDay = (on: OnDate) => boolean;

/** `L` is the last day, `15W` the weekday that is nearest to the 15th in its month. */
function daysOfMonth(field: string): IsDay {
  const parts = field.split(",").map((part): IsDay => {
    if (part === "L") return ({ day, length }) => day === length;
    const [, nearest] = /^(\d+)W$/.exec(part) ?? [];
    if (nearest === undefined) {
      const values = plain(part, days);
      return ({ day }) => values.has(day);
    }
    const wanted = numberOf(nearest, days);
    return (on) => wanted <= on.length && on.day === nearestWeekday(wanted, on);
  });
  return (on) => parts.some((fits) => fits(on));
}

function nearestWeekday(wanted: number, { day, weekday, length }: OnDate): number {
  const falls = ((((weekday - 1 + wanted - day) % 7) + 7) % 7) + 1;
  if (falls === 7) return wanted === 1 ? 3 : wanted - 1;
  if (falls === 1) return wanted === length ? wanted - 2 : wanted + 1;
  return wanted;
}

/** `L` is Saturday, `6L` the last Friday of the month, `3#2` its second Tuesday, which may stand alone only. */
function daysOfWeek(field: string): IsDay {
  const parts = field.split(",").map((part, _, { length: count }): IsDay => {
    if (part === "L") return ({ weekday }) => weekday === 7;
    const [, last] = /^(\w+)L$/.exec(part) ?? [];
    if (last !== undefined) {
      const wanted = numberOf(last, weekdays);
      return ({ weekday, day, length }) => weekday === wanted && day > length - 7;
    }
    const [, of, which] = /^(\w+)#(\d)$/.exec(part) ?? [];
    if (of === undefined) {
      const values = plain(part, weekdays);
      return ({ weekday }) => values.has(weekday);
    }
    const [wanted, week] = [numberOf(of, weekdays), numberOf(which!, { least: 1, most: 5 })];
    if (count > 1) throw new Error(`# stands beside another day: ${field}`);
    return ({ weekday, day }) => weekday === wanted && Math.ceil(day / 7) === week;
  });
  return (on) => parts.some((fits) => fits(on));
}
