/** What is not known is refused: a property or an input that was ignored would make the sandbox say yes to what AWS does not. */
import type { Resource } from "./template/stack.ts";

type Named = Pick<Resource, "stack" | "logicalId">;
type Asked = { readonly operation: string; readonly input: object };

/** `STACK.LOGICALID`, as errors about a resource begin. */
export const placeOf = ({ stack, logicalId }: Named): string => `${stack}.${logicalId}`;

/** @throws Error that begins `STACK.LOGICALID: `, where a resource, or a part of its properties, has one that is not named here. */
export function only(resource: Resource, known: readonly string[], part: object = resource.properties): void {
  const unknown = unknownOf(part, known);
  if (unknown !== undefined) throw new Error(`${placeOf(resource)}: ${unknown} is not understood`);
}

/** What must hold for a resource, and the complaint where it does not: an Error that begins `STACK.LOGICALID: `. */
export const demandOf =
  (resource: Named) =>
  (holds: boolean, complaint: string): void => {
    if (!holds) throw new Error(`${placeOf(resource)}: ${complaint}`);
  };

/** What is made of a resource; errors on the way begin with its place. */
export function inPlace<T>(resource: Named, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { message } = error as Error;
    const place = placeOf(resource);
    throw message.startsWith(`${place}: `) ? error : new Error(`${place}: ${message}`, { cause: error });
  }
}

/** @throws Error where a call has an input that is not named here. */
export function onlyInput({ operation, input }: Asked, known: readonly string[]): void {
  const unknown = unknownOf(input, known);
  if (unknown !== undefined) throw new Error(`${operation}: ${unknown} is not understood`);
}

function unknownOf(given: object, known: readonly string[]): string | undefined {
  return Object.entries(given).find(([name, value]) => value !== undefined && !known.includes(name))?.[0];
}
