import { z } from "zod";
import type { Resource } from "../../template/stack.ts";
import { placeOf } from "../../understood.ts";

/** A document of type Command, schema 2.2 ("Systems Manager User Guide": "Data elements and parameters", "Command document plugin reference"). */
export interface CommandDocument {
  readonly name: string;
  readonly arn: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, DocumentParameter>>;
  readonly steps: readonly Step[];
}

export interface DocumentParameter {
  readonly type: "String" | "StringList";
  readonly default?: string | readonly string[];
  readonly allowedPattern?: RegExp;
  readonly allowedValues?: readonly string[];
  readonly minChars?: number;
  readonly maxChars?: number;
  /** The value is the environment variable `SSM_NAME` of the script, and no part of its text. */
  readonly asVariable: boolean;
}

/** A script. */
export interface Step {
  readonly name: string;
  /** Lines, in which `{{ NAME }}` stands for the value of a parameter. */
  readonly lines: readonly string[];
  readonly timeoutSeconds: number;
  readonly workingDirectory?: string;
  /** What its failure means for the steps behind it. Absent: they are run nevertheless. */
  readonly onFailure?: "exit" | "successAndExit";
  /** It is passed over where the machine's platform is another. */
  readonly platform?: string;
}

/**
 * What a template says of a document.
 *
 * @throws Error that begins `STACK.LOGICALID: ` for everything that is not understood.
 */
export function documentOf(resource: Resource): CommandDocument {
  const { ref, region, account, properties } = resource;
  try {
    const { Content, Tags = [] } = propertiesSchema.parse(properties);
    const { parameters = {}, mainSteps } = contentSchema.parse(
      typeof Content === "string" ? JSON.parse(Content) : Content,
    );
    for (const step of mainSteps) demandReferences(step.lines, parameters);
    return {
      name: ref,
      arn: documentArn({ name: ref, region, account }),
      tags: Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value])),
      parameters,
      steps: mainSteps,
    };
  } catch (error) {
    throw new Error(`${placeOf(resource)}: ${(error as Error).message}`, { cause: error });
  }
}

/** Those that AWS keeps begin with `AWS-` and are in no account. */
export function documentArn({ name, region, account }: { name: string; region: string; account: string }): string {
  return `arn:aws:ssm:${region}:${name.startsWith("AWS-") ? "" : account}:document/${name}`;
}

const propertiesSchema = z.strictObject({
  Name: z.string().optional(),
  DocumentType: z.literal("Command"),
  DocumentFormat: z.literal("JSON").optional(),
  UpdateMethod: z.enum(["NewVersion", "Replace"]).optional(),
  TargetType: z.literal("/").optional(),
  Content: z.union([z.string(), z.record(z.string(), z.unknown())]),
  Tags: z.array(z.strictObject({ Key: z.string(), Value: z.string() })).optional(),
});

/** A pattern that is not bound to both ends would leave open how much of a value it speaks of. */
const wholePattern = z
  .string()
  .regex(/^\^.*\$$/, "a pattern that is not bound to both ends is not understood")
  .transform((pattern) => new RegExp(pattern, "u"));

const parameterSchema = z
  .strictObject({
    type: z.enum(["String", "StringList"]),
    description: z.string().optional(),
    default: z.union([z.string(), z.array(z.string())]).optional(),
    allowedPattern: wholePattern.optional(),
    allowedValues: z.array(z.string()).optional(),
    minChars: z.int().optional(),
    maxChars: z.int().optional(),
    interpolationType: z.literal("ENV_VAR").optional(),
  })
  .refine(({ type, interpolationType }) => type === "String" || interpolationType === undefined, {
    error: "only a String can be a variable here",
  })
  .refine(({ type, default: value }) => value === undefined || (typeof value === "string") === (type === "String"), {
    error: "the default is not of the parameter's type",
  })
  .transform(
    ({ description, interpolationType, ...parameter }): DocumentParameter =>
      ({ ...parameter, asVariable: interpolationType !== undefined }) as DocumentParameter,
  );

/** `timeoutSeconds` may be a text; the agent takes an hour where none is given. */
const seconds = z.coerce.number().int().min(5).max(172_800).default(3600);

const stepSchema = z
  .strictObject({
    action: z.literal("aws:runShellScript"),
    name: z.string().regex(/^[A-Za-z0-9_]{1,128}$/),
    precondition: z
      .strictObject({ StringEquals: z.tuple([z.literal("platformType"), z.enum(["Linux", "Windows", "MacOS"])]) })
      .optional(),
    inputs: z.strictObject({
      runCommand: z.array(z.string()).min(1),
      timeoutSeconds: seconds,
      workingDirectory: z.string().startsWith("/").optional(),
      onFailure: z.enum(["exit", "successAndExit"]).optional(),
    }),
  })
  .transform(
    ({ name, precondition, inputs: { runCommand, ...inputs } }) =>
      ({ name, lines: runCommand, ...inputs, platform: precondition?.StringEquals[1] }) as Step,
  );

const contentSchema = z.strictObject({
  schemaVersion: z.literal("2.2"),
  description: z.string().optional(),
  parameters: z.record(z.string().regex(/^[A-Za-z0-9]+$/), parameterSchema).optional(),
  mainSteps: z.array(stepSchema).min(1),
});

/** `{{ NAME }}`, and all that looks like it. */
export const reference = /\{\{\s*([^{}]*?)\s*\}\}/g;

function demandReferences(lines: readonly string[], parameters: Readonly<Record<string, DocumentParameter>>): void {
  for (const [text, name] of lines.join("\n").matchAll(reference)) {
    const parameter = Object.hasOwn(parameters, name!) ? parameters[name!] : undefined;
    if (parameter === undefined) throw new Error(`no parameter is called ${text}`);
    if (parameter.asVariable)
      throw new Error(`${text} is a variable of the script: what its text would become is not documented`);
  }
}
