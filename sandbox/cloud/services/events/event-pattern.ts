import { BlockList, isIP } from "node:net";
import { literally } from "../../iam/pattern.ts";
import type { Json } from "../../template/assembly.ts";

type Fields = Readonly<Record<string, Json>>;

/** Whether an event, with its envelope, fits. */
export type EventPattern = (event: Json) => boolean;

/** Characters of a pattern without spaces, unless AWS grants more ("Amazon EventBridge quotas"). */
const longest = 2048;

/**
 * An event pattern ("Comparison operators for use in event patterns", and the README of aws/event-ruler where that is
 * silent): fields are all there and fit, of alternatives one does, of an array in the event one element. Fields below an
 * array fit in one and the same element; only that a field does not exist is said of all.
 *
 * @throws Error for an operator that is not known, or what is none of its values.
 */
export function eventPattern(written: Json): EventPattern {
  const length = JSON.stringify(written).length;
  if (length > longest) throw new Error(`a pattern of ${length} characters, of which ${longest} may be`);
  const fits = fieldsPattern(written, []);
  return (event) => fits(event, event);
}

/** What is left of an event on the way to a field, and the whole event. */
type Test = (node: Json | undefined, event: Json) => boolean;

function fieldsPattern(written: Json, path: readonly string[]): Test {
  if (!isFields(written) || Object.keys(written).length === 0) throw at(path, "not an object with fields");
  const tests = Object.entries(written).map(([name, value]) =>
    name === "$or" ? anyOf(value, path) : field(name, value, [...path, name]),
  );
  return (node, event) => tests.every((test) => test(node, event));
}

function anyOf(written: Json, path: readonly string[]): Test {
  if (!isList(written) || written.length < 2) throw at([...path, "$or"], "not a list of two patterns or more");
  const tests = written.map((each) => fieldsPattern(each, path));
  return (node, event) => tests.some((test) => test(node, event));
}

function field(name: string, written: Json, path: readonly string[]): Test {
  const test = isList(written) ? alternatives(written, path) : inEach(fieldsPattern(written, path));
  return (node, event) => test(isFields(node) && Object.hasOwn(node, name) ? node[name] : undefined, event);
}

/** Of an array, one element must fit alone. */
function inEach(test: Test): Test {
  return function fits(node, event): boolean {
    return isList(node) && node.length > 0 ? node.some((each) => fits(each, event)) : test(node, event);
  };
}

function alternatives(written: readonly Json[], path: readonly string[]): Test {
  if (written.length === 0) throw at(path, "no alternatives");
  const tests = written.map((each): Test => {
    try {
      if (isFields(each) && "exists" in each) return existence(operator(each)[1], path);
      if (isList(each)) throw new Error("a list in a list");
      const fits = isFields(each) ? comparison(each) : (value: Json) => value === each;
      return (node) => leaves(node).some(fits);
    } catch (error) {
      throw at(path, (error as Error).message);
    }
  });
  return (node, event) => tests.some((test) => test(node, event));
}

/** Of a leaf; what has fields itself does not exist as one. */
function existence(wanted: Json, path: readonly string[]): Test {
  if (typeof wanted !== "boolean") throw new Error("exists is neither true nor false");
  if (wanted) return (node) => leaves(node).length > 0;
  return (_, event) => leaves(descend(event, path)).length === 0;
}

type Comparison = (value: Json) => boolean;

function comparison(written: Fields): Comparison {
  const [name, operand] = operator(written);
  if (!Object.hasOwn(operators, name)) throw new Error(`unknown operator ${name}`);
  return operators[name]!(operand);
}

const operators: Readonly<Record<string, (operand: Json) => Comparison>> = {
  prefix: (operand) => edge(operand, (value, wanted) => value.startsWith(wanted)),
  suffix: (operand) => edge(operand, (value, wanted) => value.endsWith(wanted)),
  "equals-ignore-case": (operand) => ofText(folded(operand), (value, wanted) => fold(value) === wanted),
  wildcard(operand) {
    const shape = wildcard(text(operand));
    return (value) => typeof value === "string" && shape.test(value);
  },
  numeric,
  cidr(operand) {
    const [, network, bits] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(text(operand)) ?? [];
    if (network === undefined || isIP(network) === 0) throw new Error(`no network: ${operand}`);
    const list = new BlockList();
    list.addSubnet(network, Number(bits), family(network));
    return (value) => typeof value === "string" && isIP(value) > 0 && list.check(value, family(value));
  },
  "anything-but"(operand) {
    const wanted = isFields(operand) ? butNot(operand) : literals(operand);
    return (value) => !wanted.some((fits) => fits(value));
  },
};

