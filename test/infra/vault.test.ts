// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policy variables stand as they are
import { Stack } from "aws-cdk-lib";
import { describe, expect, test } from "vitest";
import { expiredTag } from "../../core/keys.ts";
import example from "../../infra/config.example.ts";
import { mailarkApp } from "../../infra/mailark-app.ts";
import { createOnlyRules } from "../../infra/vault/bucket-rules.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { resourcesOf, type Statement, statementsOf, synthesize } from "./synthesized.ts";

const templates = synthesize();
const vault = templates["mailark-vault"];
const buckets = new Map(
  resourcesOf(vault, "AWS::S3::Bucket").map(([, bucket]) => [bucket.Properties.BucketName.split("-")[1], bucket]),
);
const statements = statementsOf(templates);
const policyOf = (words: string) => statements.filter(({ where }) => where.includes(words));
const named = (all: readonly Statement[], sid: string) => all.find((statement) => statement.sid === sid)!;

describe("the vault", () => {
  test("has a bucket for data, keys, what the controller knows, and logs", () => {
    expect([...buckets.keys()].sort()).toEqual(["control", "data", "keyring", "logs"]);
  });

  test("outlives its stack: buckets and key stay when it is taken down or a resource is replaced", () => {
    const kept = Object.values(vault!.Resources).filter(({ Type }) => /^AWS::(S3::Bucket|KMS::Key)$/.test(Type));
    expect(kept).toHaveLength(5);
    expect(kept.every((each) => each.DeletionPolicy === "Retain" && each.UpdateReplacePolicy === "Retain")).toBe(true);
  });

  test("stacks of buckets are not taken down before somebody has lifted their protection", () => {
    const options = { outdir: scratchDirectory(), context: { "aws:cdk:bundling-stacks": [] } };
    const { children } = mailarkApp({ ...example, replicaRegion: "eu-west-1" }, options).node;
    const kept = children.filter((child) => Stack.isStack(child) && child.terminationProtection);
    expect(kept.map(({ node }) => node.id)).toEqual(["mailark-vault", "mailark-replica"]);
  });

  test.each(["data", "keyring", "control"])(
    "keeps versions in %s, sealed with its own key, closed to the public",
    (name) => {
      expect(buckets.get(name)!.Properties).toMatchObject({
        VersioningConfiguration: { Status: "Enabled" },
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [
            { BucketKeyEnabled: true, ServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms" } },
          ],
        },
        OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        LoggingConfiguration: { LogFilePrefix: `${name}/` },
      });
    },
  );

  test("tells EventBridge of new data without a function of its own", () => {
    expect(buckets.get("data")!.Properties.NotificationConfiguration).toEqual({
      EventBridgeConfiguration: { EventBridgeEnabled: true },
    });
    expect(Object.values(vault!.Resources).filter(({ Type }) => /^(Custom::|AWS::Lambda)/.test(Type))).toEqual([]);
  });

  test("lets data expire only where it is tagged, and keys never", () => {
    const rules = (name: string) => buckets.get(name)!.Properties.LifecycleConfiguration.Rules;
    const expiring = rules("data").filter(
      (rule: object) => "ExpirationInDays" in rule || "NoncurrentVersionExpiration" in rule,
    );
    expect(expiring).toEqual([
      {
        Id: "expired-by-retention",
        Status: "Enabled",
        TagFilters: [{ Key: expiredTag.key, Value: expiredTag.value }],
        ExpirationInDays: 1,
        NoncurrentVersionExpiration: { NoncurrentDays: 14 },
      },
    ]);
    const unfinished = {
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 },
      Id: "unfinished-uploads",
      Status: "Enabled",
    };
    expect(rules("data")[1]).toEqual(unfinished);
    expect(rules("keyring")).toEqual([unfinished]);
  });

  test("turns its key once a year, and lets nobody end it", () => {
    const keys = resourcesOf(vault, "AWS::KMS::Key").map(([, { Properties }]) => Properties.EnableKeyRotation);
    expect(keys).toEqual([true]);
    expect(named(policyOf("Key"), "NeverEnd")).toMatchObject({
      effect: "Deny",
      actions: ["kms:ScheduleKeyDeletion", "kms:DisableKey"],
      principal: { AWS: "*" },
    });
  });

  test.each(["Data", "Keyring", "Control"])("takes nothing over plain HTTP in %s", (name) => {
    const plain = policyOf(`${name}Policy`).filter(
      ({ conditions }) => conditions.Bool?.["aws:SecureTransport"] === "false",
    );
    expect(plain).toMatchObject([{ effect: "Deny", actions: ["s3:*"] }]);
  });
});

