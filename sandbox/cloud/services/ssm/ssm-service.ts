import { type ApiCall, CallRefused, type Cloud, refuseUnlessAllowed, type Service } from "../../service.ts";
import type { Resource } from "../../template/stack.ts";
import { Command } from "./command.ts";
import { type CommandDocument, documentArn, documentOf } from "./document.ts";
import { Fleet } from "./fleet.ts";
import { givenParameters } from "./given-parameters.ts";
import * as inputs from "./inputs.ts";
import { ManagedNode, type NodeOptions, nodeArn } from "./managed-node.ts";
import { page } from "./page.ts";
import { ParameterStore, type StoredParameter } from "./parameter-store.ts";
import { commandShown, invocationShown, nodeShown, stepShown } from "./shown.ts";
import { isFinal } from "./status.ts";

/** A machine that was registered. */
export interface RegisteredNode {
  readonly instanceId: string;
  /** The agent is cut off: nothing arrives and nothing is reported, while what runs goes on. */
  disconnect(): void;
  connect(): void;
  /** What a program that is called on the machine finds of the cloud in its environment. */
  environment(): Promise<Readonly<Record<string, string>>>;
  /** The machine is no more. */
  terminate(): Promise<void>;
}

export interface SsmService extends Service {
  /** Has the agent of a machine begin: what its role's policies allow the agent decides whether SSM ever knows it, and whether commands reach it. */
  register(options: NodeOptions): RegisteredNode;
  /** As by hand. */
  putParameter(parameter: StoredParameter): void;
}

type Answer = Readonly<Record<string, unknown>>;

