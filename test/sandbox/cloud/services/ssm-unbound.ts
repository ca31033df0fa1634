import type { Json, SynthesizedStack } from "../../../../sandbox/cloud/template/assembly.ts";

/** A document of the stacks under another name, which lets every value pass. */
export function documentWithoutPatterns(stacks: readonly SynthesizedStack[], of: string, Name: string): Json {
  const all = stacks.flatMap(({ template }) => Object.values(template.Resources as object as Record<string, Resource>));
  const found = all.find(({ Type, Properties }) => Type === "AWS::SSM::Document" && Properties.Name === of);
  const text = JSON.stringify({ ...found, Properties: { ...found!.Properties, Name } }, (key, value) =>
    key === "allowedPattern" ? undefined : value,
  );
  return JSON.parse(text);
}

interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, Json>>;
}
