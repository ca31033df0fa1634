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
    expect(boundless.map(({ sid }) => sid).sort()).toEqual(["Channel", "SeeFleet"]);
  });

  test("each way to a host goes through one document, to machines with the tag", () => {
    const sending = granted.filter(({ actions }) => actions.includes("ssm:SendCommand"));
    expect(sending.map(({ resources, conditions }) => [resources, conditions])).toEqual([
      [["arn:aws:ssm:eu-central-1:111122223333:document/mailark-backup"], {}],
      [
        [
          "arn:aws:ec2:eu-central-1:111122223333:instance/*",
          "arn:aws:ssm:eu-central-1:111122223333:managed-instance/*",
        ],
        { StringEquals: { "ssm:resourceTag/mailark": "host" } },
      ],
    ]);
  });

  test("none lets a function write where backups are", () => {
    const writing = granted.filter(
      ({ where, actions }) => where.startsWith("mailark-control") && actions.includes("s3:PutObject"),
    );
    const places = writing.flatMap(({ resources }) => resources);
    expect(places.length).toBeGreaterThan(1);
    expect(places.filter((place) => !place.startsWith("arn:aws:s3:::mailark-control-"))).toEqual([]);
  });

  test("the vault's key is used through S3 and SSM only", () => {
    const direct = granted.filter(
      ({ actions, resources, conditions, type }) =>
        type !== "AWS::KMS::Key" &&
        actions.some((action) => action.startsWith("kms:")) &&
        resources.some((resource) => /Key961B73FD/.test(resource)) &&
        conditions.StringEquals?.["kms:ViaService"] === undefined,
    );
    expect(wheres(direct)).toEqual([]);
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
