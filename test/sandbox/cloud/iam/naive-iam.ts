/**
 * A second reading of IAM, written apart from the sandbox's and as plainly as can be, for some of its language: one
 * role's session, identity policies and one policy of a resource. It compiles nothing and knows no objects of its own.
 */
export interface Written {
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: unknown;
  readonly Action?: readonly string[];
  readonly NotAction?: readonly string[];
  readonly Resource?: readonly string[];
  readonly NotResource?: readonly string[];
  readonly Condition?: Record<string, Record<string, readonly string[]>>;
}

export interface Asked {
  readonly action: string;
  readonly resource: string;
  readonly context: Record<string, string | readonly string[]>;
}

export function naiveAllows(
  { action, resource, context }: Asked,
  names: { readonly account: string; readonly role: string; readonly session: string },
  identity: readonly Written[],
  ofResource: readonly Written[],
  resourceDecides: boolean,
): boolean {
  const speaks = (statement: Written) => {
    if (statement.Action && !statement.Action.some((each) => glob(each.toLowerCase(), action.toLowerCase())))
      return false;
    if (statement.NotAction?.some((each) => glob(each.toLowerCase(), action.toLowerCase()))) return false;
    if (statement.Resource && !statement.Resource.some((each) => arn(fill(each, context), resource))) return false;
    if (statement.NotResource?.some((each) => arn(fill(each, context), resource))) return false;
    return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
      Object.entries(keys).every(([key, wanted]) => compare(operator, wanted, context[key], context)),
    );
  };
  const named = (statement: Written): "direct" | "account" | "no" => {
    if (statement.Principal === "*") return "direct";
    const [one] = (statement.Principal as { AWS: readonly string[] }).AWS;
    if (one === names.role || one === names.session) return "direct";
    return one === names.account ? "account" : "no";
  };
  let direct = false;
  let delegated = false;
  let own = false;
  for (const statement of ofResource) {
    const how = named(statement);
    if (how === "no" || !speaks(statement)) continue;
    if (statement.Effect === "Deny") return false;
    if (how === "direct") direct = true;
    else delegated = true;
  }
  for (const statement of identity) {
    if (!speaks(statement)) continue;
    if (statement.Effect === "Deny") return false;
    own = true;
  }
  return direct || (own && (delegated || !resourceDecides));
}

function compare(
  operator: string,
  wanted: readonly string[],
  given: string | readonly string[] | undefined,
  context: Asked["context"],
): boolean {
  if (operator === "Null") return wanted.some((each) => (each === "true") === (given === undefined));
  if (operator.endsWith("IfExists")) {
    return given === undefined || compare(operator.slice(0, -8), wanted, given, context);
  }
  if (operator.startsWith("ForAnyValue:")) {
    if (given === undefined) return false;
    return [given].flat().some((each) => compare(operator.slice(12), wanted, each, context));
  }
  if (operator.startsWith("ForAllValues:")) {
    if (given === undefined) return true;
    return [given].flat().every((each) => compare(operator.slice(13), wanted, each, context));
  }
  if (operator.includes("Not")) return !compare(operator.replace("Not", ""), wanted, given, context);
  if (given === undefined) return false;
  const value = given as string;
  for (const each of wanted) {
    if (operator === "StringEquals" && text(fill(each, context)) === value) return true;
    if (operator === "StringEqualsIgnoreCase" && text(fill(each, context))?.toLowerCase() === value.toLowerCase())
      return true;
    if (operator === "StringLike" && glob(fill(each, context), value)) return true;
    if (operator === "Bool" && each === value) return true;
    if (operator === "NumericLessThan" && Number(value) < Number(each)) return true;
    if (operator === "NumericEquals" && Number(value) === Number(each)) return true;
  }
  return false;
}

type Filled = readonly { readonly character: string; readonly literal: boolean }[] | undefined;

const username = `$${"{aws:username}"}`;

/** The one variable of this language, and the characters that stand for themselves. */
function fill(written: string, context: Asked["context"]): Filled {
  const filled: { character: string; literal: boolean }[] = [];
  let rest = written;
  while (rest.length > 0) {
    if (rest.startsWith(username)) {
      const value = context["aws:username"];
      if (value === undefined) return undefined;
      for (const character of value as string) filled.push({ character, literal: true });
      rest = rest.slice(username.length);
    } else if (rest.startsWith(`$${"{*}"}`)) {
      filled.push({ character: "*", literal: true });
      rest = rest.slice(4);
    } else {
      filled.push({ character: rest[0]!, literal: false });
      rest = rest.slice(1);
    }
  }
  return filled;
}

const text = (filled: Filled) => filled?.map(({ character }) => character).join("");

function glob(written: string | Filled, value: string): boolean {
  if (written === undefined) return false;
  const all = typeof written === "string" ? [...written].map((character) => ({ character, literal: false })) : written;
  if (all.length === 0) return value === "";
  const [{ character, literal } = { character: "", literal: false }, ...rest] = all;
  if (character === "*" && !literal) return glob(rest, value) || (value !== "" && glob(all, value.slice(1)));
  if (value === "") return false;
  return ((character === "?" && !literal) || character === value[0]) && glob(rest, value.slice(1));
}

function arn(filled: Filled, value: string): boolean {
  if (filled === undefined) return false;
  if (filled.length === 1 && filled[0]!.character === "*" && !filled[0]!.literal) return true;
  const parts: { character: string; literal: boolean }[][] = [[]];
  for (const each of filled) {
    if (each.character === ":" && !each.literal && parts.length < 6) parts.push([]);
    else parts.at(-1)!.push(each);
  }
  const [a, b, c, d, e, ...f] = value.split(":");
  const values = [a, b, c, d, e, f.join(":")];
  return parts.every((part, index) => glob(part, values[index] ?? ""));
}
