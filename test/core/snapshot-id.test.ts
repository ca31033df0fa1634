import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { patterns } from "../../core/keys.ts";
import { newSnapshotId, timeOfSnapshotId } from "../../core/snapshot-id.ts";

const time = fc.integer({ min: 0, max: 253_402_300_799_999 });

describe("the id of a snapshot", () => {
  test("has the form that the format gives it, and says its time", () => {
    fc.assert(
      fc.property(time, (now) => {
        const id = newSnapshotId(now);
        expect(id).toMatch(patterns.snapshotId);
        expect(timeOfSnapshotId(id)).toBe(now);
      }),
    );
    expect(newSnapshotId(Date.UTC(2026, 10, 21, 2, 3, 4, 5))).toMatch(/^20261121T020304\.005Z-[0-9a-z]{10}$/);
  });

  test("sorts by time, also when the clock has jumped back", () => {
    fc.assert(
      fc.property(fc.array(time, { minLength: 2, maxLength: 20 }), (times) => {
        const ids = times.map(newSnapshotId);
        expect(ids.toSorted().map(timeOfSnapshotId)).toEqual(times.toSorted((a, b) => a - b));
      }),
    );
  });

  test("is never made twice, even when the clock stands still or repeats itself", () => {
    const ids = Array.from({ length: 10_000 }, () => newSnapshotId(0));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each([
    "",
    "latest",
    "20261121T020000.000Z",
    "20261321T020000.000Z-k3m9x2qa7b",
    "20260231T020000.000Z-k3m9x2qa7b",
    "20261121T240000.000Z-k3m9x2qa7b",
    "20261121T026000.000Z-k3m9x2qa7b",
    "20261121T020000.000Z-K3M9X2QA7B",
    "20261121T020000.000Z-k3m9x2qa7b\n",
  ])("is not %j, which is told with an example", (text) => {
    expect(() => timeOfSnapshotId(text)).toThrow(
      expect.objectContaining({ code: "ARGUMENT_INVALID", hint: expect.stringContaining("mailark list") }),
    );
  });
});
