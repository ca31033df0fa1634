import { describe, expect, test } from "vitest";
import { statementsOf, synthesize } from "./synthesized.ts";

const statements = statementsOf(
  synthesize({ replicaRegion: "eu-west-1", objectLock: { mode: "governance", days: 30 } }),
);
const allowed = statements.filter(({ effect }) => effect === "Allow");
/** What a key's own policy grants the account is the way in which identity policies get their say. */
const granted = allowed.filter(({ type }) => type !== "AWS::KMS::Key");
const wheres = (all: typeof statements) => all.map(({ where }) => where);

describe("of all policies of all stacks", () => {
  test("there are enough to be worth the look", () => {
    expect(allowed.length).toBeGreaterThan(10);
  });

  test("none allows to delete an object, its version, or what keeps it", () => {
    const ending =
      /^s3:(Delete|Bypass|PutObjectRetention|PutObjectLegalHold|PutLifecycle|PutBucketVersioning|PutReplication)/i;
    expect(wheres(granted.filter(({ actions }) => actions.some((action) => ending.test(action))))).toEqual([]);
  });

  test("none allows by wildcard, or by what it leaves out", () => {
    const loose = granted.filter(
      ({ actions, notActions }) => notActions.length > 0 || actions.some((each) => each.includes("*")),
    );
    expect(wheres(loose)).toEqual([]);
  });

  test("each names its resources; where AWS knows none, the statement says so by its name", () => {
    const boundless = granted.filter(
      ({ resources, notResources, type, principal }) =>
        principal === undefined &&
        type !== "AWS::IAM::Role" &&
        (notResources.length > 0 || resources.some((resource) => resource === "*")),
    );
    expect(boundless.map(({ sid }) => sid)).toEqual(["Channel"]);
  });

  test("only keys and services that belong to the account are trusted", () => {
    const open = statements.filter(
      ({ effect, principal }) => effect === "Allow" && JSON.stringify(principal ?? {}).includes('"*"'),
    );
    expect(wheres(open)).toEqual([]);
  });
});

test("two runs give the same templates", () => {
  expect(JSON.stringify(synthesize())).toBe(JSON.stringify(synthesize()));
});
