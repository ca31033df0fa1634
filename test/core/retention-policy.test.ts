import { describe, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { parseRetentionPolicy, rulesFor } from "../../core/retention-policy.ts";

function complaint(input: unknown): string {
  try {
    parseRetentionPolicy(input);
  } catch (error) {
    expect(error).toBeInstanceOf(MailarkError);
    expect((error as MailarkError).code).toBe("CONFIG_INVALID");
    return (error as MailarkError).message;
  }
  throw new Error("the policy was accepted");
}

describe("a retention policy", () => {
  test("has every rule switched off that it does not name, no maximum age, and expires half of a host at most", () => {
    expect(parseRetentionPolicy({ daily: 7 })).toEqual({
      ...{ keepLast: 0, hourly: 0, daily: 7, weekly: 0, monthly: 0, yearly: 0, keepWithinDays: 0 },
      maximumExpireShare: 0.5,
      components: {},
    });
  });

  test("survives being parsed again", () => {
    const once = parseRetentionPolicy({ weekly: 4, maximumAgeDays: 90, components: { mysql: { hourly: 24 } } });
    expect(parseRetentionPolicy(once)).toEqual(once);
  });

  test.each([
    ["a count that is negative", { daily: -1 }, "daily must be a whole number, 0 or more, received -1"],
    ["a count that is not whole", { weekly: 1.5 }, "weekly must be a whole number, 0 or more, received 1.5"],
    ["a count that is not a number", { hourly: Number.NaN }, "hourly must be a whole number, 0 or more, received NaN"],
    ["a text for a number", { daily: "7d" }, "daily must be a whole number, 0 or more, received a text"],
    ["a negative span", { keepWithinDays: -2 }, "keepWithinDays must be a number of days, 0 or more, received -2"],
    ["a maximum age of 0", { daily: 1, maximumAgeDays: 0 }, "maximumAgeDays must be a number of days above 0"],
    [
      "a share above 1",
      { daily: 1, maximumExpireShare: 50 },
      "maximumExpireShare must be a share above 0 and at most 1",
    ],
    ["a policy that keeps nothing", {}, "which keeps nothing: set at least one"],
    ["an unknown field", { daily: 1, dayly: 7 }, 'has no field "dayly": correct it to one of keepLast'],
    [
      "an unknown field of a component",
      { daily: 1, components: { mail: { days: 7 } } },
      'components.mail has no field "days"',
    ],
    [
      "a component that does not exist",
      { daily: 1, components: { mial: { daily: 9 } } },
      'components has no field "mial"',
    ],
    ["a component that keeps nothing", { daily: 1, components: { mail: { daily: 0 } } }, "components.mail.keepLast"],
    ["a list", [], "must be a set of fields"],
    ["nothing", undefined, "received nothing"],
    ["a component without rules", { daily: 1, components: { mail: null } }, "components.mail must be a set of fields"],
    ["true", { daily: true }, "received true or false"],
  ])("refuses %s, naming the field and what it should be", (_, input, message) => {
    expect(complaint(input)).toContain(message);
  });

  test("refuses to keep everything for longer than the maximum age", () => {
    expect(complaint({ keepWithinDays: 40, maximumAgeDays: 30 })).toContain(
      "keepWithinDays must not be above maximumAgeDays (30), received 40",
    );
    expect(complaint({ keepWithinDays: 20, components: { mysql: { maximumAgeDays: 7 } } })).toContain(
      "components.mysql.keepWithinDays",
    );
  });

  test("names every wrong field at once", () => {
    expect(complaint({ daily: -1, weekly: "x" })).toMatch(/daily .*; weekly /);
  });

  test("never repeats a text it was given, which might be a secret in the wrong line", () => {
    expect(complaint({ daily: "hunter2" })).not.toContain("hunter2");
  });
});

describe("the rules of a component", () => {
  const policy = parseRetentionPolicy({
    ...{ daily: 7, weekly: 4, maximumAgeDays: 365 },
    components: { mysql: { daily: 30, weekly: 0 }, certs: { maximumAgeDays: 90 } },
  });

  test("are its own where it has them, and the policy's for the rest", () => {
    expect(rulesFor(policy, "mysql")).toMatchObject({ daily: 30, weekly: 0, maximumAgeDays: 365 });
    expect(rulesFor(policy, "certs")).toMatchObject({ daily: 7, weekly: 4, maximumAgeDays: 90 });
  });

  test("are the policy's for a component that it does not name", () => {
    expect(rulesFor(policy, "mail")).toMatchObject({ daily: 7, weekly: 4, maximumAgeDays: 365 });
  });
});
