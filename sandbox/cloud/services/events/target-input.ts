import { CallRefused } from "../../service.ts";
import type { Json } from "../../template/assembly.ts";

/** An event as it is delivered. */
export interface Envelope {
  readonly version: "0";
  readonly id: string;
  readonly "detail-type": string;
  readonly source: string;
  readonly account: string;
  /** Whole seconds. */
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: Json;
}

/** What a target is handed for an event. @throws CallRefused where no JSON comes of a template that is JSON. */
export type TargetInput = (event: Envelope) => string;

/** Of a target, in so far as it says what is handed over. */
export interface InputSettings {
  readonly Input?: unknown;
  readonly InputPath?: unknown;
  readonly InputTransformer?: unknown;
}

/**
 * Sources: "Amazon EventBridge input transformation", and `Target` and `InputTransformer` of the API reference.
 *
 * @throws Error for what PutTargets refuses, and for paths that are not in its documentation.
 */
export function targetInput(
  settings: InputSettings,
  rule: { readonly name: string; readonly arn: string },
): TargetInput {
  const { Input, InputPath, InputTransformer } = settings;
  const given = [Input, InputPath, InputTransformer].filter((each) => each !== undefined);
  if (given.length > 1) throw new Error("only one of Input, InputPath and InputTransformer may be there");
  if (Input !== undefined) {
    const constant = text(Input, "Input");
    parse(constant, "Input");
    return () => constant;
  }
  if (InputPath !== undefined) {
    const find = jsonPath(text(InputPath, "InputPath"));
    return (event) => {
      const found = find(event as unknown as Json);
      // The documentation does not say what is handed over then.
      if (found === undefined) throw new Error(`an event has no ${InputPath}, and that is not understood`);
      return JSON.stringify(found);
    };
  }
  if (InputTransformer !== undefined) return transformer(InputTransformer, rule);
  return (event) => JSON.stringify(event);
}

type Values = (name: string) => Json | undefined;

function transformer(written: unknown, rule: { readonly name: string; readonly arn: string }): TargetInput {
  const { InputPathsMap = {}, InputTemplate } = written as Record<string, unknown>;
  const template = text(InputTemplate, "InputTemplate");
  if (template.length < 1 || template.length > 8192) throw new Error("InputTemplate has not 1 to 8,192 characters");
  const paths = Object.entries(InputPathsMap as object);
  if (paths.length > 100) throw new Error("InputPathsMap has more than 100 variables");
  const variables = new Map(
    paths.map(([name, path]) => {
      if (!/^[A-Za-z0-9_-]{1,256}$/.test(name) || /^aws/i.test(name)) throw new Error(`no name of a variable: ${name}`);
      return [name, jsonPath(text(path, name))];
    }),
  );
  const isText = /^\s*"/.test(template);
  if (isText && !/"\s*$/.test(template)) throw new Error("InputTemplate: a text ends with a quote");
  for (const { name, quoted } of placeholders(template)) {
    const whole = name === "aws.events.event" || name === "aws.events.event.json";
    if (!variables.has(name) && !Object.hasOwn(predefined, name))
      throw new Error(`InputTemplate has an unknown <${name}>`);
    if (whole && quoted) throw new Error(`<${name}> is not escaped and may only be a value of a JSON field`);
  }
  if (!isText)
    parse(
      fill(template, () => ""),
      "InputTemplate",
    );
  return (event) => {
    const filled = fill(template, (name) =>
      Object.hasOwn(predefined, name) ? predefined[name]!(event, rule) : variables.get(name)!(event as unknown as Json),
    );
    return isText ? filled : minified(filled);
  };
}

const predefined: Readonly<Record<string, (event: Envelope, rule: { name: string; arn: string }) => Json>> = {
  "aws.events.rule-arn": (_, { arn }) => arn,
  "aws.events.rule-name": (_, { name }) => name,
  "aws.events.event.ingestion-time": ({ time }) => time,
  "aws.events.event": ({ detail: _, ...rest }) => rest,
  "aws.events.event.json": (event) => event as unknown as Json,
};

/** Texts with what they have in them, and placeholders outside. */
const pieces = /"(?:\\[\s\S]|[^"\\])*"|<[^<>]*>/g;
const inText = /<([^<>]*)>/g;

function placeholders(template: string): readonly { readonly name: string; readonly quoted: boolean }[] {
  return (template.match(pieces) ?? []).flatMap((piece) =>
    [...piece.matchAll(inText)].map(([, name]) => ({ name: name!, quoted: piece.startsWith('"') })),
  );
}

/** Inside quotes a value is put as it is, **unescaped**, and one without a value is nothing; outside it is JSON. */
function fill(template: string, value: Values): string {
  const isText = /^\s*"/.test(template);
  return template.replace(pieces, (piece) => {
    if (!piece.startsWith('"')) return JSON.stringify(value(piece.slice(1, -1)) ?? "");
    return piece.replace(inText, (_, name: string) => {
      const found = value(name) ?? "";
      if (typeof found === "string") return found;
      const json = JSON.stringify(found);
      return isText ? json.replaceAll('"', "") : json;
    });
  });
}

function minified(filled: string): string {
  try {
    return JSON.stringify(JSON.parse(filled));
  } catch {
    throw new CallRefused("INVALID_JSON", "what came of the input template is no JSON");
  }
}

/**
 * Dots, indices and wildcards, of names of letters, digits, `-`, `_` and `/`: what the documentation says is supported.
 * What does not exist is `undefined`, with a wildcard an empty list.
 */
function jsonPath(written: string): (value: Json) => Json | undefined {
  const [, rest] = /^\$((?:\.[A-Za-z0-9_/-]+|\.\*|\[\d+\]|\[\*\])*)$/.exec(written) ?? [];
  if (rest === undefined) throw new Error(`no path that is supported: ${written}`);
  const steps: readonly string[] = rest.match(/[A-Za-z0-9_/-]+|\*/g) ?? [];
  return (value) => {
    const found = steps.reduce<readonly Json[]>((nodes, step) => nodes.flatMap((node) => below(node, step)), [value]);
    return steps.includes("*") ? found : found[0];
  };
}

function below(node: Json, step: string): readonly Json[] {
  if (typeof node !== "object" || node === null) return [];
  if (step === "*") return Object.values(node);
  return Object.hasOwn(node, step) ? [(node as Readonly<Record<string, Json>>)[step]!] : [];
}

function parse(json: string, what: string): void {
  try {
    JSON.parse(json);
  } catch (cause) {
    throw new Error(`${what} is no JSON`, { cause });
  }
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new Error(`${what} is not a text`);
  return value;
}
