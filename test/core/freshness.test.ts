import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { assessFreshness, compareFreshness, type Freshness, isOverdue, type LastGood } from "../../core/freshness.ts";

const now = Date.parse("2026-11-21T12:00:00Z");
const ago = (seconds: number) => now - seconds * 1000;
const objectives = { mail: 86_400, mysql: 21_600 };

const assess = (latest: readonly LastGood[], at = now) => assessFreshness(latest, objectives, { now: at });

describe("an assessment", () => {
  test("is fresh up to its objective and late after it", () => {
    const states = [21_599, 21_600.9, 21_601].map((age) => {
      const [one] = assess([{ hostId: "h", component: "mysql", receivedAt: ago(age) }]);
      return `${one?.state} ${one?.ageSeconds} ${one?.dueSeconds}`;
    });
    expect(states).toEqual(["fresh 21599 1", "fresh 21600 0", "late 21601 -1"]);
  });

  test("is never where no good snapshot came, and overdue once the host is known for longer than the objective", () => {
    const assessed = [600, 100_000].map(
      (age) => assess([{ hostId: "h", component: "mail", knownSince: ago(age) }])[0]!,
    );
    expect(assessed).toMatchObject([
      { state: "never", ageSeconds: 600, dueSeconds: 85_800 },
      { state: "never", ageSeconds: 100_000, dueSeconds: -13_600 },
    ]);
    expect(assessed.map(isOverdue)).toEqual([false, true]);
  });

  test("follows the objective of each component, and leaves out one that has none", () => {
    const receivedAt = ago(50_000);
    const latest = ["mysql", "certs", "mail", "constructor"].map((component) => ({
      hostId: "h",
      component,
      receivedAt,
    }));
    expect(assess(latest).map(({ component, state }) => `${component} ${state}`)).toEqual(["mail fresh", "mysql late"]);
  });

  test("forgives a store's clock that is a little ahead, but a date far ahead does not silence the alarm", () => {
    const stateAt = (receivedAt: number) => assess([{ hostId: "h", component: "mail", receivedAt }])[0]?.state;
    expect(stateAt(now + 5_000)).toBe("fresh");
    expect(stateAt(Date.parse("2099-01-01"))).toBe("late");
    expect(stateAt(Number.NaN)).toBe("late");
  });

  test("counts what comes twice once, by its best evidence", () => {
    const name = { hostId: "h", component: "mail" };
    const twice = [
      { ...name, knownSince: ago(900_000) },
      { ...name, receivedAt: ago(90_000) },
      { ...name, receivedAt: ago(60) },
      { ...name, receivedAt: Date.parse("2099-01-01") },
    ];
    expect(assess(twice)).toMatchObject([{ state: "fresh", ageSeconds: 60 }]);
    expect(assess(twice.toReversed())).toEqual(assess(twice));
    expect(
      assess([
        { ...name, knownSince: ago(10) },
        { ...name, knownSince: ago(20) },
      ]),
    ).toMatchObject([{ ageSeconds: 20 }]);
  });

  test("is sorted by host and component", () => {
    const latest = ["b/mysql", "a/mysql", "b/mail", "a/mail"].map((name) => {
      const [hostId = "", component = ""] = name.split("/");
      return { hostId, component, receivedAt: now };
    });
    expect(assess(latest).map(({ hostId, component }) => `${hostId}/${component}`)).toEqual([
      "a/mail",
      "a/mysql",
      "b/mail",
      "b/mysql",
    ]);
  });

  test.each([0, -5, Number.NaN, Number.POSITIVE_INFINITY])(
    "refuses an objective of %s seconds, naming it",
    (seconds) => {
      const attempt = () => assessFreshness([], { mail: seconds }, { now });
      expect(attempt).toThrow(
        `recovery point objective of mail must be a number of seconds above 0, received ${seconds}`,
      );
      expect(attempt).toThrow(MailarkError);
    },
  );
});

