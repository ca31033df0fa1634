import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cronTimes, type NextTime } from "../../../../sandbox/cloud/services/scheduler/cron.ts";
import { scheduleTimes } from "../../../../sandbox/cloud/services/scheduler/schedule-times.ts";
import { timeZone } from "../../../../sandbox/cloud/services/scheduler/time-zone.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const cron = (expression: string, zone = "UTC") => cronTimes(expression, timeZone(zone));

/** The next so many times, as UTC. */
function following(times: NextTime, from: string, count = 3): (string | undefined)[] {
  const found: (string | undefined)[] = [];
  let after: number | undefined = Date.parse(from);
  while (found.length < count && after !== undefined) {
    after = times(after);
    found.push(after === undefined ? undefined : new Date(after).toISOString().slice(0, 16));
  }
  return found;
}

describe("a cron expression", () => {
  test.each<[string, string, readonly (string | undefined)[]]>([
    ["30 4 * * ? *", "2026-02-28T04:30:00Z", ["2026-03-01T04:30", "2026-03-02T04:30"]],
    ["0 6 ? * SUN *", "2026-03-01T05:59:59Z", ["2026-03-01T06:00", "2026-03-08T06:00"]],
    ["0/20 8-9 ? * MON-FRI *", "2026-03-06T09:20:00Z", ["2026-03-06T09:40", "2026-03-09T08:00"]],
    ["*/30 0 1 1,JUL ? *", "2026-01-02T00:00:00Z", ["2026-07-01T00:00", "2026-07-01T00:30", "2027-01-01T00:00"]],
    ["0 0 L * ? *", "2028-01-31T00:00:00Z", ["2028-02-29T00:00", "2028-03-31T00:00"]],
    ["0 0 29 2 ? *", "2026-01-01T00:00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]],
    ["0 0 15W * ? *", "2026-02-01T00:00:00Z", ["2026-02-16T00:00", "2026-03-16T00:00", "2026-04-15T00:00"]],
    ["0 0 1W * ? *", "2026-07-31T00:00:00Z", ["2026-08-03T00:00", "2026-09-01T00:00"]],
    ["0 0 31W * ? *", "2026-05-01T00:00:00Z", ["2026-05-29T00:00", "2026-07-31T00:00"]],
    ["0 0 ? * L *", "2026-03-01T00:00:00Z", ["2026-03-07T00:00", "2026-03-14T00:00"]],
    ["0 0 ? * 6L *", "2026-03-01T00:00:00Z", ["2026-03-27T00:00", "2026-04-24T00:00"]],
    ["0 0 ? * 3#2 *", "2026-03-01T00:00:00Z", ["2026-03-10T00:00", "2026-04-14T00:00"]],
    ["0 0 ? * MON#5 *", "2026-03-01T00:00:00Z", ["2026-03-30T00:00", "2026-06-29T00:00"]],
    ["0 0 1 1 ? 2027-2028", "2026-01-01T00:00:00Z", ["2027-01-01T00:00", "2028-01-01T00:00", undefined]],
    ["0 0 30 2 ? *", "2026-01-01T00:00:00Z", [undefined]],
  ])("%s is due, after %s, at %j", (expression, from, expected) => {
    expect(following(cron(expression), from, expected.length)).toEqual(expected);
  });

  test("skips what falls into the hour that does not exist in spring", () => {
    const nightly = cron("30 2 * * ? *", "Europe/Berlin");
    expect(following(nightly, "2026-03-28T00:00:00Z")).toEqual([
      "2026-03-28T01:30",
      "2026-03-30T00:30",
      "2026-03-31T00:30",
    ]);
  });

  test("runs once what falls into the hour that comes twice in autumn", () => {
    const nightly = cron("30 2 * * ? *", "Europe/Berlin");
    expect(following(nightly, "2026-10-24T12:00:00Z", 2)).toEqual(["2026-10-25T00:30", "2026-10-26T01:30"]);
    const often = cron("0/30 * * * ? *", "Europe/Berlin");
    expect(following(often, "2026-10-25T00:00:00Z")).toEqual([
      "2026-10-25T00:30",
      "2026-10-25T02:00",
      "2026-10-25T02:30",
    ]);
  });

  test("keeps to the clock on the wall through the year", () => {
    const nightly = cron("0 6 ? * SUN *", "America/New_York");
    expect(following(nightly, "2026-03-01T12:00:00Z", 2)).toEqual(["2026-03-08T10:00", "2026-03-15T10:00"]);
  });

  test("skips a day that a place never had", () => {
    const daily = cron("0 12 * * ? *", "Pacific/Apia");
    expect(following(daily, "2011-12-29T00:00:00Z", 2)).toEqual(["2011-12-29T22:00", "2011-12-30T22:00"]);
  });

  test.each([
    ["0 0 * * *", "six fields"],
    ["0 0 * * * *", "must be ?"],
    ["0 0 ? * ? *", "must be ?"],
    ["60 0 * * ? *", "not within 0 to 59: 60"],
    ["0 24 * * ? *", "not within 0 to 23"],
    ["0 0 0 * ? *", "not within 1 to 31"],
    ["0 0 * 13 ? *", "not within 1 to 12"],
    ["0 0 ? * 0 *", "not within 1 to 7"],
    ["0 0 ? * SON *", "not within 1 to 7: SON"],
    ["0 0 * * ? 2200", "not within 1970 to 2199"],
    ["0 0 ? * FRI-MON *", "no field of a cron expression"],
    ["0/0 0 * * ? *", "no field of a cron expression"],
    ["*-5 0 * * ? *", "no field of a cron expression"],
    ["0 L * * ? *", "not within"],
    ["0 0 ? * 3#6 *", "not within 1 to 5"],
    ["0 0 ? * 3#1,6#3 *", "# stands beside another day"],
    ["0 0 LW * ? *", "not within"],
  ])("%s is refused", (expression, reason) => {
    expect(() => cron(expression)).toThrow(reason);
  });
});

/** A field with what it says, written down a second time. */
interface Field {
  readonly text: string;
  readonly fits: (value: number) => boolean;
}

function plainField(least: number, most: number): fc.Arbitrary<Field> {
  const value = fc.integer({ min: least, max: most });
  return fc.oneof(
    fc.constant({ text: "*", fits: () => true }),
    fc
      .uniqueArray(value, { minLength: 1, maxLength: 3 })
      .map((all) => ({ text: all.join(), fits: (it: number) => all.includes(it) })),
    fc.tuple(value, value).map(([one, other]) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      return { text: `${from}-${to}`, fits: (it: number) => from <= it && it <= to };
    }),
    fc.tuple(value, fc.integer({ min: 1, max: 25 })).map(([from, by]) => ({
      text: `${from}/${by}`,
      fits: (it: number) => it >= from && (it - from) % by === 0,
    })),
  );
}

