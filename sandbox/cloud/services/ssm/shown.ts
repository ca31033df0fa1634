/** What the API says of nodes, commands and invocations; times are seconds since 1970, as JSON 1.1 has them. */
import type { StepResult } from "./agent.ts";
import type { Command, Invocation } from "./command.ts";
import { resourceType } from "./fleet.ts";
import type { ManagedNode } from "./managed-node.ts";
import { together } from "./output.ts";
import { coarse, isFinal } from "./status.ts";

export function nodeShown(node: ManagedNode) {
  const { roleName, tags } = node.options;
  return {
    InstanceId: node.id,
    PingStatus: node.pingStatus,
    LastPingDateTime: node.lastPing / 1000,
    AgentVersion: node.agentVersion,
    PlatformType: "Linux",
    PlatformName: "Debian GNU/Linux",
    PlatformVersion: "13",
    ResourceType: resourceType(node),
    ...(!node.onEc2 && { IamRole: roleName, RegistrationDate: node.registeredAt! / 1000, Name: tags.Name ?? node.id }),
  };
}

export function commandShown({ id, order, requestedAt, expiresAt, status, invocations }: Command) {
  const count = (...wanted: readonly string[]) => invocations.filter((each) => wanted.includes(each.status)).length;
  return {
    CommandId: id,
    DocumentName: order.document.name,
    DocumentVersion: "$DEFAULT",
    Comment: order.comment,
    ExpiresAfter: expiresAt / 1000,
    Parameters: order.parameters,
    InstanceIds: order.instanceIds,
    Targets: order.targets,
    RequestedDateTime: requestedAt / 1000,
    Status: coarse(status),
    StatusDetails: status,
    OutputS3BucketName: "",
    OutputS3KeyPrefix: "",
    MaxConcurrency: order.maxConcurrency,
    MaxErrors: order.maxErrors,
    TargetCount: invocations.length,
    CompletedCount: invocations.filter((each) => isFinal(each.status)).length,
    ErrorCount: count("Failed", "ExecutionTimedOut"),
    DeliveryTimedOutCount: count("DeliveryTimedOut"),
    ServiceRole: "",
    TimeoutSeconds: order.timeoutSeconds,
  };
}

export function invocationShown({ id, order, requestedAt }: Command, invocation: Invocation, details: boolean) {
  return {
    CommandId: id,
    InstanceId: invocation.node.id,
    InstanceName: "",
    Comment: order.comment,
    DocumentName: order.document.name,
    DocumentVersion: "$DEFAULT",
    RequestedDateTime: requestedAt / 1000,
    Status: coarse(invocation.status),
    StatusDetails: invocation.status,
    StandardOutputUrl: "",
    StandardErrorUrl: "",
    CommandPlugins: details ? invocation.results.map(pluginShown) : [],
    ServiceRole: "",
  };
}

function pluginShown({ name, status, code, startedAt, endedAt, stdout, stderr }: StepResult) {
  return {
    Name: name,
    Status: coarse(status),
    StatusDetails: status,
    ResponseCode: code,
    ResponseStartDateTime: startedAt / 1000,
    ResponseFinishDateTime: endedAt / 1000,
    Output: together(stdout, stderr),
    StandardOutputUrl: "",
    StandardErrorUrl: "",
    OutputS3BucketName: "",
    OutputS3KeyPrefix: "",
  };
}

/** One step of an invocation, in full. A step that has not ended has the status of the whole, and -1. */
export function stepShown({ id, order }: Command, { node, status, results }: Invocation, step: string) {
  const result = results.find(({ name }) => name === step);
  const own = result?.status ?? status;
  return {
    CommandId: id,
    InstanceId: node.id,
    Comment: order.comment,
    DocumentName: order.document.name,
    DocumentVersion: "$DEFAULT",
    PluginName: step,
    ResponseCode: result?.code ?? -1,
    ExecutionStartDateTime: result ? new Date(result.startedAt).toISOString() : "",
    ExecutionElapsedTime: result ? `PT${(result.endedAt - result.startedAt) / 1000}S` : "",
    ExecutionEndDateTime: result ? new Date(result.endedAt).toISOString() : "",
    Status: coarse(own),
    StatusDetails: own,
    StandardOutputContent: result?.stdout ?? "",
    StandardOutputUrl: "",
    StandardErrorContent: result?.stderr ?? "",
    StandardErrorUrl: "",
  };
}
