/**
 * From the text of a configuration to what a schema says it is, or to a list of all its mistakes, each with its place in the text.
 */
import { isMap, isScalar, LineCounter, type Node, type Pair, parseDocument, visit } from "yaml";
import type { z } from "zod";
import { MailarkError } from "../core/errors.ts";
import { isComponentName } from "../core/keys.ts";
import { nearest } from "./nearest.ts";

/**
 * @param path only for messages.
 * @throws MailarkError `CONFIG_INVALID` with a line for each mistake in `detail`.
 */
export function parseYaml<S extends z.ZodType>(text: string, path: string, schema: S): z.infer<S> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  if (document.errors.length > 0) {
    // The first only: what follows it is often just its echo.
    const { pos, code } = document.errors[0]!;
    throw invalid([`${at(pos[0])}: ${syntax(code)}`], "is not YAML");
  }
  if (!isMap(document.contents)) {
    throw invalid([`${path}:1:1: must be keys and values, such as "version: 1"`], "holds no settings");
  }
  visit(document, {
    Alias(_, { range }) {
      throw invalid([`${at(range?.[0] ?? 0)}: an alias can not stand for a value here: write the value out`]);
    },
  });
  const parsed = schema.safeParse(camelKeys(document.toJS()));
  if (parsed.success) return parsed.data;
  const mistakes = parsed.error.issues.flatMap((issue) => mistakesOf(issue, schema));
  const placed = mistakes
    .map(({ keys, text, ofKey }) => ({
      offset: offsetOf(document.contents, keys, ofKey),
      name: nameOf(keys),
      text,
      keys,
    }))
    .map((mistake) => ({ ...mistake, text: `${mistake.text}${got(document.getIn(hyphened(mistake.keys)), mistake)}` }))
    .sort((a, b) => a.offset - b.offset);
  throw invalid(placed.map(({ offset, name, text }) => `${at(offset)}: ${named(name, text)}`));
}

/** A sentence about the key, or advice after it. */
const named = (name: string, text: string) => `${name}${name && (/^(must|is) /.test(text) ? " " : ": ")}${text}`;

interface Mistake {
  readonly keys: readonly PropertyKey[];
  /** Reads on after the name of the key. */
  readonly text: string;
  /** The mistake is the key, not its value. */
  readonly ofKey: boolean;
}

function mistakesOf(issue: z.core.$ZodIssue, schema: z.ZodType): Mistake[] {
  const keys = issue.path;
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(schema, keys).map(hyphen);
    return issue.keys.map((key) => {
      const written = key.replace(foreign, "");
      return { keys: [...keys, key], ofKey: true, text: unknownKey(written, keys, known) };
    });
  }
  // A section with a mistake in it was meant to be a section.
  const meant = issue.code === "invalid_union" ? issue.errors.find((issues) => issues.some(isWithin)) : undefined;
  if (meant) return meant.flatMap((inner) => mistakesOf({ ...inner, path: [...keys, ...inner.path] }, schema));
  return [{ keys, ofKey: false, text: expectation(issue) }];
}

const isWithin = ({ path, code }: z.core.$ZodIssue) => path.length > 0 || code === "unrecognized_keys";

function unknownKey(written: string, parents: readonly PropertyKey[], known: readonly string[]): string {
  if (parents.join(".") === "components" && isComponentName(written)) {
    return `is a component that this version can not capture yet: remove it; it captures ${known.join(", ")}`;
  }
  const meant = nearest(written, known);
  return meant === undefined
    ? `is not a setting: remove it; there are ${known.join(", ")}`
    : `is not a setting: did you mean ${meant}?`;
}

const kinds: Record<string, string> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a section with keys below it",
};

