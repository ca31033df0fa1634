import { describe, expect, test } from "vitest";
import { accountOf } from "../../sandbox/cloud/iam/account.ts";
import { resolveStacks } from "../../sandbox/cloud/template/stack.ts";
import { synthesizedStacks } from "../fixtures/synthesized-account.ts";
import { statementsOf, synthesize, textOf } from "./synthesized.ts";

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

  test("none allows to delete anything, or to change what keeps it", () => {
    const ending = [
      /^s3:(Delete|Bypass|PutBucket|PutLifecycle|PutReplication|PutEncryption|PutObject.)/i,
      /^kms:(Schedule|Disable|Put|CreateGrant|Update|Delete)/i,
      /^(dynamodb|iam|logs|sns|sqs|ssm|scheduler|events|lambda|cloudwatch|cloudformation):(Delete|Put.*Policy|Purge)/i,
    ];
    const endingAll = granted.filter(({ actions }) =>
      actions.some((action) => ending.some((each) => each.test(action))),
    );
    expect(wheres(endingAll)).toEqual([]);
  });

  test("none lets a role become another, change identities, or leave its account", () => {
    const escaping = granted.filter(
      ({ type, actions }) =>
        type !== "AWS::IAM::Role" && actions.some((action) => /^(iam|sts|organizations):/.test(action)),
    );
    expect(wheres(escaping)).toEqual([]);
  });

  test("those of keys leave them to the account's policies, and to the services that seal with them", () => {
    const loose = allowed
      .filter(({ type }) => type === "AWS::KMS::Key")
      .flatMap(({ principal, actions }) =>
        actions
          .filter((action) => action.includes("*"))
          .map((action) => [textOf(Object.values(principal as object)[0]), action]),
      );
    const account = ["arn:aws:iam::111122223333:root", "kms:*"];
    // The CDK's own grant for a rule's topic: a data key, with or without its plain half.
    expect(loose).toEqual([account, account, account, ["events.amazonaws.com", "kms:GenerateDataKey*"]]);
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

describe("whatever the policies say together, a session of", () => {
  const stacks = resolveStacks(
    synthesizedStacks({ replicaRegion: "eu-west-1", objectLock: { mode: "governance", days: 30 } }),
    { parameterStore: { "/cdk-bootstrap/hnb659fds/version": "21" } },
  );
  const account = accountOf(stacks);
  const resources = stacks.flatMap((stack) => stack.resources);
  const namesOf = (type: string) => resources.filter((each) => each.type === type).map(({ ref }) => ref);
  const roles = namesOf("AWS::IAM::Role");
  const buckets = namesOf("AWS::S3::Bucket");
  const keys = resources
    .filter(({ type }) => type === "AWS::KMS::Key")
    .map(({ attributes }) => attributes.Arn as string);
  const onObjects = [
    ...["DeleteObject", "DeleteObjectVersion", "BypassGovernanceRetention", "PutObjectTagging"],
    ...["PutObjectVersionTagging", "PutObjectRetention", "PutObjectLegalHold", "PutObjectAcl"],
  ];
  const onBuckets = ["DeleteBucket", "DeleteBucketPolicy", "PutBucketPolicy", "PutBucketVersioning"];
  const onKeys = ["ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy"];
  const attempts = [
    ...buckets.flatMap((bucket) => [
      ...["hosts/h/mail/s/manifest.json", "keyring/h/o/k.age", "control/latest/h/mail.json"].flatMap((key) =>
        onObjects.map((action) => ({ action: `s3:${action}`, resource: `arn:aws:s3:::${bucket}/${key}` })),
      ),
      ...["PutLifecycleConfiguration", "PutReplicationConfiguration", ...onBuckets].map((action) => ({
        action: `s3:${action}`,
        resource: `arn:aws:s3:::${bucket}`,
      })),
    ]),
    ...keys.flatMap((resource) => onKeys.map((action) => ({ action: `kms:${action}`, resource }))),
  ];
  const line = { "aws:SecureTransport": "true", "s3:TlsVersion": "1.3", "aws:RequestedRegion": "eu-central-1" };

  test("there are enough roles, buckets and keys to be worth the look", () => {
    expect([roles.length > 5, buckets.length, keys.length]).toEqual([true, 6, 3]);
  });

  test.each(roles.map((role) => [role]))("%s can destroy, age out or lock nothing, nor end a key", (role) => {
    const caller = account.session(role!, "i-0123456789abcdef0");
    const done = attempts.filter((attempt) => account.judge({ caller, ...attempt, context: line }).allowed);
    expect(done).toEqual([]);
  });
});

test("two runs give the same templates", () => {
  expect(JSON.stringify(synthesize())).toBe(JSON.stringify(synthesize()));
});
