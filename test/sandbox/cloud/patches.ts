import type { SynthesizedStack } from "../../../sandbox/cloud/template/assembly.ts";

// biome-ignore lint/suspicious/noExplicitAny: a template is patched as it stands
type Written = any;

/** What becomes of each resource of a type; `undefined` takes it out. May change what it is given. */
export type Patch = Readonly<Record<string, (resource: Written) => Written>>;

/** The stacks with some of their resources changed. @throws Error where there is none of a type. */
export function patched(stacks: readonly SynthesizedStack[], patch: Patch): readonly SynthesizedStack[] {
  const missed = new Set(Object.keys(patch));
  const changed = stacks.map((stack) => {
    const template = structuredClone(stack.template) as Written;
    for (const [id, resource] of Object.entries<Written>(template.Resources)) {
      const change = patch[resource.Type];
      if (change === undefined) continue;
      missed.delete(resource.Type);
      const after = change(resource);
      if (after === undefined) delete template.Resources[id];
      else template.Resources[id] = after;
    }
    return { ...stack, template };
  });
  if (missed.size > 0) throw new Error(`no stack has a ${[...missed].join(", ")}`);
  return changed;
}

/** Changes the statements of a policy that have this name; `undefined` takes one out. @throws Error where there is none. */
export function statements(
  stacks: readonly SynthesizedStack[],
  type:
    | "AWS::S3::BucketPolicy"
    | "AWS::IAM::ManagedPolicy"
    | "AWS::IAM::Policy"
    | "AWS::KMS::Key"
    | "AWS::SNS::TopicPolicy",
  change: (statement: Written) => Written,
): readonly SynthesizedStack[] {
  let changes = 0;
  const document = type === "AWS::KMS::Key" ? "KeyPolicy" : "PolicyDocument";
  const after = patched(stacks, {
    [type]: (resource) => {
      const policy = resource.Properties[document];
      policy.Statement = policy.Statement.flatMap((each: Written) => {
        const before = JSON.stringify(each);
        const now = change(each);
        if (JSON.stringify(now) !== before) changes++;
        return now === undefined ? [] : [now];
      });
      return policy.Statement.length === 0 ? undefined : resource;
    },
  });
  if (changes === 0) throw new Error("the patch changes nothing");
  return after;
}
