import { z } from "zod";
import { type ApiCall, CallRefused } from "../../service.ts";

/**
 * The inputs of the calls, with the constraints of the API reference (version 2014-11-06). What is there and does nothing here is refused like what is
 * not there.
 *
 * @throws Error for a member that is not known, CallRefused `ValidationException` for a value that the reference does not allow.
 */
export function read<T>(schema: z.ZodType<T>, { operation, input }: ApiCall): T {
  const { data, error } = schema.safeParse(input);
  if (error === undefined) return data;
  const unknown = error.issues.find(({ code }) => code === "unrecognized_keys");
  if (unknown !== undefined) throw new Error(`${operation}: ${[...unknown.path, unknown.message].join(": ")}`);
  const [{ path, message }] = error.issues as [z.core.$ZodIssue];
  throw new CallRefused("ValidationException", `${path.join(".")}: ${message}`);
}

const instanceId = z.string().regex(/^(i-(\w{8}|\w{17})|mi-\w{17})$/);
const commandId = z.string().length(36);
const instanceIds = z.array(instanceId).max(50);
const share = (pattern: RegExp) => z.string().max(7).regex(pattern);
const paging = (least: number) => ({
  MaxResults: z.int().min(least).max(50).default(50),
  NextToken: z.string().optional(),
});

export const sendCommand = z.strictObject({
  DocumentName: z.string().regex(/^[a-zA-Z0-9_\-.:/]{3,128}$/),
  DocumentVersion: z.enum(["$DEFAULT", "$LATEST", "1"]).default("$DEFAULT"),
  InstanceIds: instanceIds.default([]),
  Targets: z
    .array(z.strictObject({ Key: z.string().min(1).max(163), Values: z.array(z.string()).max(50) }))
    .max(5)
    .default([]),
  TimeoutSeconds: z.int().min(30).max(2_592_000).default(3600),
  Comment: z.string().max(100).default(""),
  Parameters: z.record(z.string(), z.array(z.string())).default({}),
  MaxConcurrency: share(/^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$/).default("50"),
  MaxErrors: share(/^([1-9][0-9]*|0|[1-9][0-9]%|[0-9]%|100%)$/).default("0"),
});

const commandFilters = z
  .array(
    z.strictObject({
      key: z.enum(["InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName"]),
      value: z.string().min(1).max(128),
    }),
  )
  .min(1)
  .max(5)
  .default([]);
export type CommandFilters = z.output<typeof commandFilters>;

const ofCommands = { CommandId: commandId.optional(), InstanceId: instanceId.optional(), Filters: commandFilters };
export const listCommands = z.strictObject({ ...ofCommands, ...paging(1) });
export const listCommandInvocations = z.strictObject({
  ...ofCommands,
  Details: z.boolean().default(false),
  ...paging(1),
});

export const getCommandInvocation = z.strictObject({
  CommandId: commandId,
  InstanceId: instanceId,
  PluginName: z.string().min(4).optional(),
});

export const cancelCommand = z.strictObject({ CommandId: commandId, InstanceIds: instanceIds.default([]) });

export const describeInstanceInformation = z.strictObject({
  Filters: z
    .array(z.strictObject({ Key: z.string().min(1), Values: z.array(z.string().min(1)).min(1).max(100) }))
    .default([]),
  ...paging(5),
});
export type NodeFilters = z.output<typeof describeInstanceInformation>["Filters"];

export const getParameter = z.strictObject({
  Name: z.string().min(1).max(2048),
  WithDecryption: z.boolean().default(false),
});
