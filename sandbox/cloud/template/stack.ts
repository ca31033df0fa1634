import type { Json, SynthesizedStack } from "./assembly.ts";
import { resolve, resolveCondition, type Scope } from "./intrinsics.ts";
import { type Returned, returnedBy } from "./returned.ts";

/** A resource of a stack, its properties resolved. */
export interface Resource extends Returned {
  readonly stack: string;
  readonly account: string;
  readonly region: string;
  readonly logicalId: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: properties are as many as resource types
  readonly properties: any;
}

/** A stack with nothing left to resolve. */
export interface Stack {
  readonly name: string;
  readonly account: string;
  readonly region: string;
  /** Those whose condition holds, in the template's order. */
  readonly resources: readonly Resource[];
  readonly outputs: Readonly<Record<string, Json>>;
}

/** What a template needs and does not say. */
export interface Given {
  /** Values of parameters, by stack and name. Without one its default counts. */
  readonly parameters?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Of SSM's parameter store, for parameters of a type of it and for `{{resolve:ssm:…}}`, by name. */
  readonly parameterStore?: Readonly<Record<string, string>>;
}

/**
 * What CloudFormation would make of the stacks, in this order.
 *
 * @throws Error that begins with the place in the template, for everything that is not known: a section, an intrinsic
 *   function, a name, the type of a resource whose name or attribute somebody refers to, a parameter without a value.
 */
export function resolveStacks(synthesized: readonly SynthesizedStack[], given: Given = {}): readonly Stack[] {
  const exported = new Map<string, Json>();
  return synthesized.map((stack) => new Resolution(stack, given, exported).stack());
}

type Section = Readonly<Record<string, Json>>;
type Entry = Readonly<Record<string, Json>>;

const sections = [
  ...["AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings"],
  ...["Conditions", "Rules", "Resources", "Outputs"],
];
const resourceMembers = [
  ...["Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"],
];

/** One stack on its way; what is referred to is resolved first. */
class Resolution implements Scope {
  readonly #stack: SynthesizedStack;
  readonly #given: Given;
  readonly #exported: Map<string, Json>;
  readonly #resources = new Map<string, Resource>();
  readonly #conditions = new Map<string, boolean>();
  /** What is being resolved, to see a circle. */
  readonly #open = new Set<string>();

  constructor(stack: SynthesizedStack, given: Given, exported: Map<string, Json>) {
    this.#stack = stack;
    this.#given = given;
    this.#exported = exported;
    const unknown = Object.keys(stack.template).find((name) => !sections.includes(name));
    if (unknown !== undefined) throw new Error(`${stack.name}.${unknown}: unknown section of a template`);
  }