const zones = [
  ...["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kolkata"],
  ...["Africa/Casablanca", "America/Santiago", "Pacific/Chatham"],
];

/** Instants around which clocks are changed somewhere in these zones, and others. */
const instants = fc.oneof(
  fc
    .constantFrom(
      ...["2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-03-08T07:00Z", "2026-11-01T06:00Z", "2026-04-04T15:00Z"],
      ...["2026-10-03T15:30Z", "2026-02-15T02:00Z", "2026-03-22T02:00Z", "2026-04-05T04:00Z", "2026-09-06T04:00Z"],
    )
    .chain((near) => fc.integer({ min: -90, max: 30 }).map((off) => Date.parse(near) + off * minute)),
  fc.integer({ min: Date.parse("2020-01-01"), max: Date.parse("2035-01-01") }),
);

describe("the next time of a cron expression", () => {
  test("is what a look at the clock on the wall, minute by minute, finds", () => {
    const clocks = new Map(
      zones.map((zone) => [
        zone,
        new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" }),
      ]),
    );
    const look = fc.tuple(fc.constantFrom(...zones), instants, plainField(0, 59), plainField(0, 23));
    fc.assert(
      fc.property(look, ([zone, after, minutes, hours]) => {
        const clock = clocks.get(zone)!;
        const seen = new Set<string>();
        const limit = after + 26 * hour;
        let expected: number | undefined;
        // From three hours before, to know what was seen already.
        for (
          let time = Math.ceil((after - 3 * hour) / minute) * minute;
          time <= limit && expected === undefined;
          time += minute
        ) {
          const shown = clock.format(time);
          const [, at, past] = /(\d\d):(\d\d)$/.exec(shown)!;
          if (time > after && !seen.has(shown) && hours.fits(Number(at)) && minutes.fits(Number(past))) expected = time;
          seen.add(shown);
        }
        const next = cron(`${minutes.text} ${hours.text} * * ? *`, zone)(after);
        if (expected === undefined) expect(next ?? Number.POSITIVE_INFINITY).toBeGreaterThan(limit);
        else expect(next).toBe(expected);
      }),
      { numRuns: 150 },
    );
  });

  test("is what a look at the calendar, day by day, finds", () => {
    const ofMonth = fc.oneof(
      plainField(1, 31).map(({ text, fits }) => ({
        text: `${text} MONTH ?`,
        fits: (at: Date) => fits(at.getUTCDate()),
      })),
      fc.constant({ text: "L MONTH ?", fits: (at: Date) => new Date(at.getTime() + day).getUTCDate() === 1 }),
      fc
        .integer({ min: 1, max: 31 })
        .map((wanted) => ({ text: `${wanted}W MONTH ?`, fits: (at: Date) => isNearestWeekday(at, wanted) })),
    );
    const ofWeek = fc.oneof(
      plainField(1, 7).map(({ text, fits }) => ({
        text: `? MONTH ${text}`,
        fits: (at: Date) => fits(at.getUTCDay() + 1),
      })),
      fc.integer({ min: 1, max: 7 }).map((weekday) => ({
        text: `? MONTH ${weekday}L`,
        fits: (at: Date) =>
          at.getUTCDay() + 1 === weekday && new Date(at.getTime() + 7 * day).getUTCMonth() !== at.getUTCMonth(),
      })),
      fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 5 })).map(([weekday, which]) => ({
        text: `? MONTH ${weekday}#${which}`,
        fits: (at: Date) =>
          at.getUTCDay() + 1 === weekday &&
          new Date(at.getTime() - (which - 1) * 7 * day).getUTCMonth() === at.getUTCMonth() &&
          new Date(at.getTime() - which * 7 * day).getUTCMonth() !== at.getUTCMonth(),
      })),
    );
    const look = fc.tuple(fc.oneof(ofMonth, ofWeek), plainField(1, 12), fc.integer({ min: 18_000, max: 30_000 }));
    fc.assert(
      fc.property(look, ([{ text, fits }, months, from]) => {
        const limit = from + 3 * 366;
        const found = (at: Date) => fits(at) && months.fits(at.getUTCMonth() + 1);
        let date = from + 1;
        while (date <= limit && !found(new Date(date * day))) date++;
        const next = cron(`0 0 ${text.replace("MONTH", months.text)} *`)(from * day);
        if (date > limit) expect(next ?? Number.POSITIVE_INFINITY).toBeGreaterThan(limit * day);
        else expect(next).toBe(date * day);
      }),
      { numRuns: 500 },
    );
  });
});

