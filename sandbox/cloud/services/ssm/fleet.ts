import { CallRefused } from "../../service.ts";
import type { NodeFilters } from "./inputs.ts";
import type { ManagedNode } from "./managed-node.ts";

/** The machines that SSM knows: those whose agents have been let in. */
export class Fleet {
  readonly #nodes = new Map<string, ManagedNode>();

  add(node: ManagedNode): void {
    if (this.#nodes.has(node.id)) throw new Error(`${node.id} is registered already`);
    this.#nodes.set(node.id, node);
  }

  remove(node: ManagedNode): void {
    this.#nodes.delete(node.id);
  }

  get all(): readonly ManagedNode[] {
    return [...this.#nodes.values()];
  }

  get registered(): readonly ManagedNode[] {
    return this.all.filter(({ registeredAt }) => registeredAt !== undefined);
  }

  /** @throws CallRefused `InvalidInstanceId`. */
  named(instanceId: string): ManagedNode {
    const found = this.registered.find(({ id }) => id === instanceId);
    if (found === undefined) throw new CallRefused("InvalidInstanceId", `${instanceId} is not managed`);
    return found;
  }

  /** Those that all targets of a command mean. @throws Error for a kind of target that is not understood. */
  targeted(targets: readonly { readonly Key: string; readonly Values: readonly string[] }[]): readonly ManagedNode[] {
    return this.registered.filter((node) =>
      targets.every(({ Key, Values }) => {
        if (Key === "InstanceIds") return Values.includes(node.id);
        if (!Key.startsWith("tag:")) throw new Error(`targets by ${Key} are not understood`);
        return Values.includes(node.options.tags[Key.slice("tag:".length)]!);
      }),
    );
  }

  /** @throws CallRefused `InvalidFilterKey`. */
  filtered(filters: NodeFilters): readonly ManagedNode[] {
    return this.registered.filter((node) =>
      filters.every(({ Key, Values }) => valuesOf(node, Key).some((value) => Values.includes(value))),
    );
  }
}

function valuesOf(node: ManagedNode, key: string): readonly string[] {
  const { tags, roleName } = node.options;
  if (key.startsWith("tag:")) return [tags[key.slice("tag:".length)] ?? []].flat();
  if (key === "tag-key") return Object.keys(tags);
  const values: Readonly<Record<string, string>> = {
    InstanceIds: node.id,
    PingStatus: node.pingStatus,
    PlatformTypes: "Linux",
    ResourceType: resourceType(node),
    IamRole: roleName,
    AgentVersion: node.agentVersion,
  };
  if (!Object.hasOwn(values, key)) throw new CallRefused("InvalidFilterKey", `${key} is not known here`);
  return [values[key]!];
}

export const resourceType = ({ onEc2 }: ManagedNode) => (onEc2 ? "EC2Instance" : "ManagedInstance");