  stack(): Stack {
    const { name, account, region } = this.#stack;
    this.#demandRules();
    const resources = Object.entries(this.#section("Resources"))
      .filter(([, entry]) => this.#present(entry as Entry))
      .map(([logicalId]) => this.#resource(logicalId));
    const outputs = Object.entries(this.#section("Outputs"))
      .filter(([, entry]) => this.#present(entry as Entry))
      .map(([id, entry]) => [id, this.#output(id, entry as Entry)] as const);
    return { name, account, region, resources, outputs: Object.fromEntries(outputs) };
  }

  ref(name: string): Json | undefined {
    if (name.startsWith("AWS::")) return this.#pseudo(name);
    if (Object.hasOwn(this.#section("Parameters"), name)) return this.#parameter(name);
    return this.#resource(name).ref;
  }

  attribute(logicalId: string, attribute: string): Json {
    const resource = this.#resource(logicalId);
    const value = resource.attributes[attribute];
    if (value === undefined) throw new Error(`${resource.type} has no attribute ${attribute} here`);
    return value;
  }

  condition(name: string): boolean {
    const known = this.#conditions.get(name);
    if (known !== undefined) return known;
    const value = this.#entry("Conditions", name);
    const found = this.#once(`Conditions.${name}`, (path) => resolveCondition(value, this, path));
    this.#conditions.set(name, found);
    return found;
  }

  mapping(map: string, first: string, second: string): Json {
    const found = (this.#entry("Mappings", map) as Record<string, Entry>)[first]?.[second];
    if (found === undefined) throw new Error(`the map ${map} has no ${first}, ${second}`);
    return found;
  }

  imported(name: string): Json {
    const found = this.#exported.get(name);
    if (found === undefined) throw new Error(`no stack before this one exports ${name}`);
    return found;
  }

  dynamic(service: string, reference: string): string {
    const [name] = reference.split(":");
    if (service !== "ssm") throw new Error(`unknown dynamic reference: ${service}`);
    return this.#stored(name!);
  }

  #resource(logicalId: string): Resource {
    const known = this.#resources.get(logicalId);
    if (known !== undefined) return known;
    const entry = this.#entry("Resources", logicalId) as Entry;
    const { name: stack, account, region } = this.#stack;
    const resource = this.#once(`Resources.${logicalId}`, (path) => {
      const unknown = Object.keys(entry).find((each) => !resourceMembers.includes(each));
      if (unknown !== undefined) throw new Error(`${path}.${unknown}: unknown member of a resource`);
      if (!this.#present(entry)) throw new Error(`${path}: is not made, for its condition does not hold`);
      const type = entry.Type as string;
      const properties = resolve(entry.Properties ?? {}, this, `${path}.Properties`);
      const bare = { stack, account, region, logicalId, type, properties };
      return { ...bare, ...returnedBy(bare, path) };
    });
    this.#resources.set(logicalId, resource);
    return resource;
  }

  #output(id: string, entry: Entry): Json {
    return this.#once(`Outputs.${id}`, (path) => {
      const value = resolve(entry.Value!, this, `${path}.Value`);
      if (value === undefined) throw new Error(`${path}.Value: has no value`);
      if (entry.Export !== undefined) {
        const { Name } = resolve(entry.Export, this, `${path}.Export`) as { Name: string };
        if (this.#exported.has(Name)) throw new Error(`${path}.Export: ${Name} is exported twice`);
        this.#exported.set(Name, value);
      }
      return value;
    });
  }

  #parameter(name: string): Json {
    const { Type, Default } = this.#entry("Parameters", name) as Record<string, string | undefined>;
    const value = this.#given.parameters?.[this.#stack.name]?.[name] ?? Default;
    if (value === undefined) throw new Error(`the parameter ${name} has no value`);
    if (Type === "String" || Type === "Number") return value;
    if (Type === "CommaDelimitedList") return value.split(",").map((each) => each.trim());
    if (Type === "AWS::SSM::Parameter::Value<String>") return this.#stored(value);
    throw new Error(`the parameter ${name} has the type ${Type}, which is not known`);
  }

  #stored(name: string): string {
    const value = this.#given.parameterStore?.[name];
    if (value === undefined) throw new Error(`the parameter store was given no ${name}`);
    return value;
  }

  #pseudo(name: string): Json | undefined {
    const { name: stack, account, region } = this.#stack;
    const known: Record<string, Json | undefined> = {
      "AWS::AccountId": account,
      "AWS::Region": region,
      "AWS::Partition": "aws",
      "AWS::URLSuffix": "amazonaws.com",
      "AWS::StackName": stack,
      "AWS::StackId": `arn:aws:cloudformation:${region}:${account}:stack/${stack}/00000000-0000-0000-0000-000000000000`,
      "AWS::NotificationARNs": [],
      "AWS::NoValue": undefined,
    };
    if (!Object.hasOwn(known, name)) throw new Error(`unknown pseudo parameter ${name}`);
    return known[name];
  }

  /** Assertions about parameters, which are judged before anything is made. */
  #demandRules(): void {
    for (const [id, rule] of Object.entries(this.#section("Rules"))) {
      const path = `${this.#stack.name}.Rules.${id}`;
      const unknown = Object.keys(rule as Entry).find((each) => each !== "Assertions");
      if (unknown !== undefined) throw new Error(`${path}.${unknown}: unknown member of a rule`);
      for (const { Assert, AssertDescription } of (rule as { Assertions: readonly Record<string, Json>[] })
        .Assertions) {
        if (!resolveCondition(Assert!, this, path)) throw new Error(`${path}: ${AssertDescription}`);
      }
    }
  }

  #present({ Condition }: Entry): boolean {
    return Condition === undefined || this.condition(Condition as string);
  }

  #once<T>(what: string, work: (path: string) => T): T {
    const path = `${this.#stack.name}.${what}`;
    if (this.#open.has(what)) throw new Error(`${path}: refers to itself`);
    this.#open.add(what);
    try {
      return work(path);
    } finally {
      this.#open.delete(what);
    }
  }

  #section(name: string): Section {
    return (this.#stack.template[name] ?? {}) as Section;
  }

  #entry(section: string, name: string): Json {
    const entries = this.#section(section);
    if (!Object.hasOwn(entries, name)) throw new Error(`${section} has no ${name}`);
    return entries[name]!;
  }
}
