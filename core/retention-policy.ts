import { z } from "zod";
import { MailarkError } from "./errors.ts";
import { type ComponentName, componentNames } from "./keys.ts";

/**
 * A policy from a file or a request, checked, with its defaults filled in.
 *
 * @throws MailarkError `CONFIG_INVALID` whose message names every wrong field and what it should be.
 */
export function parseRetentionPolicy(input: unknown): RetentionPolicy {
  const parsed = retentionPolicySchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => [issue.path.join("."), issue.message].filter(Boolean).join(" "));
  throw new MailarkError("CONFIG_INVALID", `retention policy: ${problems.join("; ")}`, {
    hint: "correct the retention policy: nothing was expired",
    cause: parsed.error,
  });
}

/** The rules for one component: its own where it has them, those of the policy for the rest. */
export function rulesFor(policy: RetentionPolicy, component: ComponentName): RetentionRules {
  const own = policy.components[component];
  return {
    keepLast: own?.keepLast ?? policy.keepLast,
    hourly: own?.hourly ?? policy.hourly,
    daily: own?.daily ?? policy.daily,
    weekly: own?.weekly ?? policy.weekly,
    monthly: own?.monthly ?? policy.monthly,
    yearly: own?.yearly ?? policy.yearly,
    keepWithinDays: own?.keepWithinDays ?? policy.keepWithinDays,
    maximumAgeDays: own?.maximumAgeDays ?? policy.maximumAgeDays,
  };
}

/** What is kept of one component. A count of 0 switches its rule off. */
export interface RetentionRules {
  /** The newest so many good snapshots. */
  readonly keepLast: number;
  /** One snapshot for each of the newest so many hours that have one; hours, days, ISO weeks, months, years in UTC. */
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
  /** Everything younger than this, whatever its state. */
  readonly keepWithinDays: number;
  /** Nothing older is kept, except by a legal hold or a safety rule. `undefined`: there is no maximum. */
  readonly maximumAgeDays?: number | undefined;
}

const count = numberField("must be a whole number, 0 or more", (value) => Number.isSafeInteger(value) && value >= 0);

const ruleFields = {
  keepLast: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
  keepWithinDays: numberField("must be a number of days, 0 or more", (value) => value >= 0),
  maximumAgeDays: numberField("must be a number of days above 0, or left out for no maximum", (value) => value > 0),
};

const ruleNames = Object.keys(ruleFields);

/** A policy as it is written in a configuration. Unknown fields are refused, so that a typing error deletes nothing. */
export const retentionPolicySchema = z
  .strictObject(
    {
      keepLast: ruleFields.keepLast.default(0),
      hourly: ruleFields.hourly.default(0),
      daily: ruleFields.daily.default(0),
      weekly: ruleFields.weekly.default(0),
      monthly: ruleFields.monthly.default(0),
      yearly: ruleFields.yearly.default(0),
      keepWithinDays: ruleFields.keepWithinDays.default(0),
      maximumAgeDays: ruleFields.maximumAgeDays.optional(),
      /** A plan that would expire more than this share of a host's bytes is refused; 1 switches the limit off. */
      maximumExpireShare: numberField(
        "must be a share above 0 and at most 1, such as 0.5",
        (value) => value > 0 && value <= 1,
      ).default(0.5),
      /** Other rules for single components; what a component does not name is as above. */
      components: z
        .partialRecord(
          z.enum(componentNames),
          z.strictObject(ruleFields, { error: objectProblem(ruleNames) }).partial(),
          {
            error: objectProblem(componentNames),
          },
        )
        .default({}),
    },
    { error: objectProblem([...ruleNames, "maximumExpireShare", "components"]) },
  )
  .superRefine((policy, context) => {
    const named = Object.keys(policy.components) as ComponentName[];
    const checked = [
      { path: [], rules: policy },
      ...named.map((component) => ({ path: ["components", component], rules: rulesFor(policy, component) })),
    ];
    for (const { path, rules } of checked) {
      for (const { field, problem } of contradictions(rules)) {
        context.addIssue({ code: "custom", path: [...path, field], message: problem });
      }
    }
  });

/** A checked policy: see {@link RetentionRules} for its fields. */
export type RetentionPolicy = z.output<typeof retentionPolicySchema>;

/** A policy before its defaults are filled in. */
export type RetentionPolicyInput = z.input<typeof retentionPolicySchema>;

function numberField(rule: string, holds: (value: number) => boolean) {
  const error = (issue: { readonly input?: unknown }) => `${rule}, received ${received(issue.input)}`;
  return z.number({ error }).refine(holds, { error });
}

/** A number is shown; anything else is named by its kind, for it might be a secret in the wrong line. */
function received(input: unknown): string {
  if (typeof input === "number") return String(input);
  if (typeof input === "string") return "a text";
  if (input === null || input === undefined) return "nothing";
  if (typeof input === "boolean") return "true or false";
  return Array.isArray(input) ? "a list" : "a set of fields";
}

function objectProblem(fields: readonly string[]) {
  return (issue: { readonly code?: string; readonly input?: unknown; readonly keys?: unknown }) => {
    if (issue.code === "unrecognized_keys" && Array.isArray(issue.keys)) {
      const keys = issue.keys.map((key) => JSON.stringify(key)).join(", ");
      return `has no field ${keys}: correct it to one of ${fields.join(", ")}, or remove it`;
    }
    return `must be a set of fields (${fields.join(", ")}), received ${received(issue.input)}`;
  };
}

function contradictions(rules: RetentionRules): { readonly field: string; readonly problem: string }[] {
  const { keepLast, hourly, daily, weekly, monthly, yearly, keepWithinDays, maximumAgeDays } = rules;
  const found = [];
  if ([keepLast, hourly, daily, weekly, monthly, yearly, keepWithinDays].every((value) => value === 0)) {
    found.push({ field: "keepLast", problem: "and all other rules are 0, which keeps nothing: set at least one" });
  }
  if (maximumAgeDays !== undefined && keepWithinDays > maximumAgeDays) {
    found.push({
      field: "keepWithinDays",
      problem: `must not be above maximumAgeDays (${maximumAgeDays}), received ${keepWithinDays}`,
    });
  }
  return found;
}
