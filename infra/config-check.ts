import type { Config } from "./config.ts";
import { complaintOf } from "./schedule-check.ts";

type Members = Readonly<Record<string, unknown>>;
type Tell = (member: string, value: unknown, fix: string) => void;

/**
 * Whether a configuration can be deployed. Types are no proof: they are stripped where it is loaded.
 *
 * @throws Error with one line for each mistake: the member, the value that was given, the fix.
 */
export function checkConfig(given: Config): void {
  const mistakes: string[] = [];
  const tell: Tell = (member, value, fix) =>
    mistakes.push(`${member} is ${JSON.stringify(value) ?? "missing"}: ${fix}`);
  if (isObject(given)) checkMembers(given as unknown as Members, tell);
  else tell("the configuration", given, "export an object, as infra/config.example.ts does");
  if (mistakes.length === 0) return;
  throw new Error(["the deployment's configuration can not be used", ...mistakes].join("\n  "));
}

function checkMembers(given: Members, tell: Tell) {
  refuseUnknown(given, [...Object.keys(checks)], "", tell);
  for (const [member, { required, holds, fix }] of Object.entries(checks)) {
    const value = given[member];
    if (value === undefined ? required : !holds(value)) tell(member, value, fix);
  }
  if (given.replicaRegion !== undefined && given.replicaRegion === given.region) {
    tell("replicaRegion", given.replicaRegion, "name another region than the deployment's own, or leave it out");
  }
  if (isObject(given.objectLock)) checkLock(given.objectLock, tell);
  if (isObject(given.schedules)) checkSchedules(given.schedules, given.timeZone, tell);
}

interface Check {
  readonly required?: true;
  readonly holds: (value: unknown) => boolean;
  readonly fix: string;
}

const matches = (pattern: RegExp) => (value: unknown) => typeof value === "string" && pattern.test(value);
const integer = (from: number, to: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= from && (value as number) <= to;
const oneOf =
  (...values: readonly unknown[]) =>
  (value: unknown) =>
    values.includes(value);
const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const region = /^[a-z]{2}(-[a-z]+)+-\d$/;
const address = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
const classes = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"];
/** Days that CloudWatch Logs knows. */
const logDays = [30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653];

const checks: Record<keyof Config, Check> = {
  name: {
    required: true,
    // What AWS keeps for itself as the beginning of the name of a bucket, a document or a parameter.
    holds: matches(/^(?!aws|amazon|amzn|ssm|sthree-|xn--)[a-z][a-z0-9-]{1,18}[a-z0-9]$/),
    fix: "use 3 to 20 of a-z 0-9 -, beginning with a letter, and not as names of AWS' own do: aws, amazon, amzn, ssm, sthree-, xn--",
  },
  account: {
    required: true,
    holds: matches(/^\d{12}$/),
    fix: "write the account's 12 digits as a text; `aws sts get-caller-identity` says them",
  },
  region: { required: true, holds: matches(region), fix: "name a region such as eu-central-1" },
  alarmEmails: {
    required: true,
    holds: (value) =>
      Array.isArray(value) && value.length > 0 && value.every(matches(address)) && new Set(value).size === value.length,
    fix: "list at least one address that somebody reads, each once: an alarm that nobody hears is none",
  },
  timeZone: { holds: isTimeZone, fix: "name a time zone such as Europe/Berlin, or leave it out for UTC" },
  objectLock: { holds: isObject, fix: 'write { mode: "off" } or { mode: "governance", days: 30 }' },
  undoDays: { holds: integer(1, 365), fix: "give whole days from 1 to 365" },
  replicaRegion: { holds: matches(region), fix: "name a region such as eu-west-1, or leave it out" },
  storageClass: { holds: oneOf(...classes), fix: `choose one of ${classes.join(", ")}` },
  logDays: { holds: oneOf(...logDays), fix: `choose one of ${logDays.join(", ")}` },
  schedules: { holds: isObject, fix: 'write such as { mail: { expression: "rate(1 hour)" } }' },
};

function checkLock(lock: Members, tell: Tell) {
  const off = lock.mode === "off";
  refuseUnknown(lock, off ? ["mode"] : ["mode", "days"], "objectLock.", tell);
  if (!oneOf("off", "governance", "compliance")(lock.mode)) {
    tell("objectLock.mode", lock.mode, "choose off, governance or compliance");
  } else if (!off && !integer(1, 3650)(lock.days)) {
    tell("objectLock.days", lock.days, "give whole days from 1 to 3650");
  }
}

const tierNames = ["databases", "files", "mail", "full"];

function checkSchedules(schedules: Members, timeZone: unknown, tell: Tell) {
  refuseUnknown(schedules, tierNames, "schedules.", tell);
  for (const [tier, timing] of Object.entries(schedules)) {
    const member = `schedules.${tier}`;
    if (!isObject(timing)) {
      tell(member, timing, 'write { expression: "rate(6 hours)" }');
      continue;
    }
    refuseUnknown(timing, ["expression", "windowMinutes"], `${member}.`, tell);
    const complaint = complaintOf(timing.expression, timeZone);
    if (complaint !== undefined) tell(`${member}.expression`, timing.expression, complaint);
    if (timing.windowMinutes !== undefined && !integer(0, 1440)(timing.windowMinutes)) {
      tell(`${member}.windowMinutes`, timing.windowMinutes, "give whole minutes from 0 to 1440");
    }
  }
}

/** By its name in the IANA database: not a number of hours, and not in other letters. */
function isTimeZone(value: unknown): boolean {
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: String(value) }).resolvedOptions();
    return /^[A-Z]/.test(timeZone) && (value === timeZone || String(value).toLowerCase() !== timeZone.toLowerCase());
  } catch {
    return false;
  }
}

function refuseUnknown(members: Members, known: readonly string[], within: string, tell: Tell) {
  for (const member of Object.keys(members).filter((each) => !known.includes(each))) {
    tell(within + member, members[member], `there is no such setting; there are ${known.join(", ")}`);
  }
}