/** Of all weekdays in the month, none is nearer; of two, Friday is nearer to Saturday and Monday to Sunday. */
function isNearestWeekday(at: Date, wanted: number): boolean {
  const month = [at.getUTCFullYear(), at.getUTCMonth()] as const;
  const count = new Date(Date.UTC(month[0], month[1] + 1, 0)).getUTCDate();
  if (wanted > count) return false;
  const distance = (date: number) => Math.abs(date - wanted);
  const candidates = Array.from({ length: count }, (_, index) => index + 1)
    .filter((date) => ![0, 6].includes(new Date(Date.UTC(...month, date)).getUTCDay()))
    .sort((one, other) => distance(one) - distance(other));
  return candidates[0] === at.getUTCDate();
}

describe("a schedule's times", () => {
  const created = Date.parse("2026-03-01T12:34:56Z");
  const times = (expression: string, more: { zone?: string; start?: number; end?: number } = {}) =>
    scheduleTimes({ expression, zone: "UTC", created, ...more });

  test("of a rate begin when it is made, and count days of 24 hours", () => {
    const all = following(times("rate(1 day)", { zone: "Europe/Berlin" }), "2026-03-01T12:34:00Z", 30);
    expect(all[0]).toBe("2026-03-01T12:34");
    expect(all[29]).toBe("2026-03-30T12:34");
  });

  test("of a rate begin at its start date, which may be long ago", () => {
    const since = (start: string) =>
      following(times("rate(5 hours)", { start: Date.parse(start) }), "2026-03-01T12:34:56Z", 2);
    expect(since("2026-03-02T00:00:00Z")).toEqual(["2026-03-02T00:00", "2026-03-02T05:00"]);
    expect(since("2026-03-01T00:00:00Z")).toEqual(["2026-03-01T15:00", "2026-03-01T20:00"]);
  });

  test("lie between its dates, both included", () => {
    const [start, end] = [Date.parse("2026-03-03T06:00:00Z"), Date.parse("2026-03-04T06:00:00Z")];
    const daily = times("cron(0 6 * * ? *)", { start, end });
    expect(following(daily, "2026-03-01T12:34:56Z", 4)).toEqual(["2026-03-03T06:00", "2026-03-04T06:00", undefined]);
  });

  test("are one time in its zone, whatever its dates", () => {
    const once = times("at(2026-07-01T06:00:00)", { zone: "Europe/Berlin", end: created });
    expect(following(once, "2026-03-01T12:34:56Z")).toEqual(["2026-07-01T04:00", undefined]);
  });

  test.each([
    ["rate(0 days)", "no rate"],
    ["rate(5 minute)", "no rate"],
    ["rate(1 week)", "no rate"],
    ["at(2026-07-01)", "no time in UTC"],
    ["at(2026-03-01T12:00:00)", "is over"],
    ["every(1 day)", "no schedule expression"],
    ["cron(0 6 * * *)", "six fields"],
  ])("are refused where they are %s", (expression, reason) => {
    expect(() => times(expression)).toThrow(reason);
  });

  test("are refused at a time that does not exist, and in a zone that does not", () => {
    expect(() => times("at(2026-03-29T02:30:00)", { zone: "Europe/Berlin" })).toThrow("no time in Europe/Berlin");
    expect(() => times("rate(1 day)", { zone: "Europe/Bonn" })).toThrow("unknown time zone Europe/Bonn");
    expect(() => times("rate(1 day)", { zone: "+02:00" })).toThrow("unknown time zone");
  });
});