function butNot(written: Fields): readonly Comparison[] {
  const [name, operand] = operator(written);
  if (!["prefix", "suffix", "equals-ignore-case", "wildcard"].includes(name)) {
    throw new Error(`unknown operator anything-but ${name}`);
  }
  return (isList(operand) ? operand : [operand]).map((each) => comparison({ [name]: text(each) }));
}

function literals(written: Json): readonly Comparison[] {
  const all = isList(written) ? written : [written];
  const kinds = new Set(all.map((each) => typeof each));
  if (kinds.size !== 1 || !(kinds.has("string") || kinds.has("number"))) {
    throw new Error("anything-but needs texts or numbers, and not both");
  }
  return all.map((each) => (value) => value === each);
}

function edge(operand: Json, fits: (value: string, wanted: string) => boolean): Comparison {
  if (!isFields(operand)) return ofText(text(operand), fits);
  const [name, inner] = operator(operand);
  if (name !== "equals-ignore-case") throw new Error(`unknown operator ${name} in a prefix or suffix`);
  return ofText(folded(inner), (value, wanted) => fits(fold(value), wanted));
}

function ofText(wanted: string, fits: (value: string, wanted: string) => boolean): Comparison {
  return (value) => typeof value === "string" && fits(value, wanted);
}

/** `*` is any text; `\*` and `\\` are the characters. */
function wildcard(written: string): RegExp {
  const pieces = written.match(/\\[*\\]|\\|\*+|[^\\*]+/g) ?? [];
  const source = pieces.map((piece) => {
    if (piece === "*") return ".*";
    if (piece === "\\" || piece.startsWith("**")) throw new Error(`no wildcard: ${written}`);
    return literally(piece.startsWith("\\") ? piece.slice(1) : piece);
  });
  return new RegExp(`^${source.join("")}$`, "su");
}

const relations: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  "=": (value, bound) => value === bound,
  ">": (value, bound) => value > bound,
  ">=": (value, bound) => value >= bound,
  "<": (value, bound) => value < bound,
  "<=": (value, bound) => value <= bound,
};

/** One relation, or a range: its lower end first. */
function numeric(operand: Json): Comparison {
  const parts = isList(operand) ? operand : [];
  const bounds = parts.flatMap((sign, index) => (index % 2 === 0 ? [{ sign, bound: parts[index + 1] }] : []));
  const isRange = bounds.length === 2 && /^>=?$/.test(`${bounds[0]?.sign}`) && /^<=?$/.test(`${bounds[1]?.sign}`);
  if (bounds.length !== 1 && !isRange) throw new Error(`no numbers: ${JSON.stringify(operand)}`);
  const tests = bounds.map(({ sign, bound }) => {
    const relation = relations[`${sign}`];
    if (relation === undefined || typeof bound !== "number" || Math.abs(bound) > 5e9) {
      throw new Error(`no numbers: ${JSON.stringify(operand)}`);
    }
    return (value: number) => relation(value, bound);
  });
  return (value) => typeof value === "number" && tests.every((test) => test(value));
}

function operator(written: Fields): readonly [string, Json] {
  const [only, ...more] = Object.entries(written);
  if (only === undefined || more.length > 0) throw new Error(`not one operator: ${JSON.stringify(written)}`);
  return only;
}

function leaves(node: Json | undefined): readonly Json[] {
  if (node === undefined || isFields(node)) return [];
  return isList(node) ? node.flatMap(leaves) : [node];
}

/** What stands at the path in every element of every array on the way. */
function descend(node: Json | undefined, path: readonly string[]): readonly Json[] {
  if (isList(node)) return node.flatMap((each) => descend(each, path));
  const [name, ...rest] = path;
  if (name === undefined) return node === undefined ? [] : [node];
  return isFields(node) && Object.hasOwn(node, name) ? descend(node[name], rest) : [];
}

const fold = (value: string) => value.toLowerCase();
const folded = (operand: Json) => fold(text(operand));
const family = (address: string) => (isIP(address) === 4 ? "ipv4" : "ipv6");

function text(value: Json): string {
  if (typeof value !== "string") throw new Error(`not a text: ${JSON.stringify(value)}`);
  return value;
}

function isFields(value: Json | undefined): value is Fields {
  return typeof value === "object" && value !== null && !isList(value);
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function at(path: readonly string[], message: string): Error {
  return new Error(`EventPattern${["", ...path].join(".")}: ${message}`);
}
