import { MailarkError } from "../../core/errors.ts";
import type { Selection } from "./component.ts";

/**
 * The databases of a snapshot that are asked for; all, unless some are.
 *
 * @throws MailarkError `ARGUMENT_INVALID` for a name that the snapshot does not have, listing those that it has.
 */
export function selectDatabases<T extends { readonly name: string }>(
  databases: readonly T[],
  { databases: wanted }: Selection,
): readonly T[] {
  if (wanted === undefined) return databases;
  const unknown = wanted.filter((wish) => !databases.some(({ name }) => name === wish));
  if (unknown.length > 0) {
    throw new MailarkError("ARGUMENT_INVALID", "the snapshot does not hold such a database", {
      detail: `asked for: ${unknown.join(", ")}; it holds: ${databases.map(({ name }) => name).join(", ")}`,
      hint: "choose among the databases that the snapshot holds",
    });
  }
  return databases.filter(({ name }) => wanted.includes(name));
}
