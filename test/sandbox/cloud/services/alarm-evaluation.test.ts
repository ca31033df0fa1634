import { describe, expect, test } from "vitest";
import { evaluate, type Missing, type Point } from "../../../../sandbox/cloud/services/cloudwatch/evaluation.ts";

/** Points as the documentation writes them, the latest on the right: 0 is good, X breaches, - is missing. */
function rangeOf(written: string): (Point | undefined)[] {
  const values = written.split(" ").reverse();
  return values.map((value, index) => (value === "-" ? undefined : { start: -index, value: value === "X" ? 1 : 0 }));
}

const stateOf = (written: string, datapointsToAlarm: number, missing: Missing) =>
  evaluate(rangeOf(written), (value) => value > 0, { evaluationPeriods: 3, datapointsToAlarm, missing }).state ??
  "same";

const ways = ["missing", "ignore", "breaching", "notBreaching"] as const;
const none = "INSUFFICIENT_DATA";

describe("an alarm of 3 out of 3, where some of the last five points are missing,", () => {
  test.each([
    ["0 - X - X", ["OK", "OK", "OK", "OK"]],
    ["0 - - - -", ["OK", "OK", "OK", "OK"]],
    ["- - - - -", [none, "same", "ALARM", "OK"]],
    ["0 X X - X", ["ALARM", "ALARM", "ALARM", "ALARM"]],
    ["- - X - -", ["ALARM", "same", "ALARM", "OK"]],
    ["- - - - X", [none, "same", "ALARM", "OK"]],
    ["- - - X -", [none, "same", "ALARM", "OK"]],
    ["X X X X X", ["ALARM", "ALARM", "ALARM", "ALARM"]],
    ["X X X X 0", ["OK", "OK", "OK", "OK"]],
  ])("makes of %s what the documentation says", (written, expected) => {
    expect(ways.map((way) => stateOf(written, 3, way))).toEqual(expected);
  });
});

describe("an alarm of 2 out of 3", () => {
  test.each([
    ["0 - X - X", ["ALARM", "ALARM", "ALARM", "ALARM"]],
    ["0 0 X 0 X", ["ALARM", "ALARM", "ALARM", "ALARM"]],
    ["0 - X - -", ["OK", "OK", "ALARM", "OK"]],
    ["- - - - 0", ["OK", "OK", "ALARM", "OK"]],
    ["- - - X -", ["ALARM", "same", "ALARM", "OK"]],
  ])("makes of %s what the documentation says", (written, expected) => {
    expect(ways.map((way) => stateOf(written, 2, way))).toEqual(expected);
  });
});
