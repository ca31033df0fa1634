import { BlockList, isIPv4 } from "node:net";
import { kindOfKey } from "./condition-keys.ts";
import { pattern, type Variable } from "./pattern.ts";

/** What a request says: values by condition key. Keys are compared without regard to case. */
export interface Context {
  /** `undefined`: the request has no such key. Never empty. */
  values(key: string): readonly string[] | undefined;
}

export type Condition = (context: Context) => boolean;

/**
 * The `Condition` of a statement: holds when each operator holds for each of its keys. Source: "IAM JSON policy elements:
 * Condition operators", "Set operators for multi-valued context keys", "Condition with multiple keys or values".
 *
 * @throws Error for an operator or a key that is not known, and where a value is none for its operator.
 */
export function condition(block: unknown): Condition {
  const all = Object.entries(members(block)).flatMap(([operator, keys]) =>
    Object.entries(members(keys)).map(([key, values]) => test(operator, key, list(values))),
  );
  return (context) => all.every((each) => each(context));
}

/** The value of a key that has one. @throws Error where the request has several: which one would count? */
export function variable(context: Context): Variable {
  return (key) => {
    const values = context.values(key);
    if (values !== undefined && values.length > 1) throw new Error(`${key} has several values`);
    return values?.[0];
  };
}

function test(written: string, key: string, values: readonly string[]): Condition {
  const [, set, name, ifExists] = /^(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?$/.exec(written) ?? [];
  const several = kindOfKey(key) === "several";
  if (values.length === 0) throw new Error(`${written} of ${key} has no value`);
  if (name === "Null") {
    if (set !== undefined || ifExists !== undefined) throw new Error(`unknown condition operator ${written}`);
    const wanted = values.map(booleanOf);
    return (context) => wanted.includes(context.values(key) === undefined);
  }
  const operator = operators[name ?? ""];
  if (operator === undefined) throw new Error(`unknown condition operator ${written}`);
  if (several && set === undefined) throw new Error(`${key} has several values: ${written} needs a set operator`);
  const matchers = values.map((value) => {
    if (!operator.variables && value.includes("${")) throw new Error(`${written} takes no variables: ${value}`);
    return operator.matcher(value);
  });
  const { negated = false } = operator;
  return (context) => {
    const found = context.values(key);
    if (found === undefined) return ifExists !== undefined || (set === undefined ? negated : set === "ForAllValues");
    if (found.length > 1 && set === undefined) throw new Error(`${key} has several values`);
    const ask = variable(context);
    const fits = (value: string) => matchers.some((matches) => matches(value, ask)) !== negated;
    return set === "ForAnyValue" ? found.some(fits) : found.every(fits);
  };
}

type Matcher = (value: string, ask: Variable) => boolean;

interface Operator {
  /** What one value of the policy says of a value of the request, before it is negated. */
  readonly matcher: (wanted: string) => Matcher;
  /** Holds where no value of the policy matches, and where the key is missing. */
  readonly negated?: boolean;
  readonly variables?: boolean;
}

const texts = (like: "equals" | "like" | "arn", ignoreCase = false) => ({
  matcher: (wanted: string) => pattern(wanted, like, { ignoreCase }),
  variables: true,
});
const numbers = (compare: (value: number, wanted: number) => boolean) => ordered(numberOf, compare);
const dates = (compare: (value: number, wanted: number) => boolean) => ordered(instantOf, compare);
const not = (operator: Operator): Operator => ({ ...operator, negated: true });
const equal = (value: number, wanted: number) => value === wanted;
const bool: Operator = {
  matcher: (wanted) => {
    const expected = booleanOf(wanted);
    return (value) => booleanOf(value) === expected;
  },
};
const address: Operator = {
  matcher: (wanted) => {
    const block = new BlockList();
    const [network = "", bits = "32"] = wanted.split("/");
    if (!isIPv4(network)) throw new Error(`no IPv4 network: ${wanted}`);
    block.addSubnet(network, Number(bits), "ipv4");
    return (value) => isIPv4(value) && block.check(value, "ipv4");
  },
};

const operators: Readonly<Record<string, Operator>> = {
  StringEquals: texts("equals"),
  StringNotEquals: not(texts("equals")),
  StringEqualsIgnoreCase: texts("equals", true),
  StringNotEqualsIgnoreCase: not(texts("equals", true)),
  StringLike: texts("like"),
  StringNotLike: not(texts("like")),
  ArnEquals: texts("arn"),
  ArnLike: texts("arn"),
  ArnNotEquals: not(texts("arn")),
  ArnNotLike: not(texts("arn")),
  NumericEquals: numbers(equal),
  NumericNotEquals: not(numbers(equal)),
  NumericLessThan: numbers((value, wanted) => value < wanted),
  NumericLessThanEquals: numbers((value, wanted) => value <= wanted),
  NumericGreaterThan: numbers((value, wanted) => value > wanted),
  NumericGreaterThanEquals: numbers((value, wanted) => value >= wanted),
  DateEquals: dates(equal),
  DateNotEquals: not(dates(equal)),
  DateLessThan: dates((value, wanted) => value < wanted),
  DateLessThanEquals: dates((value, wanted) => value <= wanted),
  DateGreaterThan: dates((value, wanted) => value > wanted),
  DateGreaterThanEquals: dates((value, wanted) => value >= wanted),
  Bool: bool,
  IpAddress: address,
  NotIpAddress: not(address),
};

function ordered(read: (text: string) => number, compare: (value: number, wanted: number) => boolean): Operator {
  return {
    matcher: (wanted) => {
      const expected = read(wanted);
      return (value) => compare(read(value), expected);
    },
  };
}

function numberOf(text: string): number {
  if (!/^-?\d+(\.\d+)?$/.test(text)) throw new Error(`no number: ${text}`);
  return Number(text);
}

/** A date of ISO 8601, or seconds since 1970. */
function instantOf(text: string): number {
  const instant = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(instant)) throw new Error(`no date: ${text}`);
  return instant;
}

function booleanOf(text: string): boolean {
  const value = text.toLowerCase();
  if (value !== "true" && value !== "false") throw new Error(`neither true nor false: ${text}`);
  return value === "true";
}

function members(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("a condition is no object");
  return value as Record<string, unknown>;
}

function list(value: unknown): readonly string[] {
  return (Array.isArray(value) ? value : [value]).map((each) => {
    if (!["string", "number", "boolean"].includes(typeof each)) throw new Error("a condition's value is no text");
    return String(each);
  });
}