describe("a comparison", () => {
  const freshness = (state: Freshness["state"], dueSeconds: number, component = "mail"): Freshness => {
    return { hostId: "h", component, state, ageSeconds: 86_400 - dueSeconds, dueSeconds };
  };
  const fresh = freshness("fresh", 60);
  const late = freshness("late", -60);
  const young = freshness("never", 60);
  const missing = freshness("never", -60);
  const kinds = (...of: Parameters<typeof compareFreshness>) => compareFreshness(...of).map(({ kind }) => kind);

  test("tells what became late, and what recovered", () => {
    expect(compareFreshness([fresh], [late])).toEqual([
      { kind: "late", hostId: "h", component: "mail", freshness: late },
    ]);
    expect(compareFreshness([late], [fresh])).toEqual([
      { kind: "recovered", hostId: "h", component: "mail", freshness: fresh },
    ]);
  });

  test("tells neither twice", () => {
    expect(kinds([late], [{ ...late, dueSeconds: -960 }])).toEqual([]);
    expect(kinds([fresh], [{ ...fresh, dueSeconds: 5 }])).toEqual([]);
  });

  test("tells a host that never sent anything once it is overdue, and not before", () => {
    expect(kinds([], [young])).toEqual([]);
    expect(kinds([young], [missing])).toEqual(["late"]);
    expect(kinds([missing], [missing])).toEqual([]);
    expect(kinds([missing], [fresh])).toEqual(["recovered"]);
  });

  test("is not fooled when the first snapshot of an overdue host is late itself", () => {
    expect(kinds([missing], [late])).toEqual([]);
  });

  test("tells everything that is overdue when there is no previous assessment", () => {
    expect(kinds(undefined, [late, freshness("never", -1, "mysql"), freshness("fresh", 1, "redis")])).toEqual([
      "late",
      "late",
    ]);
  });

  test("tells what is no longer watched, for backups die silently that way", () => {
    expect(compareFreshness([late, freshness("fresh", 1, "mysql")], [])).toEqual([
      { kind: "unwatched", hostId: "h", component: "mail", freshness: late },
      { kind: "unwatched", hostId: "h", component: "mysql", freshness: freshness("fresh", 1, "mysql") },
    ]);
    expect(kinds([], [])).toEqual([]);
  });

  test("tells once what an assessment mentions twice", () => {
    expect(kinds([fresh, fresh], [late, late])).toEqual(["late"]);
    expect(kinds([late, late], [fresh, late])).toEqual(["recovered"]);
    expect(kinds([late, late], [])).toEqual(["unwatched"]);
  });

  const assessmentArbitrary = fc.array(
    fc
      .record({
        hostId: fc.constantFrom("a", "b"),
        component: fc.constantFrom("mail", "mysql"),
        state: fc.constantFrom("fresh" as const, "late" as const, "never" as const),
        ageSeconds: fc.nat(100),
        dueSeconds: fc.integer({ min: 0, max: 5 }),
      })
      .map((one) => (one.state === "late" ? { ...one, dueSeconds: -1 - one.dueSeconds } : one)),
    { maxLength: 6 },
  );

  test("of an assessment with itself has no events", () => {
    fc.assert(
      fc.property(assessmentArbitrary, (assessment) => {
        expect(compareFreshness(assessment, assessment.toReversed())).toEqual([]);
      }),
    );
  });

  test("has late and its end alternate over any series of assessments", () => {
    fc.assert(
      fc.property(fc.array(assessmentArbitrary), (series) => {
        const alarmed = new Set<string>();
        let previous: Freshness[] | undefined;
        for (const current of series) {
          for (const { kind, hostId, component } of compareFreshness(previous, current)) {
            const name = `${hostId}/${component}`;
            if (kind !== "unwatched") expect(alarmed.has(name)).toBe(kind === "recovered");
            if (kind === "late") alarmed.add(name);
            else alarmed.delete(name);
          }
          previous = current;
        }
      }),
    );
  });
});
