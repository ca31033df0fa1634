import { describe, expect, test } from "vitest";
import { eventPattern } from "../../../../sandbox/cloud/services/events/event-pattern.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { patternCases } from "../../../fixtures/event-patterns.ts";

describe("an event pattern", () => {
  test.each(patternCases)("of $what: $pattern and $event is $fits", ({ pattern, event, fits }) => {
    expect(eventPattern(pattern)(event)).toBe(fits);
  });

  test.each<[string, Json, string]>([
    ["an operator that is not known", { a: [{ begins: "x" }] }, "EventPattern.a: unknown operator begins"],
    ["the name of what every object has", { a: [{ constructor: "x" }] }, "unknown operator constructor"],
    ["two operators at once", { a: [{ prefix: "x", suffix: "y" }] }, "not one operator"],
    ["no operator", { a: [{}] }, "not one operator"],
    ["a value without a list", { a: { b: "x" } }, "EventPattern.a.b: not an object with fields"],
    ["no alternatives", { a: [] }, "no alternatives"],
    ["no fields", {}, "not an object with fields"],
    ["no fields below", { a: {} }, "EventPattern.a: not an object with fields"],
    ["a list in a list", { a: [["x"]] }, "EventPattern.a: a list in a list"],
    ["an exists of a text", { a: [{ exists: "true" }] }, "exists is neither true nor false"],
    ["a prefix of a number", { a: [{ prefix: 1 }] }, "not a text: 1"],
    ["a prefix of prefixes", { a: [{ prefix: { prefix: "x" } }] }, "unknown operator prefix in a prefix"],
    ["a range that begins at its upper end", { a: [{ numeric: ["<", 9, ">", 1] }] }, "no numbers"],
    ["a relation without a number", { a: [{ numeric: [">"] }] }, "no numbers"],
    ["a relation that is none", { a: [{ numeric: ["!=", 1] }] }, "no numbers"],
    ["a number beyond five billion", { a: [{ numeric: ["=", 5_000_000_001] }] }, "no numbers"],
    ["wildcards in a row", { a: [{ wildcard: "x**" }] }, "no wildcard"],
    ["a wildcard that escapes a letter", { a: [{ wildcard: "\\x" }] }, "no wildcard"],
    ["anything but a mixture", { a: [{ "anything-but": ["x", 1] }] }, "texts or numbers"],
    ["anything but nothing", { a: [{ "anything-but": [] }] }, "texts or numbers"],
    ["anything but a network", { a: [{ "anything-but": { cidr: "10.0.0.0/8" } }] }, "unknown operator anything-but"],
    ["one pattern to choose from", { $or: [{ a: ["x"] }] }, "EventPattern.$or: not a list of two patterns"],
    ["something that is no network", { a: [{ cidr: "10.0.0/8" }] }, "no network"],
    ["more than 2,048 characters", { a: ["x".repeat(2048)] }, "a pattern of 2058 characters"],
  ])("is refused with %s", (_, pattern, reason) => {
    expect(() => eventPattern(pattern)).toThrow(reason);
  });
});