/** What to write where a key is missing. */
const examples: Record<string, string> = {
  version: "version: 1",
  host: "host: { id: h-…, name: mail1.example.com }",
  "host.id": "id: h-…, as on the recovery sheet",
  "host.name": "name: mail1.example.com",
  store: "store: file:///var/backups/mailark",
  recovery: "recovery: age1…, the public key on the recovery sheet",
  components: "components: { mail: { root: /var/vmail } }",
  "components.mail.root": "root: /var/vmail",
};

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type": {
      return `must be ${kinds[issue.expected] ?? issue.expected}`;
    }
    case "invalid_value":
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    case "too_small":
      return issue.origin === "string" || issue.origin === "array"
        ? "must not be empty"
        : `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `must be at most ${issue.maximum}`;
    case "invalid_union": {
      const choices = issue.errors.map((errors) => (errors[0] ? expectation(errors[0]) : "").replace(/^must be /, ""));
      return `must be ${[...new Set(choices)].join(" or ")}`;
    }
    default:
      return issue.message.replace(/\b[a-z]+(?:[A-Z][a-z]+)+\b/g, hyphen);
  }
}

/** The value that stands there, or what to do where none does. */
function got(
  value: unknown,
  { keys, ofKey, text }: { keys: readonly PropertyKey[]; ofKey?: boolean; text: string },
): string {
  if (ofKey || text.startsWith("is not a setting") || text.startsWith("is a component")) return "";
  if (value === undefined || value === null) {
    const example = examples[nameOf(keys)];
    return `, and is missing${example ? `: write ${example}` : ""}`;
  }
  if (isMap(value) || typeof value === "object")
    return isScalar(value) ? "" : `, and is ${isMap(value) ? "a section" : "a list"}`;
  const last = String(keys.at(-1));
  const secret = /password|secret|token/i.test(last) && !/file/i.test(last);
  const text_ = String(value);
  // An address with a password in it, as people write them, or with settings of which one is wrong.
  const address = /:.*@/s.test(text_) || /^(?!file:)[a-z][a-z0-9+.-]*:\/\/.*\?/is.test(text_);
  if (secret || address || /AGE-SECRET-KEY|PRIVATE KEY|[?&][\w-]*(secret|token|password)/i.test(text_))
    return ", and is something that is not shown here";
  const shown = typeof value === "string" ? JSON.stringify(value) : text_;
  return `, and is ${shown.length > 80 ? `${shown.slice(0, 79)}…` : shown}`;
}

/** In words of our own: the parser's may repeat the text, which may hold anything. */
function syntax(code: string): string {
  return mistakesOfYaml[code] ?? "is not YAML: a value with special characters in it stands in single quotes";
}

const mistakesOfYaml: Record<string, string> = {
  TAB_AS_INDENT: "a tab can not indent: use spaces",
  DUPLICATE_KEY: "the same key stands here twice: keep one",
  BAD_INDENT: "the indentation does not fit the lines above",
  BLOCK_AS_IMPLICIT_KEY: "the indentation does not fit the lines above",
  MULTIPLE_DOCS: "a second document begins here: keep one",
  MISSING_CHAR: "a quote, a bracket or a colon is missing",
  BAD_DQ_ESCAPE: "a backslash in double quotes begins something else: use single quotes",
};

/** A key that is not written with hyphens is not the setting of that name. */
const foreign = /^\0/;

function camelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => {
    const camel = key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return [hyphen(camel) === key && !/[A-Z]/.test(key) ? camel : `\0${key}`, camelKeys(inner)] as const;
  });
  return Object.fromEntries(entries);
}

const hyphen = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const written = (key: PropertyKey) => {
  if (typeof key === "number") return key;
  const name = String(key);
  return foreign.test(name) ? name.replace(foreign, "") : hyphen(name);
};
const hyphened = (keys: readonly PropertyKey[]) => keys.map(written);
const nameOf = (keys: readonly PropertyKey[]) => hyphened(keys).join(".");

/** Where a key or its value stands; where there is none, the section that lacks it. */
function offsetOf(contents: Node | null, keys: readonly PropertyKey[], ofKey: boolean): number {
  let node: unknown = contents;
  let offset = contents?.range?.[0] ?? 0;
  for (const [index, key] of hyphened(keys).entries()) {
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(key),
      );
      if (pair === undefined) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else node = (node as { get?: (key: unknown, keep: boolean) => unknown } | null)?.get?.(key, true);
    const last = index === keys.length - 1;
    const start = (node as Node | null)?.range?.[0];
    if (start !== undefined && !(last && ofKey) && !isMap(node)) offset = start;
  }
  return offset;
}

/** The keys that a section may have, through what wraps its schema. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let current = unwrapped(schema);
  for (const key of path) if (typeof key !== "number") current = unwrapped(current?.shape?.[key]);
  return Object.keys(current?.shape ?? {});
}

type Shaped = { shape?: Record<PropertyKey, unknown>; unwrap?: () => unknown; options?: readonly Shaped[] };

/** The section in it; of a list, that of its items. */
function unwrapped(schema: unknown): Shaped | undefined {
  let current = schema as Shaped | undefined;
  while (current !== undefined && current.shape === undefined) {
    current = current.options ? current.options.find(({ shape }) => shape) : (current.unwrap?.() as Shaped | undefined);
  }
  return current;
}

function invalid(mistakes: readonly string[], what?: string): MailarkError {
  const number = mistakes.length === 1 ? "a mistake" : `${mistakes.length} mistakes`;
  return new MailarkError("CONFIG_INVALID", `the configuration ${what ?? `has ${number}`}`, {
    detail: mistakes.join("\n"),
    hint: `correct the file${mistakes.length > 1 ? " at these lines" : ""}, then run the command again: nothing was done`,
  });
}
