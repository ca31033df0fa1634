import type { Json } from "./assembly.ts";

/** What intrinsic functions refer to. Each throws, with a reason, for a name that it does not know. */
export interface Scope {
  /** Of a parameter, a resource or a pseudo parameter; `undefined` is `AWS::NoValue`. */
  ref(name: string): Json | undefined;
  attribute(logicalId: string, attribute: string): Json;
  condition(name: string): boolean;
  mapping(map: string, first: string, second: string): Json;
  imported(name: string): Json;
  /** `{{resolve:SERVICE:REFERENCE}}`. */
  dynamic(service: string, reference: string): string;
}

/**
 * A value with every intrinsic function and dynamic reference in it resolved; `undefined` is `AWS::NoValue`, which takes
 * the property or the element with it. Source: "Intrinsic function reference" of the CloudFormation user guide.
 *
 * @param path - where the value stands in the template; every error begins with it.
 * @throws Error for a function, a form of one, or a name that is not known.
 */
export function resolve(value: Json, scope: Scope, path: string): Json | undefined {
  if (typeof value === "string") return withDynamic(value, scope, path);
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) {
    return value.map((each, index) => resolve(each, scope, `${path}[${index}]`)).filter((each) => each !== undefined);
  }
  const names = Object.keys(value);
  const called = names.find((name) => name === "Ref" || name === "Condition" || name.startsWith("Fn::"));
  // Policies have a member of that name, whose value is an object.
  if (called !== undefined && !(called === "Condition" && (names.length > 1 || typeof value[called] !== "string"))) {
    if (names.length > 1) throw new Error(`${path}: ${called} has neighbours: ${names.join(", ")}`);
    const inside = `${path}.${called}`;
    const call = functions[called];
    if (call === undefined) throw new Error(`${inside}: unknown intrinsic function`);
    return at(inside, () => call(value[called]!, { scope, path: inside }));
  }
  const resolved = names.map((name) => [name, resolve(value[name]!, scope, `${path}.${name}`)] as const);
  return Object.fromEntries(resolved.filter(([, each]) => each !== undefined)) as Json;
}

/** A value of `Conditions`, or a function inside one. @throws Error where it is neither true nor false. */
export function resolveCondition(value: Json, scope: Scope, path: string): boolean {
  const found = resolve(value, scope, path);
  if (found === true || found === "true") return true;
  if (found === false || found === "false") return false;
  throw new Error(`${path}: neither true nor false: ${JSON.stringify(found)}`);
}

interface Around {
  readonly scope: Scope;
  readonly path: string;
}

type Call = (argument: Json, around: Around) => Json | undefined;

const functions: Readonly<Record<string, Call>> = {
  Ref: (argument, { scope }) => scope.ref(literal(argument)),
  Condition: (argument, { scope }) => scope.condition(literal(argument)),
  "Fn::GetAtt": (argument, { scope }) => {
    const [logicalId, ...rest] = typeof argument === "string" ? argument.split(".") : list(argument).map(literal);
    if (logicalId === undefined || rest.length === 0) throw new Error("needs a resource and an attribute");
    return scope.attribute(logicalId, rest.join("."));
  },
  "Fn::Join": (argument, around) => {
    const [separator, parts] = exactly(2, argument);
    return list(resolved(parts, around)).map(text).join(literal(separator));
  },
  "Fn::Sub": (argument, around) => {
    const [template, own] = typeof argument === "string" ? [argument, {}] : exactly(2, argument);
    return substitute(literal(template), members(own), around);
  },
  "Fn::Select": (argument, around) => {
    const [index, from] = exactly(2, argument);
    const position = Number(text(resolved(index, around)));
    const found = list(resolved(from, around))[position];
    if (found === undefined) throw new Error(`nothing stands at ${position}`);
    return found;
  },
  "Fn::Split": (argument, around) => {
    const [separator, from] = exactly(2, argument);
    return text(resolved(from, around)).split(literal(separator));
  },
  "Fn::Base64": (argument, around) => Buffer.from(text(resolved(argument, around))).toString("base64"),
  "Fn::FindInMap": (argument, around) => {
    const [map, first, second] = exactly(3, argument).map((each) => text(resolved(each, around)));
    return around.scope.mapping(map!, first!, second!);
  },
  "Fn::ImportValue": (argument, around) => around.scope.imported(text(resolved(argument, around))),
  "Fn::If": (argument, { scope, path }) => {
    const [condition, ifTrue, ifFalse] = exactly(3, argument);
    return scope.condition(literal(condition)) ? resolve(ifTrue!, scope, path) : resolve(ifFalse!, scope, path);
  },
  "Fn::Equals": (argument, around) => {
    const [one, other] = exactly(2, argument).map((each) => text(resolved(each, around)));
    return one === other;
  },
  "Fn::Not": (argument, around) => !truth(exactly(1, argument)[0], around),
  "Fn::And": (argument, around) => several(argument).every((each) => truth(each, around)),
  "Fn::Or": (argument, around) => several(argument).some((each) => truth(each, around)),
  "Fn::Contains": (argument, around) => {
    const [from, wanted] = exactly(2, argument).map((each) => resolved(each, around));
    return list(from!).map(text).includes(text(wanted!));
  },
};

