import type { Datum } from "../../service.ts";

interface Directive {
  readonly Namespace: string;
  /** Sets of dimensions: each value is one of each. */
  readonly Dimensions: readonly (readonly string[])[];
  readonly Metrics: readonly { readonly Name: string }[];
}

/**
 * The metrics that a line of a log carries, as the "Specification: Embedded metric format" has them; none where it is no such line.
 *
 * @throws Error where the line means to carry one and CloudWatch would drop it without a word.
 */
export function embeddedMetrics(line: string): readonly Datum[] {
  const root = objectIn(line);
  const directives = (root?._aws as { CloudWatchMetrics?: readonly Directive[] } | undefined)?.CloudWatchMetrics;
  if (root === undefined || directives === undefined) return [];
  const told = (name: string) => {
    if (!Object.hasOwn(root, name)) throw new Error(`a line in the embedded metric format has no ${name}`);
    return root[name];
  };
  return directives.flatMap(({ Namespace, Dimensions, Metrics }) =>
    Dimensions.flatMap((names) => {
      const dimensions = Object.fromEntries(names.map((name) => [name, String(told(name))]));
      return Metrics.flatMap(({ Name }) =>
        [told(Name)].flat().map((value) => {
          if (typeof value !== "number") throw new Error(`the metric ${Name} is no number: ${JSON.stringify(value)}`);
          return { namespace: Namespace, name: Name, dimensions, value };
        }),
      );
    }),
  );
}

function objectIn(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