/** Systems Manager: Run Command on registered machines, and the parameter store as far as it is read. */
export function ssmService(cloud: Cloud): SsmService {
  const fleet = new Fleet();
  const parameters = new ParameterStore(cloud);
  const documents = new Map<string, CommandDocument>();
  /** The newest first, as lists have them. */
  const commands: Command[] = [];

  const demand = ({ caller }: ApiCall, action: string, resource = "*", context: Record<string, string> = {}) => {
    const need = { action: `ssm:${action}`, resource, context };
    refuseUnlessAllowed(cloud, caller, need);
  };

  function sendCommand(call: ApiCall): Answer {
    const asked = inputs.read(inputs.sendCommand, call);
    const { InstanceIds, Targets, Parameters } = asked;
    if (InstanceIds.length > 0 === Targets.length > 0) {
      throw new CallRefused("ValidationException", "a command has either InstanceIds or Targets");
    }
    if (new Set(InstanceIds).size < InstanceIds.length)
      throw new CallRefused("DuplicateInstanceId", "an id is named twice");
    const name = nameOfDocument(asked.DocumentName);
    const document = documents.get(name);
    demand(
      call,
      "SendCommand",
      documentArn({ name, region: cloud.region, account: cloud.accountId }),
      tagKeys(document?.tags ?? {}),
    );
    const ids = Targets.length > 0 ? fleet.targeted(Targets).map(({ id }) => id) : InstanceIds;
    for (const id of ids) {
      const tags = fleet.all.find((node) => node.id === id)?.options.tags ?? {};
      demand(call, "SendCommand", nodeArn(id, cloud), tagKeys(tags));
    }
    if (document === undefined) throw new CallRefused("InvalidDocument", `there is no document ${name}`);
    const order = {
      document,
      values: givenParameters(document, Parameters),
      parameters: Parameters,
      nodes: ids.map((id) => fleet.named(id)),
      instanceIds: InstanceIds,
      targets: Targets,
      comment: asked.Comment,
      timeoutSeconds: asked.TimeoutSeconds,
      maxConcurrency: asked.MaxConcurrency,
      maxErrors: asked.MaxErrors,
    };
    const command = new Command(order, cloud);
    commands.unshift(command);
    const shown = commandShown(command);
    command.begin();
    return { Command: shown };
  }

  /** By name, or by an ARN of this account. */
  function nameOfDocument(nameOrArn: string): string {
    if (!nameOrArn.startsWith("arn:")) return nameOrArn;
    const name = nameOrArn.slice(nameOrArn.lastIndexOf("/") + 1);
    if (nameOrArn === documentArn({ name, region: cloud.region, account: cloud.accountId })) return name;
    throw new CallRefused("InvalidDocument", `there is no document ${nameOrArn}`);
  }

  function commandNamed(id: string): Command {
    const found = commands.find((each) => each.id === id);
    if (found === undefined) throw new CallRefused("InvalidCommandId", `there is no command ${id}`);
    return found;
  }

  function chosen(commandId: string | undefined, instanceId: string | undefined): readonly Command[] {
    if (instanceId !== undefined) fleet.named(instanceId);
    return commandId === undefined ? commands : [commandNamed(commandId)];
  }

  const operations: Readonly<Record<string, (call: ApiCall) => Answer>> = {
    SendCommand: sendCommand,
    ListCommands(call) {
      demand(call, "ListCommands");
      const asked = inputs.read(inputs.listCommands, call);
      const { CommandId, InstanceId, Filters } = asked;
      const found = chosen(CommandId, InstanceId).filter(
        (command) =>
          (InstanceId === undefined || command.invocations.some(({ node }) => node.id === InstanceId)) &&
          passes(command, commandShown(command), Filters),
      );
      const { items, more } = page(found.map(commandShown), asked);
      return { Commands: items, ...more };
    },
    ListCommandInvocations(call) {
      demand(call, "ListCommandInvocations");
      const asked = inputs.read(inputs.listCommandInvocations, call);
      const { CommandId, InstanceId, Filters, Details } = asked;
      const found = chosen(CommandId, InstanceId).flatMap((command) =>
        command.invocations
          .filter(({ node }) => InstanceId === undefined || node.id === InstanceId)
          .map((each) => invocationShown(command, each, Details))
          .filter((shown) => passes(command, shown, Filters)),
      );
      const { items, more } = page(found, asked);
      return { CommandInvocations: items, ...more };
    },
    GetCommandInvocation(call) {
      demand(call, "GetCommandInvocation");
      const { CommandId, InstanceId, PluginName } = inputs.read(inputs.getCommandInvocation, call);
      const command = commands.find(({ id }) => id === CommandId);
      const invocation = command?.invocations.find(({ node }) => node.id === InstanceId);
      if (command === undefined || invocation === undefined) {
        throw new CallRefused("InvocationDoesNotExist", "this command was not sent to this node");
      }
      const steps = command.order.document.steps.map(({ name }) => name);
      const step = PluginName ?? (steps.length === 1 ? steps[0]! : undefined);
      if (step === undefined || !steps.includes(step))
        throw new CallRefused("InvalidPluginName", "the document has no such step, or several");
      return stepShown(command, invocation, step);
    },
    CancelCommand(call) {
      demand(call, "CancelCommand");
      const { CommandId, InstanceIds } = inputs.read(inputs.cancelCommand, call);
      const command = commandNamed(CommandId);
      for (const id of InstanceIds) fleet.named(id);
      command.cancel(InstanceIds);
      return {};
    },
    DescribeInstanceInformation(call) {
      demand(call, "DescribeInstanceInformation");
      const asked = inputs.read(inputs.describeInstanceInformation, call);
      const { items, more } = page(fleet.filtered(asked.Filters), asked);
      return { InstanceInformationList: items.map(nodeShown), ...more };
    },
    GetParameter: (call) => parameters.get(call),
  };

  return {
    name: "ssm",
    types: ["AWS::SSM::Document"],
    make(resource: Resource) {
      documents.set(resource.ref, documentOf(resource));
    },
    async answer(call) {
      const operation = Object.hasOwn(operations, call.operation) ? operations[call.operation] : undefined;
      if (operation === undefined) throw new Error(`ssm:${call.operation} is not known here`);
      return operation(call);
    },
    register(options) {
      const node = new ManagedNode(options, cloud);
      fleet.add(node);
      node.connect();
      return {
        instanceId: node.id,
        connect: () => node.connect(),
        disconnect: () => node.disconnect(),
        environment: () => node.environment(),
        async terminate() {
          fleet.remove(node);
          for (const command of commands) command.lose(node);
          await node.close();
        },
      };
    },
    putParameter: (parameter) => parameters.put(parameter),
    async close() {
      for (const command of commands) for (const { cancelled } of command.invocations) cancelled.abort();
      await Promise.all(fleet.all.map((node) => node.close()));
    },
  };
}

/** Condition keys that tell the tags of what is called. */
function tagKeys(tags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).flatMap(([key, value]) => [
      [`ssm:resourceTag/${key}`, value],
      [`aws:ResourceTag/${key}`, value],
    ]),
  );
}

function passes(
  { order, requestedAt, status }: Command,
  shown: { readonly Status: string; readonly StatusDetails: string },
  filters: inputs.CommandFilters,
): boolean {
  const tests: Readonly<Record<inputs.CommandFilters[number]["key"], (value: string) => boolean>> = {
    DocumentName: (value) => order.document.name === value,
    Status: (value) => shown.Status === value || shown.StatusDetails === value,
    ExecutionStage: (value) => (value === "Complete") === isFinal(status),
    InvokedAfter: (value) => requestedAt > Date.parse(value),
    InvokedBefore: (value) => requestedAt < Date.parse(value),
  };
  return filters.every(({ key, value }) => tests[key](value));
}
