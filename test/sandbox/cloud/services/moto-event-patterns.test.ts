import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { patternCases } from "../../../fixtures/event-patterns.ts";

/** Reads pairs of a pattern and an event, and tells which fit. moto's server has no TestEventPattern, but a matcher. */
const program = `
import json, sys
from moto.events.models import EventPattern
print(json.dumps([EventPattern.load(json.dumps(pattern)).matches_event(event) for pattern, event in json.load(sys.stdin)]))
`;

const python = (script: string, input: string) =>
  execFileSync("python3", ["-c", script], { input, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] });

/** moto (Python) is an independent opinion of what a pattern means. Where it is not installed, nobody is asked. */
const motoIsHere = (() => {
  try {
    python("import moto.events.models", "");
    return true;
  } catch {
    return false;
  }
})();

describe.runIf(motoIsHere)("moto's patterns", () => {
  test("say the same, but where a reason is given", () => {
    const told: boolean[] = JSON.parse(
      python(program, JSON.stringify(patternCases.map(({ pattern, event }) => [pattern, event]))),
    );
    const differing = patternCases.filter(({ fits }, index) => fits !== told[index]);
    expect(differing).toEqual(patternCases.filter(({ moto }) => moto !== undefined));
  });
});
