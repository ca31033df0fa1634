import { join } from "node:path";
import example from "../../infra/config.example.ts";
import type { Config } from "../../infra/config.ts";
import { mailarkApp } from "../../infra/mailark-app.ts";
import { ownDirectory } from "../fixtures/scratch.ts";

export interface Resource {
  readonly Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: properties are as many as resource types
  readonly Properties: any;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

export interface Template {
  readonly Resources: Record<string, Resource>;
  readonly Outputs?: Record<string, unknown>;
}

/** The templates of a deployment by the name of their stack, functions not bundled. */
export function synthesize(changes: Partial<Config> = {}): Record<string, Template> {
  const { path, remove } = ownDirectory();
  try {
    const app = mailarkApp(
      { ...example, ...changes },
      { outdir: join(path, "cdk.out"), context: { "aws:cdk:bundling-stacks": [] } },
    );
    return Object.fromEntries(app.synth().stacks.map((stack) => [stack.stackName, stack.template as Template]));
  } finally {
    remove();
  }
}

export const resourcesOf = (template: Template | undefined, type: string): [string, Resource][] =>
  Object.entries(template?.Resources ?? {}).filter(([, { Type }]) => Type === type);

export interface Statement {
  /** Stack, resource and, where it has one, the statement's own name. */
  readonly where: string;
  /** Whose: an identity's, a bucket's and so on; the type of the resource. */
  readonly type: string;
  readonly sid: string | undefined;
  readonly effect: "Allow" | "Deny";
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  /** Intrinsic functions as text: `<Key961B73FD.Arn>`. */
  readonly resources: readonly string[];
  readonly notResources: readonly string[];
  readonly principal: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: conditions are compared whole
  readonly conditions: any;
}

/** Every statement of every policy, wherever a template may hold one. */
export function statementsOf(templates: Record<string, Template>): Statement[] {
  return Object.entries(templates).flatMap(([stack, { Resources }]) =>
    Object.entries(Resources).flatMap(([id, { Type, Properties }]) =>
      documentsIn(Properties).flatMap((document) =>
        listOf(document.Statement).map((statement) => ({
          where: [stack, id, statement.Sid].filter(Boolean).join(" "),
          type: Type,
          sid: statement.Sid,
          effect: statement.Effect,
          actions: listOf(statement.Action),
          notActions: listOf(statement.NotAction),
          resources: listOf(statement.Resource).map(textOf),
          notResources: listOf(statement.NotResource).map(textOf),
          principal: statement.Principal,
          conditions: statement.Condition ?? {},
        })),
      ),
    ),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: a policy is found by its shape, wherever it stands
function documentsIn(value: any): any[] {
  if (typeof value !== "object" || value === null) return [];
  if (value.Version === "2012-10-17" && value.Statement !== undefined) return [value];
  return Object.values(value).flatMap(documentsIn);
}

// biome-ignore lint/suspicious/noExplicitAny: one or many, as policies have it
const listOf = (value: any): any[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/** A value with its intrinsic functions written out. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  const [name, argument] = Object.entries(value as Record<string, unknown>)[0] ?? [];
  if (name === "Ref") return argument === "AWS::Partition" ? "aws" : `<${argument}>`;
  if (name === "Fn::GetAtt") return `<${(argument as string[]).join(".")}>`;
  if (name === "Fn::Join") {
    const [separator, parts] = argument as [string, unknown[]];
    return parts.map(textOf).join(separator);
  }
  if (name === "Fn::ImportValue") return `<${textOf(argument)}>`;
  throw new Error(`no text for ${JSON.stringify(value)}`);
}
