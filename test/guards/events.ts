import type { Guard } from "./guard.ts";

const events = (name: string) => `sandbox/cloud/services/events/${name}.ts`;
const scheduler = (name: string) => `sandbox/cloud/services/scheduler/${name}.ts`;
const suite = (name: string) => `test/sandbox/cloud/services/${name}.test.ts`;

/** EventBridge in the sandbox: a rule or a schedule that it took too lightly would be one that fails in the account. */
export const eventGuards: readonly Guard[] = [
  {
    guard: "a pattern with an operator that is not known is refused",
    file: events("event-pattern"),
    find: "if (!Object.hasOwn(operators, name)) throw",
    replace: 'if (name === "") throw',
    test: { file: suite("event-pattern"), name: "is refused with %s" },
  },
  {
    guard: "fields below an array fit in one element",
    file: events("event-pattern"),
    find: "inEach(fieldsPattern(written, path))",
    replace: "fieldsPattern(written, path)",
    test: { file: suite("event-pattern"), name: "of $what: $pattern and $event is $fits" },
  },
  {
    guard: "PutEvents takes no event in the name of a service",
    file: events("put-events"),
    find: "if (/^aws\\./i.test(Source))",
    replace: 'if (Source === "")',
    test: { file: suite("events"), name: "refuses an entry with %s, and takes the others" },
  },
  {
    guard: "PutEvents asks the policies for each entry",
    file: events("put-events"),
    find: "refuseUnlessAllowed(cloud, caller, need);",
    replace: "",
    test: { file: suite("events"), name: "takes nothing where the caller may not put one of them" },
  },
  {
    guard: "PutEvents takes less than 256 KiB",
    file: events("put-events"),
    find: "if (bytes >= tooManyBytes)",
    replace: "if (bytes < 0)",
    test: { file: suite("events"), name: "refuses a call with %s" },
  },
  {
    guard: "a template may not have the event in a text",
    file: events("target-input"),
    find: "if (whole && quoted)",
    replace: "if (whole && quoted && name === rule.name)",
    test: { file: suite("event-targets"), name: "is refused with %s when the rule is made" },
  },
  {
    guard: "a service is in a role only if that trusts it",
    file: "sandbox/cloud/service-session.ts",
    find: "refuseUnlessAllowed(cloud, caller, need);",
    replace: "",
    test: { file: suite("events"), name: "is not handed over under a role that does not trust EventBridge" },
  },
  {
    guard: "a refusal is not tried again",
    file: "sandbox/cloud/retries.ts",
    find: "if (!isTransient(error))",
    replace: "if (error === undefined)",
    test: { file: suite("event-targets"), name: "since it %s gets it no more" },
  },
  {
    guard: "retries end with the event's age",
    file: "sandbox/cloud/retries.ts",
    find: "if (next <= end)",
    replace: "if (next > 0)",
    test: { file: suite("event-targets"), name: "gets it as often, and for as long, as the policy says" },
  },
  {
    guard: "what fails in no way that AWS has is a defect",
    file: "sandbox/cloud/retries.ts",
    find: "if (!(error instanceof CallRefused)) throw error;",
    replace: "if (!(error instanceof CallRefused)) return;",
    test: { file: suite("event-targets"), name: "is a defect of the sandbox where it fails in any other way" },
  },
  {
    guard: "a schedule is not made if its role does not trust the scheduler",
    file: scheduler("scheduler-service"),
    find: "inPlace(resource, () => sessionOf(schedule));",
    replace: "inPlace(resource, () => schedule);",
    test: { file: suite("scheduler"), name: "where its role trusts the scheduler %s only" },
  },
  {
    guard: "the scheduler comes in the name of a group",
    file: scheduler("scheduler-service"),
    find: '"aws:SourceArn": groupArn',
    replace: '"aws:SourceArn": arn',
    test: { file: suite("scheduler"), name: "where its role trusts the scheduler %s only" },
  },
  {
    guard: "a schedule in a group that is not there is refused",
    file: scheduler("scheduler-service"),
    find: "if (lost !== undefined) throw",
    replace: "if (lost === null) throw",
    test: { file: suite("scheduler"), name: "%s" },
  },
  {
    guard: "an input with an unknown keyword is refused",
    file: scheduler("schedule"),
    find: "if (unknown !== undefined) throw",
    replace: "if (unknown === null) throw",
    test: { file: suite("scheduler"), name: "%s" },
  },
  {
    guard: "a time that a clock never shows is skipped",
    file: scheduler("time-zone"),
    find: ".filter((each) => local(each) === wanted)",
    replace: ".filter((each) => !Number.isNaN(each))",
    test: { file: suite("cron"), name: "skips what falls into the hour that does not exist in spring" },
  },
  {
    guard: "day of the month and day of the week are not both said",
    file: scheduler("cron"),
    find: 'if ((dayOfMonth === "?") === (dayOfWeek === "?")) {',
    replace: 'if (dayOfMonth === "" && dayOfWeek === "") {',
    test: { file: suite("cron"), name: "%s is refused" },
  },
];