describe.each([
  ["Data", "hosts", "arn:aws:s3:::mailark-data-111122223333-eu-central-1"],
  ["Keyring", "keyring", "arn:aws:s3:::mailark-keyring-111122223333-eu-central-1"],
])("the policy of %s", (name, prefix, arn) => {
  const policy = policyOf(`${name}Policy`);

  test("lets nobody replace what is there", () => {
    expect(named(policy, "OnlyCreate")).toMatchObject({
      effect: "Deny",
      principal: { AWS: "*" },
      actions: ["s3:PutObject"],
      resources: [`${arn}/*`],
      conditions: { Null: { "s3:if-none-match": "true" }, Bool: { "s3:ObjectCreationOperation": "true" } },
    });
  });

  test("lets everybody write below his own id only", () => {
    expect(named(policy, "OnlyUnderOwnId")).toMatchObject({
      effect: "Deny",
      principal: { AWS: "*" },
      actions: ["s3:PutObject", "s3:AbortMultipartUpload"],
      notResources: [`${arn}/${prefix}/\${aws:userid}/*`],
      conditions: {},
    });
  });

  test("lets nobody delete, change access, or go round a lock", () => {
    expect(named(policy, "NeverDelete")).toMatchObject({
      effect: "Deny",
      principal: { AWS: "*" },
      actions: expect.arrayContaining(["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]),
      resources: [`${arn}/*`],
      conditions: {},
    });
  });

  test("lets nobody tag, and so have anything expire, while there is no retention", () => {
    expect(named(policy, "OnlyRetentionTags")).toMatchObject({
      effect: "Deny",
      principal: { AWS: "*" },
      actions: ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
      resources: [`${arn}/*`],
      conditions: {},
    });
  });

  test("refuses other storage classes, other keys, keys of the caller and access lists", () => {
    const given = {
      Null: { "s3:x-amz-storage-class": "false" },
      StringNotEquals: { "s3:x-amz-storage-class": ["STANDARD"] },
    };
    expect(named(policy, "OnlyStorageClass").conditions).toEqual(given);
    for (const sid of ["OnlyStorageClass", "OnlyKms", "OnlyOurKey", "NoKeyOfTheCaller", "NoAccessList"]) {
      expect(named(policy, sid)).toMatchObject({ effect: "Deny", principal: { AWS: "*" }, actions: ["s3:PutObject"] });
    }
  });
});

test("a role for retention, when there is one, is the only one that may tag", () => {
  const retentionRole = "arn:aws:iam::111122223333:role/mailark-retention";
  const rules = { bucketArn: "arn:aws:s3:::wares", prefix: "hosts", keyArn: "arn:key", storageClass: "STANDARD" };
  const rule = createOnlyRules({ ...rules, retentionRole }).find(({ sid }) => sid === "OnlyRetentionTags")!;
  expect(rule.toStatementJson()).toMatchObject({
    Effect: "Deny",
    Principal: { AWS: "*" },
    Condition: { ArnNotEquals: { "aws:PrincipalArn": retentionRole } },
  });
});

describe("a host", () => {
  const write = policyOf("HostWritePolicy");

  test("may create objects below its own id, and seal them through S3, and nothing else", () => {
    expect(write.filter(({ effect }) => effect === "Allow")).toMatchObject([
      {
        actions: ["s3:PutObject", "s3:AbortMultipartUpload"],
        resources: [
          "arn:aws:s3:::mailark-data-111122223333-eu-central-1/hosts/${aws:userid}/*",
          "arn:aws:s3:::mailark-keyring-111122223333-eu-central-1/keyring/${aws:userid}/*",
        ],
      },
      {
        actions: ["kms:GenerateDataKey", "kms:Decrypt"],
        conditions: { StringEquals: { "kms:ViaService": "s3.eu-central-1.amazonaws.com" } },
      },
    ]);
  });

  test("is denied the rest of the vault, whatever else is attached to it", () => {
    expect(named(write, "NothingElse")).toMatchObject({
      effect: "Deny",
      notActions: ["s3:PutObject", "s3:AbortMultipartUpload"],
      resources: expect.arrayContaining(["arn:aws:s3:::mailark-data-111122223333-eu-central-1/*"]),
      conditions: {},
    });
    expect(named(write, "NothingElsewhere")).toMatchObject({
      effect: "Deny",
      actions: ["s3:*"],
      resources: expect.arrayContaining([
        "arn:aws:s3:::mailark-control-111122223333-eu-central-1/*",
        "arn:aws:s3:::mailark-logs-111122223333-eu-central-1",
      ]),
      conditions: {},
    });
    expect(write.map(({ sid }) => sid)).toEqual(
      expect.arrayContaining(["OnlyCreate", "OnlyOurKey", "NoKeyOfTheCaller"]),
    );
  });

  test("takes commands without reading any parameter of the account", () => {
    const actions = policyOf("HostCommandPolicy").flatMap((statement) => statement.actions);
    expect(actions.filter((action) => /^ssm:/.test(action))).toEqual(["ssm:UpdateInstanceInformation"]);
    expect(actions).toContain("ec2messages:GetMessages");
  });

  test("is one role for EC2 and for machines elsewhere of this account", () => {
    const assumed = policyOf("HostRole").map(({ principal, conditions }) => ({ principal, conditions }));
    expect(assumed).toEqual([
      { principal: { Service: "ec2.amazonaws.com" }, conditions: {} },
      {
        principal: { Service: "ssm.amazonaws.com" },
        conditions: { StringEquals: { "aws:SourceAccount": "111122223333" } },
      },
    ]);
  });
});

describe("what an operator chooses", () => {
  test.each(["governance", "compliance"] as const)(
    "Object Lock in %s mode locks data and its copy, never keys",
    (mode) => {
      const locked = synthesize({ objectLock: { mode, days: 30 }, replicaRegion: "eu-west-1" });
      const locks = Object.values(locked).flatMap((template) =>
        resourcesOf(template, "AWS::S3::Bucket").flatMap(([, { Properties }]) =>
          Properties.ObjectLockEnabled
            ? [[Properties.BucketName, Properties.ObjectLockConfiguration.Rule.DefaultRetention]]
            : [],
        ),
      );
      expect(locks.sort()).toEqual([
        ["mailark-data-111122223333-eu-central-1", { Days: 30, Mode: mode.toUpperCase() }],
        ["mailark-data-111122223333-eu-west-1", { Days: 30, Mode: mode.toUpperCase() }],
      ]);
    },
  );

  test("without a lock there is none", () => {
    expect(buckets.get("data")!.Properties.ObjectLockEnabled).toBeUndefined();
  });

  test("another region gets data and keyring, with their tags and without delete markers, and nobody else writes there", () => {
    const copied = synthesize({ replicaRegion: "eu-west-1" });
    expect(Object.keys(copied)).toContain("mailark-replica");
    const rules = resourcesOf(copied["mailark-vault"], "AWS::S3::Bucket").flatMap(
      ([, { Properties }]) => Properties.ReplicationConfiguration?.Rules ?? [],
    );
    expect(rules).toHaveLength(2);
    for (const rule of rules) {
      expect(rule).toMatchObject({
        Status: "Enabled",
        DeleteMarkerReplication: { Status: "Disabled" },
        Filter: { Prefix: "" },
      });
    }
    const all = statementsOf(copied);
    const closed = all.filter(({ where, sid }) => where.startsWith("mailark-replica") && sid === "OnlyReplication");
    expect(closed).toHaveLength(2);
    for (const { actions } of closed) {
      expect(actions).toEqual(
        expect.arrayContaining(["s3:PutObject", "s3:DeleteObjectVersion", "s3:PutObjectVersionTagging"]),
      );
    }
  });

  test("a cheaper class is allowed beside the standard one, in the buckets and to hosts", () => {
    const conditions = statementsOf(synthesize({ storageClass: "GLACIER_IR" }))
      .filter(({ sid }) => sid === "OnlyStorageClass")
      .map((statement) => statement.conditions.StringNotEquals["s3:x-amz-storage-class"]);
    expect(conditions).toEqual(Array(3).fill(["STANDARD", "GLACIER_IR"]));
  });
});
