import type { Check } from "../components/component.ts";
import { table } from "../terminal/table.ts";

/** Checks in rows, under the name of what they are of where there are several. */
export function checksTable(
  subjects: readonly { readonly name?: string; readonly checks: readonly Check[] }[],
): string {
  const named = subjects.some(({ name }) => name !== undefined);
  const titles = [...(named ? ["COMPONENT"] : []), "CHECK", "OUTCOME", "DETAIL"];
  return table(
    titles.map((title) => ({ title })),
    subjects.flatMap(({ name, checks }) =>
      checks.map((check) => [...(named ? [name ?? ""] : []), check.name, outcomeText(check.outcome), check.detail]),
    ),
  );
}

/** What failed stands out. */
export const outcomeText = <O extends string>(outcome: O): string => (outcome === "failed" ? "FAILED" : outcome);
