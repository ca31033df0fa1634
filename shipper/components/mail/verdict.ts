import type { Check } from "../component.ts";

/** Passed where nothing is wrong; otherwise failed, with the first few of what is. */
export function verdict(name: string, wrong: readonly string[], passed: string): Check {
  if (wrong.length === 0) return { name, outcome: "passed", detail: passed };
  const shown = wrong.slice(0, 5).join("; ");
  return { name, outcome: "failed", detail: wrong.length > 5 ? `${shown}; and ${wrong.length - 5} more` : shown };
}
