/** Ranges of EventBridge Scheduler's cron fields ("Schedule types in EventBridge Scheduler"). */
const fields = [
  { name: "minute", least: 0, most: 59 },
  { name: "hour", least: 0, most: 23 },
  { name: "day", least: 1, most: 31, also: /^(\?|L|([1-9]|[12]\d|3[01])W)$/ },
  { name: "month", least: 1, most: 12, words: "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC" },
  {
    name: "weekday",
    least: 1,
    most: 7,
    words: "SUN MON TUE WED THU FRI SAT",
    also: /^(\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5]))$/,
  },
  { name: "year", least: 1970, most: 2199 },
] satisfies readonly Field[];

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Of the values from `least` on. */
  readonly words?: string;
  /** What else may stand there. */
  readonly also?: RegExp;
}

/**
 * What keeps backups from being started by an expression of EventBridge Scheduler, as the fix; `undefined`: nothing.
 *
 * @param timeZone in which `cron(…)` is read; `undefined` is UTC.
 */
export function complaintOf(expression: unknown, timeZone: unknown): string | undefined {
  const text = typeof expression === "string" ? expression : "";
  const [, amount = "", unit = "", plural] = /^rate\((\d+) (minute|hour|day)(s?)\)$/.exec(text) ?? [];
  if (amount === "1" || plural === "s") {
    const minutes = Number(amount) * { minute: 1, hour: 60, day: 1440 }[unit as "minute" | "hour" | "day"];
    return minutes >= leastMinutes ? undefined : tooOften;
  }
  const given = /^cron\(([^()]+)\)$/.exec(text)?.[1]?.trim().split(/\s+/) ?? [];
  if (given.length !== fields.length) {
    return "write rate(6 hours), or cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR) such as cron(0 5 * * ? *)";
  }
  const values = given.map((field, index) => valuesOf(field, fields[index]!));
  const wrong = values.indexOf(undefined);
  if (wrong >= 0) {
    const { name, least, most } = fields[wrong]!;
    return `${given[wrong]} is no ${name} of cron(…): write *, or of ${least} to ${most} such as ${least}, ${least}-${most} or */2`;
  }
  if ((given[2] === "?") === (given[4] === "?")) {
    return "in cron(…) exactly one of day and weekday must be ?, such as cron(0 5 * * ? *)";
  }
  const [minutes = [], hours = []] = values as readonly (readonly number[])[];
  const times = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute));
  const gaps = times.map((time, index) => (times[index + 1] ?? times[0]! + 1440) - time);
  if (Math.min(...gaps) < leastMinutes) return tooOften;
  // EventBridge Scheduler passes over local times that the clock jumps over in spring.
  const skipped = timeZone !== undefined && timeZone !== "UTC" && hours.every((hour) => hour >= 1 && hour <= 3);
  return skipped
    ? `one night a year there may be no such time in ${timeZone}: choose an hour outside of 1 to 3, or leave timeZone out for UTC`
    : undefined;
}

const leastMinutes = 5;
const tooOften = `start backups at most every ${leastMinutes} minutes`;

/** In their order; `undefined` where it is no such field. */
function valuesOf(text: string, { least, most, words, also }: Field): readonly number[] | undefined {
  if (also?.test(text)) return [];
  const names = words?.split(" ") ?? [];
  const numberOf = (word: string) => (names.includes(word) ? least + names.indexOf(word) : Number(word));
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const [, from, to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
    if (from === undefined || (from === "*" && to !== undefined)) return undefined;
    const first = from === "*" ? least : numberOf(from);
    const last = to !== undefined ? numberOf(to) : from === "*" || step !== undefined ? most : first;
    const by = Number(step ?? 1);
    if (!(least <= first && first <= last && last <= most && by >= 1)) return undefined;
    for (let value = first; value <= last; value += by) values.add(value);
  }
  return [...values].sort((one, other) => one - other);
}
