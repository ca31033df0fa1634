import type { RunningCloud } from "../cloud/cloud.ts";

/** An output of the one stack that has it. @throws Error where none has, or several have. */
export function outputOf({ stacks }: Pick<RunningCloud, "stacks">, name: string): string {
  const [value, ...others] = stacks.flatMap(({ outputs }) => outputs[name] ?? []);
  if (typeof value !== "string" || others.length > 0) throw new Error(`not one stack has the output ${name}`);
  return value;
}
