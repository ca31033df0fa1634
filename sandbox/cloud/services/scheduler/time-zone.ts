/** A place's clock on the wall. */
export interface TimeZone {
  /** What it shows at an instant (milliseconds since 1970), as though that were UTC. */
  local(instant: number): number;
  /** The instant at which it shows this, the first where it does twice; `undefined` where it never does. */
  instant(local: number): number | undefined;
}

const day = 24 * 60 * 60_000;

/** @param name - of the IANA time zone database. @throws Error for one that is not known. */
export function timeZone(name: string): TimeZone {
  const format = formatOf(name);
  const local = (instant: number) => {
    const parts = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const { year, month, day, hour, minute, second } = parts as Record<string, number>;
    const shown = Date.UTC(year!, month! - 1, day, hour, minute, second);
    return shown + (((instant % 1000) + 1000) % 1000);
  };
  return {
    local,
    instant(wanted) {
      // No place is more than a day off UTC, and none changes its clock twice within two days.
      const offsets = [wanted - day, wanted + day].map((near) => local(near) - near);
      const found = offsets.map((offset) => wanted - offset).filter((each) => local(each) === wanted);
      return found.length === 0 ? undefined : Math.min(...found);
    },
  };
}

function formatOf(name: string): Intl.DateTimeFormat {
  const numeric = "numeric" as const;
  const fields = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric };
  try {
    if (!/^[A-Z]/i.test(name)) throw new RangeError("an offset");
    return new Intl.DateTimeFormat("en-US", { timeZone: name, calendar: "gregory", hourCycle: "h23", ...fields });
  } catch (cause) {
    throw new Error(`unknown time zone ${name}`, { cause });
  }
}