function substitute(template: string, own: Readonly<Record<string, Json>>, around: Around): string {
  const { scope } = around;
  const used = new Set<string>();
  const value = (name: string) => {
    if (Object.hasOwn(own, name)) {
      used.add(name);
      return text(resolved(own[name]!, around));
    }
    const [logicalId, ...attribute] = name.split(".");
    const found = attribute.length > 0 ? scope.attribute(logicalId!, attribute.join(".")) : scope.ref(name);
    if (found === undefined) throw new Error(`${name} has no value`);
    return text(found);
  };
  const done = template.replace(/\$\{(!?)([^}]*)\}/g, (_, literally: string, name: string) =>
    literally ? `\${${name}}` : value(name.trim()),
  );
  const unused = Object.keys(own).filter((name) => !used.has(name));
  if (unused.length > 0) throw new Error(`the text has no ${unused.join(", ")}`);
  return done;
}

function withDynamic(value: string, scope: Scope, path: string): string {
  return at(path, () =>
    value.replace(/\{\{resolve:([^:}]*):([^}]*)\}\}/g, (_, service: string, reference: string) =>
      scope.dynamic(service, reference),
    ),
  );
}

function resolved(value: Json | undefined, { scope, path }: Around): Json {
  const found = resolve(value!, scope, path);
  if (found === undefined) throw new Error("has no value");
  return found;
}

function truth(value: Json | undefined, { scope, path }: Around): boolean {
  return resolveCondition(value!, scope, path);
}

/** Errors get the path of the innermost function that they come from. */
function at<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Placed) throw error;
    throw new Placed(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

class Placed extends Error {}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function list(value: Json): readonly Json[] {
  if (!isList(value)) throw new Error(`not a list: ${JSON.stringify(value)}`);
  return value;
}

function exactly(count: number, value: Json): readonly Json[] {
  const all = list(value);
  if (all.length !== count) throw new Error(`needs ${count} arguments, and has ${all.length}`);
  return all;
}

function several(value: Json): readonly Json[] {
  const all = list(value);
  if (all.length < 2 || all.length > 10) throw new Error(`needs 2 to 10 conditions, and has ${all.length}`);
  return all;
}

function members(value: Json): Readonly<Record<string, Json>> {
  if (typeof value !== "object" || value === null || isList(value)) throw new Error("not a map");
  return value;
}

function literal(value: Json | undefined): string {
  if (typeof value !== "string") throw new Error(`not a text: ${JSON.stringify(value)}`);
  return value;
}

function text(value: Json): string {
  if (typeof value === "object") throw new Error(`not a text: ${JSON.stringify(value)}`);
  return String(value);
}
